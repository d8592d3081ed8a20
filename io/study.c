#define _XOPEN_SOURCE 700 /* realpath */

#include "io/study.h"

#include "core/text.h"
#include "io/study_keys.h"
#include "io/study_yaml.h"
#include "mpi/agree.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BYTES = 1 << 20 };

void mdl_study_free(mdl_study_t *study)
{
    if (study == NULL)
        return;
    for (int i = 0; i < mdl_n_study_key; i++)
        if (strstr(mdl_study_keys[i].path, "[]") == NULL)
            mdl_study_key_clear(&mdl_study_keys[i], study);
    free(study->folder);
    free(study);
}

char *mdl_study_path(const mdl_study_t *study, const char *format, ...)
{
    char name[PATH_MAX];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return length < 0 || length >= PATH_MAX ? NULL : mdl_text("%s/%s", study->folder, name);
}

static int set_defaults(mdl_study_t *study, mdl_error_t *err)
{
    for (int i = 0; i < mdl_n_study_key; i++) {
        const mdl_study_key_t *key = &mdl_study_keys[i];
        int rc = MDL_OK;
        if (key->initial != NULL)
            rc = mdl_study_key_set(key, study, key->initial, study->folder, err);
        if (rc != MDL_OK)
            return mdl_error_prefix(err, "default of %s", key->path);
    }
    return MDL_OK;
}

/* The folder's name with only those letters that a name may have. */
static int set_name(mdl_study_t *study, mdl_error_t *err)
{
    const char *slash = strrchr(study->folder, '/');
    study->name = mdl_text("%.100s", slash != NULL && slash[1] != '\0' ? slash + 1 : "study");
    if (study->name == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for the study's name");
    for (char *c = study->name; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && strchr("._-", *c) == NULL)
            *c = '-';
    if (study->name[0] == '.')
        study->name[0] = '-';
    return MDL_OK;
}

static int check_zoo(const mdl_study_t *study, const char *file, mdl_error_t *err)
{
    const char *advice = "add `- name: ...` entries; docs/study.md has an example";
    if (study->zoo.n_vision == 0)
        return mdl_fail(err, MDL_E_INPUT, "%s: zoo.vision: no vision encoder is named; %s", file,
                        advice);
    if (study->zoo.n_language == 0)
        return mdl_fail(err, MDL_E_INPUT, "%s: zoo.language: no language model is named; %s", file,
                        advice);
    for (unsigned i = 0; i < study->zoo.n_vision; i++) {
        const mdl_study_vision_t *ve = &study->zoo.vision[i];
        if ((ve->activations == NULL) == (ve->checkpoint == NULL))
            return mdl_fail(err, MDL_E_INPUT, "%s: zoo.vision: %s has %s; give it one of the two",
                            file, ve->name,
                            ve->checkpoint != NULL ? "both activations and a checkpoint"
                                                   : "no activations and no checkpoint");
        if (ve->activations != NULL && study->zoo.sample_ids == NULL)
            return mdl_fail(err, MDL_E_INPUT,
                            "%s: zoo.sample_ids: is missing; name the text file with one id a line",
                            file);
        if (ve->checkpoint != NULL && study->zoo.images == NULL)
            return mdl_fail(err, MDL_E_INPUT,
                            "%s: zoo.images: is missing; %s has a checkpoint to be run on them",
                            file, ve->name);
    }
    return MDL_OK;
}

int mdl_study_in_rounds(const mdl_study_t *study)
{
    return study->search.strategy != NULL && strcmp(study->search.strategy, "paper") != 0;
}

double mdl_study_rung_ratio(const mdl_study_t *study, int64_t rung)
{
    return study->search.start_ratio * pow(study->search.eta, (double)(rung - 1));
}

int mdl_study_n_rung(const mdl_study_t *study)
{
    int n = 0;
    if (mdl_study_in_rounds(study))
        return 0;
    while (n <= MDL_STUDY_MAX_RUNG &&
           mdl_study_rung_ratio(study, n + 1) <= study->search.max_ratio * (1 + 1e-9))
        n++;
    return n;
}

double mdl_study_confidence(const char *strategy)
{
    return strcmp(strategy, "cross") == 0 ? 0.65 : 0.82;
}

/* Puts the strategy's own value where the study leaves the choice to it. */
static void settle_search(mdl_study_t *study)
{
    const int in_rounds = mdl_study_in_rounds(study);
    if (study->search.start_ratio == 0)
        study->search.start_ratio = in_rounds ? 1.0 / 64 : 0.03;
    if (study->search.max_ratio == 0)
        study->search.max_ratio = in_rounds ? 1 : 0.125;
    if (study->search.confidence == 0)
        study->search.confidence = mdl_study_confidence(study->search.strategy);
}

/* What no key can tell by itself. */
static int check_settings(const mdl_study_t *study, const char *file, mdl_error_t *err)
{
    if (study->search.start_ratio > study->search.max_ratio)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: search.start_ratio (%g) is larger than search.max_ratio (%g)", file,
                        study->search.start_ratio, study->search.max_ratio);
    if (mdl_study_n_rung(study) > MDL_STUDY_MAX_RUNG)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: search.eta (%.10g) makes more than %d rungs from search.start_ratio "
                        "(%g) to search.max_ratio (%g); take a larger one",
                        file, study->search.eta, MDL_STUDY_MAX_RUNG, study->search.start_ratio,
                        study->search.max_ratio);
    if (study->regress.max_points <= study->regress.points)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: regress.max_points (%lld) must be larger than regress.points (%lld)",
                        file, (long long)study->regress.max_points,
                        (long long)study->regress.points);
    if (study->trainer.kind == MDL_TRAINER_COMMAND && study->trainer.command == NULL)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: trainer.command.line: is missing; the command trainer needs it", file);
    if (study->trainer.kind == MDL_TRAINER_REPLAY && study->trainer.curves == NULL)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: trainer.replay.curves: is missing; the replay trainer needs it", file);
    if (study->slurm.extra != NULL && strpbrk(study->slurm.extra, "\n\r") != NULL)
        return mdl_fail(err, MDL_E_INPUT, "%s: slurm.extra: must be one line", file);
    return MDL_OK;
}

