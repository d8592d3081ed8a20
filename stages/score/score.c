#include "score/score.h"

#include "core/log.h"
#include "core/text.h"
#include "io/archive_file.h"
#include "mpi/agree.h"
#include "score/job.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_EMBEDDING = 64 };

const mdl_score_options_t mdl_score_defaults = {.method = "logme", .seed = 1};

#define AT(field) offsetof(mdl_score_options_t, field)
static const mdl_option_t table[] = {
    {"method", 0, MDL_OPTION_CHOICE, "logme|leep|nleep|emms", "the score (default logme)",
     AT(method)},
    {"labels", 0, MDL_OPTION_TEXT, "FILE.csv",
     "the samples' labels: columns sample_id and label (or answer), maybe split", AT(labels)},
    {"split", 0, MDL_OPTION_CHOICE, "train|eval|all",
     "samples that count (default all; with --study eval, the target task)", AT(split)},
    {"embeddings", 0, MDL_OPTION_TEXT, "E1.h5,E2.h5,...",
     "emms: archives of the labels' embeddings by language models", AT(embeddings)},
    {"seed", 0, MDL_OPTION_INT, "N", "nleep: start of the mixture (default 1; the study's)",
     AT(seed)},
    {"print", 0, MDL_OPTION_CHOICE, "csv", "print model,score", AT(print)},
    {"output", 'o', MDL_OPTION_TEXT, "OUT.h5", "the file to write", AT(output)},
};

const mdl_command_t mdl_score_command = {
    .program = "mordal-score",
    .usage = "[OPTION...] --labels FILE.csv [-o OUT.h5] [--print csv] ARCHIVE.h5...\n"
             "       mordal-score --method emms --embeddings E1.h5,... [-o OUT.h5] ARCHIVE.h5...\n"
             "       mordal-score --study STUDY.yaml [--method logme|nleep] [--print csv]",
    .summary = "Scores models from their archived activations and the samples' labels, without\n"
               "training anything: what a search is compared with. Higher is better.",
    .options = table,
    .n_option = sizeof table / sizeof table[0],
};

/* Splits --embeddings at its commas into paths; text is a copy that is cut. */
static int split_paths(char *text, const char **paths, int64_t *n, mdl_error_t *err)
{
    *n = 0;
    for (char *word = strtok(text, ","); word != NULL; word = strtok(NULL, ",")) {
        if (*n == MAX_EMBEDDING)
            return mdl_fail(err, MDL_E_USAGE, "--embeddings: more than %d files", MAX_EMBEDDING);
        paths[(*n)++] = word;
    }
    if (*n == 0)
        return mdl_fail(err, MDL_E_USAGE, "--embeddings: no file");
    return MDL_OK;
}

static int check_options(const mdl_stage_t *stage, const mdl_score_options_t *options,
                         mdl_error_t *err)
{
    const int by_embeddings = strcmp(options->method, "emms") == 0;
    if (options->seed < 0)
        return mdl_fail(err, MDL_E_USAGE, "--seed is 0 or more");
    if (stage->study_path != NULL) {
        if (options->labels != NULL || options->embeddings != NULL || options->output != NULL ||
            stage->n_argument > 0)
            return mdl_fail(err, MDL_E_USAGE,
                            "with --study, give neither files nor labels: the study knows them");
        if (by_embeddings || strcmp(options->method, "leep") == 0)
            return mdl_fail(err, MDL_E_USAGE,
                            "a study has no %s; archive them and give the archives by hand",
                            by_embeddings ? "embeddings of its labels, which emms needs"
                                          : "outputs of classifiers' heads, which leep needs");
        return MDL_OK;
    }
    if (stage->n_argument == 0)
        return mdl_fail(err, MDL_E_USAGE, "no archives to score (or --study STUDY.yaml)");
    if (by_embeddings ? options->embeddings == NULL || options->labels != NULL
                      : options->labels == NULL || options->embeddings != NULL)
        return mdl_fail(err, MDL_E_USAGE, "%s needs %s", options->method,
                        by_embeddings ? "--embeddings and no --labels"
                                      : "--labels and no --embeddings");
    if (options->output == NULL && options->print == NULL)
        return mdl_fail(err, MDL_E_USAGE, "no output: give -o OUT.h5, --print csv or both");
    return MDL_OK;
}

