/* Mordal as a library: similarity of models' activations, in memory or in archive files.
 *
 *     mordal_cka_model models[] = {{.name = "a", .n_feat = 768, .values = x},
 *                                  {.name = "b", .n_feat = 1024, .values = y}};
 *     double similarity[4];
 *     char error[MORDAL_ERROR_SIZE];
 *     if (mordal_cka(MPI_COMM_WORLD, NULL, models, 2, n_sample, similarity, NULL, NULL, error) !=
 * 0) fprintf(stderr, "%s\n", error);
 *
 * Link with `pkg-config --cflags --libs mordal-cka` or CMake's mordal::cka. docs/library.md. */
#ifndef MORDAL_CKA_H
#define MORDAL_CKA_H

/* The C interface is enough: the C++ bindings of older MPI would have to be linked. */
#ifdef __cplusplus
#ifndef OMPI_SKIP_MPICXX
#define OMPI_SKIP_MPICXX 1
#endif
#ifndef MPICH_SKIP_MPICXX
#define MPICH_SKIP_MPICXX 1
#endif
#endif
#include <mpi.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MORDAL_API __attribute__((visibility("default")))

enum { MORDAL_ERROR_SIZE = 768 };

/* What a call returns. */
enum {
    MORDAL_OK = 0,
    MORDAL_USAGE = 64,    /* options that don't go together or are out of range */
    MORDAL_INPUT = 65,    /* values or files that can't be taken */
    MORDAL_MISSING = 66,  /* a file isn't there */
    MORDAL_INTERNAL = 70, /* a bug, or MPI failed */
    MORDAL_MEMORY = 71,
    MORDAL_IO = 74
};

/* Whether a pair of models has a similarity, and if not, what keeps one of them from having any. */
enum {
    MORDAL_DEFINED = 0,
    MORDAL_CONSTANT = 1, /* its activations don't vary */
    MORDAL_ZERO = 2,     /* its HSIC with itself isn't above 0 */
    MORDAL_OVERFLOW = 3, /* its values span too many orders of magnitude */
    MORDAL_BANDWIDTH = 4 /* RBF kernel: the median distance of its rows is 0 */
};

/* Zeros and NULLs mean the default, which comes first. */
typedef struct {
    const char *measure;   /* "cka", "svcca", "procrustes", "pwcca" */
    const char *estimator; /* of CKA: "minibatch", "unbiased", "biased" */
    const char *kernel;    /* of CKA: "linear", "rbf" */
    const char *route;     /* of unbiased and biased CKA: "gram", "feature" (linear kernel only) */
    const char *precision; /* of CKA's products: "float32", "float64", "bfloat16" (GPUs only) */
    int64_t batch;         /* rows a batch of minibatch: 64 */
    double sigma;          /* RBF bandwidth in units of a model's median distance: 1 */
    int grid_rows, grid_cols; /* process grid of the other measures: all ranks */
    const char *backend;      /* of CKA: "cpu", "cuda", "auto" (GPUs where every rank has one) */
} mordal_cka_options;

/* One model's activations. Every rank describes the same models, and reads a part of their rows. */
typedef struct {
    const char *name;
    int64_t n_feat;
    const float *values; /* [n_sample, n_feat] row-major; or NULL, and then read: */
    /* Writes rows [first, first + n_row) into out: [n_row, n_feat]. Returns 0, or anything else to
     * end with MORDAL_IO. Called by one thread at a time, not always the caller's. */
    int (*read)(void *data, int64_t first, int64_t n_row, double *out);
    void *data;
} mordal_cka_model;

/* Similarity of every pair of n_model models on n_sample rows. options may be NULL. similarity:
 * [n_model, n_model], symmetric, diagonal 1, never clamped. standard_error: the same shape, NaN
 * where it isn't known, or NULL. status: the same shape, MORDAL_DEFINED or why not; or NULL. Where
 * a pair isn't defined, its similarity is NaN; a model without similarity (its row and column, the
 * diagonal too) changes no other's. error: [MORDAL_ERROR_SIZE] a sentence when it fails, or NULL.
 * Collective over comm; MPI must be initialised. */
MORDAL_API int mordal_cka(MPI_Comm comm, const mordal_cka_options *options,
                          const mordal_cka_model *models, int n_model, int64_t n_sample,
                          double *similarity, double *standard_error, unsigned char *status,
                          char *error);

/* The same for n_model archive files (docs/formats/archive.md), whose rows are matched by sample
 * id. The order of similarity is that of paths. Collective over comm. */
MORDAL_API int mordal_cka_files(MPI_Comm comm, const mordal_cka_options *options,
                                const char *const *paths, int n_model, double *similarity,
                                double *standard_error, unsigned char *status, char *error);

/* What a status means, as a part of a sentence about the model: "its activations do not vary". */
MORDAL_API const char *mordal_why(unsigned char status);

/* "0.1.0" */
MORDAL_API const char *mordal_version(void);

#ifdef __cplusplus
}
#endif

#endif
