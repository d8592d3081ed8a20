/* Pairwise similarity of models: schema "mordal-similarity", version 1.
 * /similarity float64 (M, M) symmetric, diagonal 1; /models string (M), ascending; where it is
 * known, /standard_error float64 (M, M) of each pair's similarity, symmetric, diagonal 0; /status
 * uint8 (M, M), symmetric: 0, or why the similarity is undefined, which then is NaN.
 * Attributes as of every result (configuration has estimator, kernel, batch), and n_sample (int:
 * rows used), side (vision | language), label (what the rows are). Where reading stops once the
 * clusters are settled: n_available (int: rows that there were), decided (int: 1, or 0 when all
 * rows left them open), confidence (float64). */
#ifndef MDL_IO_SIMILARITY_FILE_H
#define MDL_IO_SIMILARITY_FILE_H

#include "io/result.h"

#define MDL_SIMILARITY_SCHEMA "mordal-similarity"
enum { MDL_SIMILARITY_VERSION = 1 };

/* Why a model has no similarity with any other; a pair of two such models has the larger number.
 */
enum {
    MDL_SIMILARITY_DEFINED,
    MDL_SIMILARITY_CONSTANT,  /* its activations don't vary (with minibatches: within any batch) */
    MDL_SIMILARITY_ZERO,      /* its HSIC with itself isn't above 0 */
    MDL_SIMILARITY_OVERFLOW,  /* its HSIC with itself is beyond double's range */
    MDL_SIMILARITY_BANDWIDTH, /* RBF kernel: the median distance of its rows is 0 */
    MDL_SIMILARITY_N_STATUS
};

/* What a status means, as a part of a sentence about the model: "its activations do not vary". */
const char *mdl_similarity_why(int status);

typedef struct {
    int64_t n_model, n_sample;
    char **models;      /* n_model */
    double *similarity; /* [n_model, n_model] */
    char *side, *label;
    double *standard_error; /* [n_model, n_model], NULL or NaN off the diagonal: not known */
    uint8_t *status;        /* [n_model, n_model]; for writing, NULL: all are defined */
    int64_t n_available;    /* rows that could be read; 0: all of them were to be */
    int decided;            /* n_available > 0: whether the clusters are settled */
    double confidence;      /* and how surely, 0 to 1 */
} mdl_similarity_t;

/* provenance names MDL_SIMILARITY_SCHEMA and its version. Standard errors are written when those of
 * all defined pairs are finite. One rank only. */
int mdl_similarity_write(const char *path, const mdl_provenance_t *provenance,
                         const mdl_similarity_t *similarity, mdl_error_t *err);
/* Checks shape, symmetry, finite values where they are defined, that a pair is undefined exactly
 * when one of its models is, unique names. Freed with mdl_similarity_free.
 * Not collective. */
int mdl_similarity_read(const char *path, mdl_similarity_t *similarity, mdl_error_t *err);
void mdl_similarity_free(mdl_similarity_t *similarity);

#endif