static int check_file(const char *file, const char *key, const char *model, const char *path,
                      mdl_error_t *err)
{
    char name[PATH_MAX];
    int length = snprintf(name, sizeof name, "%s", path);
    if (access(name, R_OK) == 0)
        return MDL_OK;
    char *hash = length < PATH_MAX ? strrchr(name, '#') : NULL;
    if (hash != NULL) {
        *hash = '\0';
        if (access(name, R_OK) == 0)
            return MDL_OK;
    }
    return mdl_fail(err, errno == ENOENT || errno == ENOTDIR ? MDL_E_MISSING : MDL_E_IO,
                    "%s: %s%s%s: %s cannot be read: %s; correct the path in the study", file, key,
                    model[0] != '\0' ? " of " : "", model, name, strerror(errno));
}

/* Every file that the study names is there. */
static int check_files(const mdl_study_t *study, const char *file, mdl_error_t *err)
{
    int rc;
    if (study->zoo.sample_ids != NULL)
        MDL_TRY(check_file(file, "zoo.sample_ids", "", study->zoo.sample_ids, err));
    if (study->zoo.images != NULL)
        MDL_TRY(check_file(file, "zoo.images", "", study->zoo.images, err));
    for (unsigned i = 0; i < study->zoo.n_vision; i++) {
        const mdl_study_vision_t *ve = &study->zoo.vision[i];
        if (ve->activations != NULL)
            MDL_TRY(check_file(file, "activations", ve->name, ve->activations, err));
        else
            MDL_TRY(check_file(file, "checkpoint", ve->name, ve->checkpoint, err));
    }
    for (unsigned i = 0; i < study->zoo.n_language; i++) {
        const mdl_study_language_t *lm = &study->zoo.language[i];
        MDL_TRY(check_file(file, "checkpoint", lm->name, lm->checkpoint, err));
        MDL_TRY(check_file(file, "corpus", lm->name, lm->corpus, err));
    }
    if (study->trainer.kind == MDL_TRAINER_REPLAY)
        MDL_TRY(check_file(file, "trainer.replay.curves", "", study->trainer.curves, err));
    rc = MDL_OK;
done:
    return rc;
}

typedef struct {
    char folder[PATH_MAX];
    char *bytes;
    size_t n_byte;
} study_text_t;

