/* Pairwise centred kernel alignment (CKA).
 *
 * Kornblith et al. 2019 (biased), Song et al. 2012 and Nguyen et al. 2021 (unbiased HSIC_1 and its
 * minibatch form). docs/numerics.md derives what is computed and how far it can be trusted. */
#ifndef MDL_SIMILARITY_SIMILARITY_H
#define MDL_SIMILARITY_SIMILARITY_H

#include "io/similarity_file.h"
#include "similarity/rows.h"
#include "similarity/stopping.h"

#include <mpi.h>

typedef struct mdl_gram_cache mdl_gram_cache_t; /* similarity/gram_cache.h */

typedef enum { MDL_CKA_BIASED, MDL_CKA_UNBIASED, MDL_CKA_MINIBATCH } mdl_cka_estimator_t;
typedef enum { MDL_CKA_LINEAR, MDL_CKA_RBF } mdl_cka_kernel_t;
/* Of the full estimators; the minibatch estimator has its own. */
typedef enum { MDL_CKA_GRAM, MDL_CKA_FEATURE } mdl_cka_route_t;

typedef struct {
    mdl_cka_estimator_t estimator;
    mdl_cka_kernel_t kernel;
    mdl_cka_route_t route;          /* MDL_CKA_FEATURE needs the linear kernel */
    mdl_encoding_t precision;       /* of products: MDL_FLOAT32 or MDL_FLOAT64; sums are double */
    int64_t batch;                  /* rows a batch of the minibatch estimator, at least 4 */
    double sigma;                   /* RBF: bandwidth as a multiple of a model's median distance */
    const mdl_stopping_t *stopping; /* of the minibatch estimator; NULL: all rows are read */
    int device;                     /* 0: the CPU; else CUDA device number device - 1 */
    int n_sharer;                   /* ranks that share that device */
    int bfloat16;                   /* on a device: centred float32 rows become bfloat16 */
    mdl_gram_cache_t *cache;        /* of the minibatch estimator, or NULL */
} mdl_cka_settings_t;

enum { MDL_CKA_MIN_ROWS = 4 }; /* HSIC_1 is undefined below */

/* Index of the pair (a, b), a >= b, in a packed lower triangle. */
static inline int64_t mdl_cka_pair(int64_t a, int64_t b)
{
    return a * (a + 1) / 2 + b;
}

/* What the estimators leave; freed with mdl_cka_sums_free. */
typedef struct mdl_cka_sums {
    double *hsic;          /* [n_pair] packed */
    double *power;         /* [n_model] a model's own HSIC if nothing were centred */
    uint8_t *status;       /* [n_model] MDL_SIMILARITY_DEFINED, or why its CKA isn't */
    int64_t n_unit;        /* independent parts that the sums are made of; 0: none */
    double *unit;          /* [n_unit, n_pair] their HSICs, which add up to hsic */
    int64_t bytes_sent;    /* by this rank */
    mdl_stopped_t stopped; /* with settings->stopping */
} mdl_cka_sums_t;

/* HSIC of every pair of models; biased: tr(KHLH) / (n-1)^2; unbiased: HSIC_1 of Song; minibatch:
 * the sum of HSIC_1 over the batches in row order, the units being batches, or from 2520 batches
 * on (fewer for more than 40 models) equal runs of them. A model whose values are beyond 1e15 or
 * under 1e-15 has its HSICs scaled by powers of two that cancel in the ratio. Same bits on any
 * number of ranks. Collective over comm. Returns MDL_E_INPUT (fewer than 4 rows, non-finite
 * values), MDL_E_AGAIN, MDL_E_MEMORY, or what rows->read returns. */
int mdl_cka_hsic(MPI_Comm comm, const mdl_cka_settings_t *settings, const mdl_rows_t *models,
                 int n_model, int64_t n_sample, mdl_cka_sums_t *sums, mdl_error_t *err);
void mdl_cka_sums_free(mdl_cka_sums_t *sums);

/* CKA of every pair from the sums: similarity: [n_model, n_model], symmetric, diagonal 1, never
 * clamped. standard_error: [n_model, n_model] by the delta method over the units, diagonal 0; NaN
 * with fewer than 2 units; may be NULL. status: [n_model, n_model] (io/similarity_file.h); where it
 * isn't MDL_SIMILARITY_DEFINED the two others are NaN: in the rows and columns of a model without
 * CKA, the diagonal too. A pair of two such models has the larger number. May be NULL. Not
 * collective. */
void mdl_cka_ratios(int n_model, const mdl_cka_sums_t *sums, double *similarity,
                    double *standard_error, uint8_t *status);

/* Both. Collective over comm. */
int mdl_cka_similarity(MPI_Comm comm, const mdl_cka_settings_t *settings, const mdl_rows_t *models,
                       int n_model, int64_t n_sample, double *similarity, double *standard_error,
                       uint8_t *status, mdl_error_t *err);

/* A warning that names each model without similarity and why. Not collective. */
void mdl_cka_warn_of_undefined(const mdl_rows_t *models, int n_model, const uint8_t *status);

/* What can be refused before any row is read: no model, fewer than 4 rows (MDL_E_INPUT), a batch,
 * a bandwidth or a route out of range (MDL_E_USAGE). Not collective. */
int mdl_cka_check(const mdl_cka_settings_t *settings, int n_model, int64_t n_sample,
                  mdl_error_t *err);

/* Number of batches that count: a tail shorter than 4 rows is dropped. */
int64_t mdl_cka_n_batch(int64_t n_sample, int64_t batch);

#endif
