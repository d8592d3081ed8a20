/* Scores of models that need no training: schema "mordal-score", version 1: docs/formats/score.md.
 * /model string (M), an encoder's name or VE+LM; /score float64 (M), higher is better. Attributes
 * as of every result (configuration has method, split, seed and the labels' digest), and method
 * (text), n_sample (int: rows used), n_class (int). */
#ifndef MDL_IO_SCORE_FILE_H
#define MDL_IO_SCORE_FILE_H

#include "io/result.h"

#define MDL_SCORE_SCHEMA "mordal-score"
enum { MDL_SCORE_VERSION = 1 };

typedef struct {
    int64_t n_model;
    char **model, **task; /* [n_model] as one block each; task NULL: of all tasks */
    double *score;        /* [n_model] finite */
    char *method;         /* NULL when read from a CSV */
    int64_t n_sample, n_class;
} mdl_scores_t;

/* One rank only. */
int mdl_scores_write(const char *path, const mdl_provenance_t *provenance,
                     const mdl_scores_t *scores, mdl_error_t *err);

/* Reads a result, or, when path ends in .csv, a table with columns model (or ve and llm), score,
 * and maybe task. Freed with mdl_scores_free. Not collective. Returns MDL_E_MISSING, MDL_E_IO,
 * MDL_E_MEMORY, or MDL_E_INPUT: a score that isn't finite, a model that is there twice. */
int mdl_scores_read(const char *path, mdl_scores_t *scores, mdl_error_t *err);
void mdl_scores_free(mdl_scores_t *scores);

/* Index of the model's score for the task, -1 without. */
int64_t mdl_scores_find(const mdl_scores_t *scores, const char *task, const char *model);

#endif
