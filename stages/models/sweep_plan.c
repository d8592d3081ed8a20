#include "models/sweep_plan.h"

#include "core/text.h"
#include "models/native_inputs.h"
#include "mpi/group.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static double file_bytes(char *path)
{
    struct stat status;
    double bytes = path != NULL && stat(path, &status) == 0 ? (double)status.st_size : 0;
    free(path);
    return bytes;
}

/* What a native rank's weights take in a group of n_rank, zeros where they can't be read. */
static mdl_decoder_memory_t weights_of(const mdl_study_t *study, const char *lm, int on_host,
                                       int n_rank)
{
    const mdl_study_language_t *language;
    mdl_decoder_memory_t memory = {0, 0};
    mdl_model_config_t config;
    mdl_error_t err;
    if (mdl_native_language(study, lm, &language, &err) != MDL_OK)
        return memory;
    char *path = mdl_text("%s/config.json", language->checkpoint);
    if (path != NULL && mdl_model_config_read(path, &config, &err) == MDL_OK)
        memory = mdl_decoder_memory(&config, strcmp(study->trainer.precision, "bfloat16") == 0,
                                    on_host, mdl_native_inputs_n_shard(study, on_host, n_rank));
    free(path);
    return memory;
}

/* Of the largest candidate on one rank of a group of n_rank: weights, and its encoder's features in
 * float32, which the file may hold in half of that. */
static void print_memory(const mdl_study_t *study, const mdl_candidate_t *candidates, int64_t n,
                         int n_rank)
{
    char text[32];
    double host = 0, gpu = 0;
    int on_host = strcmp(study->trainer.backend, "cuda") != 0;
    for (int64_t i = 0; i < n; i++) {
        mdl_decoder_memory_t weights = weights_of(study, candidates[i].lm, on_host, n_rank);
        double features =
            2 * file_bytes(mdl_study_path(study, "archive/vision/%s.h5", candidates[i].ve));
        host = fmax(host, features + (double)(weights.n_host + (on_host ? weights.n_backend : 0)));
        gpu = fmax(gpu, on_host ? 0 : (double)weights.n_backend);
    }
    printf("memory: about %s a rank", mdl_text_bytes(host, text));
    if (!on_host)
        printf(", and %s of its GPU for weights", mdl_text_bytes(gpu, text));
    if (mdl_native_inputs_n_shard(study, on_host, n_rank) > 0)
        printf(" (sharded over %d)", n_rank);
    printf("\n");
}

void mdl_sweep_print_plan(const mdl_study_t *study, mdl_trainer_t *trainer,
                          const mdl_sweep_t *sweep, const mdl_candidate_t *candidates,
                          const double *from, int64_t n, int n_rank)
{
    char text[32];
    double total = 0;
    int unknown = 0;
    int size = mdl_group_size(n_rank, n, sweep->ranks_per_candidate, sweep->batch);
    printf("%-40s %10s %10s %12s\n", "candidate", "from", "to", "seconds");
    for (int64_t i = 0; i < n; i++) {
        double cost = mdl_trainer_cost(trainer, &candidates[i]);
        double seconds = cost > 0 ? cost * fmax(0, sweep->ratio - from[i]) : 0;
        char *name = mdl_text("%s+%s", candidates[i].ve, candidates[i].lm);
        printf("%-40s %10.6g %10.6g ", name != NULL ? name : "", from[i], sweep->ratio);
        if (cost > 0)
            printf("%12.1f\n", seconds);
        else
            printf("%12s\n", "unknown");
        free(name);
        unknown |= !(cost > 0);
        total += seconds;
    }
    printf("time: about %s%s with %d groups of %d ranks\n",
           mdl_text_duration(total / (n_rank / size), text),
           unknown ? " (without the unknown ones)" : "", n_rank / size, size);
    if (study->trainer.kind == MDL_TRAINER_NATIVE)
        print_memory(study, candidates, n, size);
    else
        printf("memory: below 100 MB a rank%s\n",
               study->trainer.kind == MDL_TRAINER_COMMAND ? ", and what the command takes" : "");
}
