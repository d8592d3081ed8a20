#include "models/sweep_plan.h"

#include "core/text.h"
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

/* A native rank holds a candidate's weights and its encoder's features in float32; files may hold
 * both in half of that. */
static double memory_of(const mdl_study_t *study, const mdl_candidate_t *candidate)
{
    if (study->trainer.kind != MDL_TRAINER_NATIVE)
        return 0;
    double bytes = 2 * file_bytes(mdl_study_path(study, "archive/vision/%s.h5", candidate->ve));
    for (unsigned i = 0; i < study->zoo.n_language; i++)
        if (strcmp(study->zoo.language[i].name, candidate->lm) == 0)
            bytes +=
                2 * file_bytes(mdl_text("%s/model.safetensors", study->zoo.language[i].checkpoint));
    return bytes;
}

void mdl_sweep_print_plan(const mdl_study_t *study, mdl_trainer_t *trainer,
                          const mdl_sweep_t *sweep, const mdl_candidate_t *candidates,
                          const double *from, int64_t n, int n_rank)
{
    char text[32];
    double total = 0, memory = 0;
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
        memory = fmax(memory, memory_of(study, &candidates[i]));
    }
    printf("time: about %s%s with %d groups of %d ranks\n",
           mdl_text_duration(total / (n_rank / size), text),
           unknown ? " (without the unknown ones)" : "", n_rank / size, size);
    if (study->trainer.kind == MDL_TRAINER_NATIVE)
        printf("memory: about %s a rank\n", mdl_text_bytes(memory, text));
    else
        printf("memory: below 100 MB a rank%s\n",
               study->trainer.kind == MDL_TRAINER_COMMAND ? ", and what the command takes" : "");
}
