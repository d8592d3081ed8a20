/* Scores of a list of models by one method, dealt over the ranks. */
#ifndef MDL_SCORE_JOB_H
#define MDL_SCORE_JOB_H

#include "core/stage.h"
#include "io/label_table.h"

typedef struct {
    char *name, *path;               /* archive; owned */
    const mdl_label_table_t *labels; /* NULL for EMMS; borrowed */
} mdl_score_model_t;

typedef struct {
    mdl_stage_t *stage;
    const char *method; /* logme | leep | nleep | emms */
    const char *split;
    uint64_t seed;
    mdl_score_model_t *models; /* [n_model] */
    int64_t n_model;
    const char *const *embeddings; /* [n_embedding] archives of label embeddings, for EMMS */
    int64_t n_embedding;
    int warn;           /* name samples without a row */
    const char *output; /* NULL = none */
    int print;          /* as CSV */
} mdl_score_job_t;

/* Computes, writes and prints, or says that the result is current. Each model is the work of one
 * rank, so the numbers don't depend on how many there are. Collective over stage->comm. Returns
 * what reading and the methods give, with the model's name. */
int mdl_score_models(const mdl_score_job_t *job, mdl_error_t *err);

void mdl_score_models_free(mdl_score_model_t *models, int64_t n_model);

#endif
