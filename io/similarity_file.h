/* Pairwise similarity of models: schema "mordal-similarity", version 1.
 * /similarity float64 (M, M) symmetric, diagonal 1; /models string (M), ascending; where it is
 * known, /standard_error float64 (M, M) of each pair's similarity, symmetric, diagonal 0.
 * Attributes as of every result (configuration has estimator, kernel, batch), and n_sample (int:
 * rows used), side (vision | language), label (what the rows are). */
#ifndef MDL_IO_SIMILARITY_FILE_H
#define MDL_IO_SIMILARITY_FILE_H

#include "io/result.h"

#define MDL_SIMILARITY_SCHEMA "mordal-similarity"
enum { MDL_SIMILARITY_VERSION = 1 };

typedef struct {
    int64_t n_model, n_sample;
    char **models;      /* n_model */
    double *similarity; /* [n_model, n_model] */
    char *side, *label;
    double *standard_error; /* [n_model, n_model], NULL or NaN off the diagonal: not known */
} mdl_similarity_t;

/* provenance names MDL_SIMILARITY_SCHEMA and its version. Standard errors are written when all of
 * them are finite. One rank only. */
int mdl_similarity_write(const char *path, const mdl_provenance_t *provenance,
                         const mdl_similarity_t *similarity, mdl_error_t *err);
/* Checks shape, symmetry, finite values, unique names. Freed with mdl_similarity_free.
 * Not collective. */
int mdl_similarity_read(const char *path, mdl_similarity_t *similarity, mdl_error_t *err);
void mdl_similarity_free(mdl_similarity_t *similarity);

#endif