static int find_folder(const char *path, char folder[PATH_MAX], mdl_error_t *err)
{
    const char *slash = strrchr(path, '/');
    char *parent = slash == NULL   ? mdl_text(".")
                   : slash == path ? mdl_text("/")
                                   : mdl_text("%.*s", (int)(slash - path), path);
    if (parent == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    int rc = realpath(parent, folder) != NULL
                 ? MDL_OK
                 : mdl_fail(err, MDL_E_MISSING, "study %s: folder %s: %s; check the path", path,
                            parent, strerror(errno));
    free(parent);
    return rc;
}

static int read_text(const char *path, study_text_t *text, mdl_error_t *err)
{
    int rc = find_folder(path, text->folder, err);
    if (rc != MDL_OK)
        return rc;
    FILE *stream = fopen(path, "rb");
    if (stream == NULL)
        return mdl_fail(err, errno == ENOENT ? MDL_E_MISSING : MDL_E_IO,
                        "study %s: cannot be opened: %s; check the path", path, strerror(errno));
    MDL_TRY(mdl_alloc(&text->bytes, MAX_BYTES + 1, 1, "the study's text", err));
    text->n_byte = fread(text->bytes, 1, MAX_BYTES + 1, stream);
    if (ferror(stream))
        rc = mdl_fail(err, MDL_E_IO, "study %s: cannot be read: %s", path, strerror(errno));
    else if (text->n_byte > MAX_BYTES)
        rc = mdl_fail(err, MDL_E_INPUT, "study %s: is larger than 1 MiB, so it is not a study file",
                      path);
done:
    fclose(stream);
    return rc;
}

static int parse(const study_text_t *text, const char *file, mdl_study_t **study, mdl_error_t *err)
{
    int rc;
    *study = NULL;
    MDL_TRY(mdl_alloc(study, 1, sizeof **study, "the study", err));
    (*study)->folder = mdl_text("%s", text->folder);
    if ((*study)->folder == NULL) {
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for the study");
        goto done;
    }
    MDL_TRY(set_defaults(*study, err));
    MDL_TRY(mdl_study_parse(*study, file, text->bytes, text->n_byte, err));
    if ((*study)->name == NULL)
        MDL_TRY(set_name(*study, err));
    settle_search(*study);
    MDL_TRY(check_zoo(*study, file, err));
    MDL_TRY(check_settings(*study, file, err));
done:
    if (rc != MDL_OK) {
        mdl_study_free(*study);
        *study = NULL;
    }
    return rc;
}

int mdl_study_read(const char *path, mdl_study_t **study, mdl_error_t *err)
{
    study_text_t text = {.bytes = NULL};
    *study = NULL;
    int rc = read_text(path, &text, err);
    if (rc == MDL_OK)
        rc = parse(&text, path, study, err);
    if (rc == MDL_OK)
        rc = check_files(*study, path, err);
    if (rc != MDL_OK) {
        mdl_study_free(*study);
        *study = NULL;
    }
    free(text.bytes);
    return rc;
}

/* Gives rank 0's text to all ranks. */
static int share_text(MPI_Comm comm, int rank, study_text_t *text, mdl_error_t *err)
{
    int rc = MDL_OK;
    uint64_t n_byte = text->n_byte;
    MPI_Bcast(&n_byte, 1, MPI_UINT64_T, 0, comm);
    MPI_Bcast(text->folder, PATH_MAX, MPI_CHAR, 0, comm);
    text->n_byte = n_byte;
    if (rank != 0)
        rc = mdl_alloc(&text->bytes, text->n_byte + 1, 1, "the study's text", err);
    rc = mdl_agree(comm, rc, err);
    if (rc == MDL_OK)
        MPI_Bcast(text->bytes, (int)text->n_byte, MPI_CHAR, 0, comm);
    return rc;
}

int mdl_study_load(MPI_Comm comm, const char *path, mdl_study_t **study, mdl_error_t *err)
{
    int rank, rc;
    study_text_t text = {.bytes = NULL};
    *study = NULL;
    MPI_Comm_rank(comm, &rank);
    MDL_TRY(mdl_on_root(comm, rank, read_text(path, &text, err), err));
    MDL_TRY(share_text(comm, rank, &text, err));
    MDL_TRY(mdl_agree(comm, parse(&text, path, study, err), err));
    MDL_TRY(mdl_on_root(comm, rank, check_files(*study, path, err), err));
done:
    if (rc != MDL_OK) {
        mdl_study_free(*study);
        *study = NULL;
    }
    free(text.bytes);
    return rc;
}