/* A model by the name that its archive has. */
static int add_archive(const char *path, const mdl_label_table_t *labels, mdl_score_job_t *job,
                       mdl_error_t *err)
{
    mdl_score_model_t *model = &job->models[job->n_model];
    mdl_archive_t *archive;
    int rc = mdl_archive_open(path, &archive, err);
    if (rc != MDL_OK)
        return rc;
    *model = (mdl_score_model_t){mdl_text("%s", archive->model), mdl_text("%s", path), labels};
    mdl_archive_close(archive);
    job->n_model++;
    if (model->name == NULL || model->path == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    for (int64_t a = 0; a + 1 < job->n_model; a++)
        if (strcmp(job->models[a].name, model->name) == 0)
            return mdl_fail(err, MDL_E_INPUT,
                            "%s and %s both hold model %s; score them one by one, or import one "
                            "under another name",
                            job->models[a].path, path, model->name);
    return MDL_OK;
}

static int print_plan(const mdl_score_job_t *job)
{
    if (job->stage->rank != 0)
        return MDL_OK;
    printf("%s of %lld models, each on one rank%s%s\n", job->method, (long long)job->n_model,
           job->output != NULL ? ", into " : "", job->output != NULL ? job->output : "");
    for (int64_t a = 0; a < job->n_model; a++) {
        mdl_archive_t *archive;
        mdl_error_t ignored;
        char size[32];
        if (mdl_archive_open(job->models[a].path, &archive, &ignored) != MDL_OK) {
            printf("  %s: waits for %s (mordal-archive)\n", job->models[a].name,
                   job->models[a].path);
            continue;
        }
        printf("  %s: at most %lld rows of %lld features, %s of memory\n", job->models[a].name,
               (long long)archive->n_sample, (long long)archive->n_feat,
               mdl_text_bytes(32.0 * (double)archive->n_sample * (double)archive->n_feat, size));
        mdl_archive_close(archive);
    }
    return MDL_OK;
}

static int compute(const mdl_score_job_t *job, mdl_error_t *err)
{
    return job->stage->dry_run ? print_plan(job) : mdl_score_models(job, err);
}

static int prepare_files(const mdl_score_options_t *options, mdl_label_table_t *labels,
                         mdl_score_job_t *job, mdl_error_t *err)
{
    const int n = job->stage->n_argument;
    int rc;
    if (options->labels != NULL)
        MDL_TRY(mdl_label_table_read(options->labels, job->split, labels, err));
    MDL_TRY(mdl_alloc(&job->models, (size_t)n, sizeof *job->models, "models", err));
    for (int a = 0; a < n; a++)
        MDL_TRY(add_archive(job->stage->arguments[a], options->labels != NULL ? labels : NULL, job,
                            err));
done:
    return rc;
}

static int run_files(mdl_stage_t *stage, const mdl_score_options_t *options, mdl_error_t *err)
{
    mdl_label_table_t labels = {0};
    const char *embeddings[MAX_EMBEDDING];
    char *text = mdl_text("%s", options->embeddings != NULL ? options->embeddings : "");
    mdl_score_job_t job = {.stage = stage,
                           .method = options->method,
                           .split = options->split != NULL ? options->split : "all",
                           .seed = (uint64_t)options->seed,
                           .embeddings = embeddings,
                           .warn = 1,
                           .output = options->output,
                           .print = options->print != NULL};
    int rc = text == NULL ? mdl_fail(err, MDL_E_MEMORY, "out of memory for paths") : MDL_OK;
    if (rc == MDL_OK && options->embeddings != NULL)
        rc = split_paths(text, embeddings, &job.n_embedding, err);
    if (rc == MDL_OK)
        rc = prepare_files(options, &labels, &job, err);
    MDL_TRY(mdl_agree(stage->comm, rc, err));
    rc = compute(&job, err);
done:
    mdl_score_models_free(job.models, job.n_model);
    mdl_label_table_free(&labels);
    free(text);
    return rc;
}

/* Labels of the study's samples: by image for encoders, by sample for pairs. */
typedef struct {
    mdl_label_table_t image, sample;
} study_labels_t;

static int read_labels(const mdl_study_t *study, const char *split, study_labels_t *labels,
                       mdl_error_t *err)
{
    mdl_corpus_t *corpus = NULL;
    int rc;
    MDL_TRY(mdl_corpus_read(study->zoo.language[0].corpus, &corpus, err));
    MDL_TRY(mdl_label_table_of_corpus(corpus, split, 0, &labels->image, err));
    if (strcmp(split, "eval") == 0)
        rc = mdl_label_table_of_corpus(corpus, split, 1, &labels->sample, err);
done:
    mdl_corpus_free(corpus);
    return rc;
}

static int add_model(mdl_score_job_t *job, char *name, char *path, const mdl_label_table_t *labels,
                     mdl_error_t *err)
{
    job->models[job->n_model++] = (mdl_score_model_t){name, path, labels};
    if (name == NULL || path == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for the paths of the study");
    return MDL_OK;
}

/* Every encoder, and every pair whose hidden states are archived; those are of evaluation samples,
 * so that pairs have no score by other splits. */
static int list_models(const mdl_study_t *study, const study_labels_t *labels, mdl_score_job_t *job,
                       mdl_error_t *err)
{
    const unsigned n_ve = study->zoo.n_vision, n_lm = study->zoo.n_language;
    int rc;
    MDL_TRY(mdl_alloc(&job->models, (size_t)n_ve * (n_lm + 1), sizeof *job->models, "models", err));
    for (unsigned v = 0; v < n_ve; v++)
        MDL_TRY(add_model(job, mdl_text("%s", study->zoo.vision[v].name),
                          mdl_study_path(study, "archive/vision/%s.h5", study->zoo.vision[v].name),
                          &labels->image, err));
    for (unsigned v = 0; labels->sample.n > 0 && v < n_ve; v++)
        for (unsigned l = 0; l < n_lm; l++) {
            const char *ve = study->zoo.vision[v].name, *lm = study->zoo.language[l].name;
            char *path = mdl_study_path(study, "archive/language/%s/%s.h5", ve, lm);
            if (path != NULL && access(path, F_OK) != 0)
                free(path);
            else
                MDL_TRY(add_model(job, mdl_text("%s+%s", ve, lm), path, &labels->sample, err));
        }
done:
    return rc;
}

static int run_study(mdl_stage_t *stage, const mdl_score_options_t *options, mdl_error_t *err)
{
    mdl_study_t *study = NULL;
    study_labels_t labels = {.image.n = 0};
    char *output = NULL;
    mdl_score_job_t job = {.stage = stage,
                           .method = options->method,
                           .split = options->split != NULL ? options->split : "eval",
                           .print = options->print != NULL};
    int rc;
    MDL_TRY(mdl_stage_open_study(stage, &study));
    job.seed = study->seed;
    job.output = output = mdl_study_path(study, "scores/%s.h5", options->method);
    rc = output == NULL ? mdl_fail(err, MDL_E_MEMORY, "out of memory for a path") : MDL_OK;
    if (rc == MDL_OK)
        rc = read_labels(study, job.split, &labels, err);
    if (rc == MDL_OK)
        rc = list_models(study, &labels, &job, err);
    MDL_TRY(mdl_agree(stage->comm, rc, err));
    rc = compute(&job, err);
done:
    mdl_score_models_free(job.models, job.n_model);
    mdl_label_table_free(&labels.image);
    mdl_label_table_free(&labels.sample);
    free(output);
    mdl_study_free(study);
    return rc;
}

int mdl_score_run(mdl_stage_t *stage, const mdl_score_options_t *options, mdl_error_t *err)
{
    int rc = check_options(stage, options, err);
    if (rc != MDL_OK)
        return rc;
    return stage->study_path != NULL ? run_study(stage, options, err)
                                     : run_files(stage, options, err);
}
