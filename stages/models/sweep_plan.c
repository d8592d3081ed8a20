#include "models/sweep_plan.h"

#include "core/text.h"
#include "models/features.h"
#include "models/native_inputs.h"
#include "models/native_memory.h"
#include "mpi/group.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The largest of some encoders' sizes. */
typedef struct {
    int64_t n_visual, n_feat; /* visual tokens of an image, features of one */
    double n_byte;            /* of all in float32, which files may hold in half of that */
} images_t;

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int widen(images_t *images, const mdl_study_t *study, const char *ve, mdl_error_t *err)
{
    struct stat status = {0};
    int64_t n_visual, n_feat;
    int rc;
    char *path = mdl_study_path(study, "archive/vision/%s.h5", ve);
    if (path == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    MDL_TRY(mdl_features_shape(path, &n_visual, &n_feat, err));
    stat(path, &status);
    images->n_visual = larger(images->n_visual, n_visual);
    images->n_feat = larger(images->n_feat, n_feat);
    images->n_byte = fmax(images->n_byte, 2 * (double)status.st_size);
done:
    free(path);
    return rc;
}

/* Of the largest candidate on one rank of a group of n_rank. */
static int memory_of(const mdl_study_t *study, const mdl_candidate_t *candidates, int64_t n,
                     int on_host, int n_rank, mdl_native_memory_t *largest, mdl_error_t *err)
{
    int rc = MDL_OK;
    *largest = (mdl_native_memory_t){0, 0};
    for (unsigned i = 0; i < study->zoo.n_language; i++) {
        const mdl_study_language_t *language = &study->zoo.language[i];
        mdl_native_memory_t memory;
        images_t images = {0};
        for (int64_t k = 0; k < n; k++)
            if (strcmp(candidates[k].lm, language->name) == 0)
                MDL_TRY(widen(&images, study, candidates[k].ve, err));
        if (images.n_visual == 0)
            continue; /* of none of the candidates */
        MDL_TRY(mdl_native_memory(study, language, images.n_visual, images.n_feat, on_host, n_rank,
                                  &memory, err));
        largest->host = fmax(largest->host, memory.host + images.n_byte);
        largest->gpu = fmax(largest->gpu, memory.gpu);
    }
done:
    return rc;
}

static void print_time(const mdl_study_t *study, double seconds, int unknown, int n_group, int size)
{
    char text[32];
    int gpu =
        study->trainer.kind == MDL_TRAINER_NATIVE && strcmp(study->trainer.backend, "cuda") == 0;
    printf("time: about %s%s%s with %d groups of %d ranks\n", mdl_text_duration(seconds, text),
           gpu ? " as on the processor" : "", unknown ? " (without the unknown ones)" : "", n_group,
           size);
}

/* where: "", or which of two cases it is. */
static void print_memory(const mdl_study_t *study, const mdl_candidate_t *candidates, int64_t n,
                         int on_host, int n_rank, const char *where)
{
    char text[32];
    mdl_native_memory_t memory;
    mdl_error_t err;
    if (memory_of(study, candidates, n, on_host, n_rank, &memory, &err) != MDL_OK) {
        printf("memory%s: unknown: %s\n", where, err.text);
        return;
    }
    printf("memory%s: about %s a rank", where, mdl_text_bytes(memory.host, text));
    if (!on_host)
        printf(", and %s of its GPU", mdl_text_bytes(memory.gpu, text));
    if (mdl_native_inputs_n_shard(study, on_host, n_rank) > 0)
        printf(" (weights sharded over %d)", n_rank);
    printf("\n");
}

void mdl_sweep_print_plan(const mdl_study_t *study, mdl_trainer_t *trainer,
                          const mdl_sweep_t *sweep, const mdl_candidate_t *candidates,
                          const double *from, int64_t n, int n_rank)
{
    double total = 0;
    int unknown = 0;
    int size = mdl_group_size(n_rank, n, sweep->ranks_per_candidate, sweep->batch);
    printf("%-40s %10s %10s %12s\n", "candidate", "from", "to", "seconds");
    for (int64_t i = 0; i < n; i++) {
        double full = mdl_trainer_seconds(trainer, &candidates[i]);
        double seconds = full > 0 ? full * fmax(0, sweep->ratio - from[i]) : 0;
        char *name = mdl_text("%s+%s", candidates[i].ve, candidates[i].lm);
        printf("%-40s %10.6g %10.6g ", name != NULL ? name : "", from[i], sweep->ratio);
        if (full > 0)
            printf("%12.1f\n", seconds);
        else
            printf("%12s\n", "unknown");
        free(name);
        unknown |= !(full > 0);
        total += seconds;
    }
    print_time(study, total / (n_rank / size), unknown, n_rank / size, size);
    if (study->trainer.kind == MDL_TRAINER_NATIVE && strcmp(study->trainer.backend, "auto") == 0) {
        print_memory(study, candidates, n, 1, size, " without GPUs");
        print_memory(study, candidates, n, 0, size, " with GPUs");
    } else if (study->trainer.kind == MDL_TRAINER_NATIVE)
        print_memory(study, candidates, n, strcmp(study->trainer.backend, "cuda") != 0, size, "");
    else
        printf("memory: below 100 MB a rank%s\n",
               study->trainer.kind == MDL_TRAINER_COMMAND ? ", and what the command takes" : "");
}
