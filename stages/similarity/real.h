/* The numerical work of CKA in one precision: a table of functions for float32, one for float64,
 * each in a portable form and in one for AVX2. Matrices are row-major, kernel
 * matrices padded to a multiple of 8 columns (mdl_real_padded); sums over rows, batches and
 * blocks are double in both. Not collective, all of it. */
#ifndef MDL_SIMILARITY_REAL_H
#define MDL_SIMILARITY_REAL_H

#include "io/float_convert.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    mdl_encoding_t encoding; /* MDL_FLOAT32 or MDL_FLOAT64, the real type below */
    size_t size;             /* bytes of a real */

    /* Linear Gram matrix of x: [n, n_feat] less its column means, scaled by two to *exponent so
     * that the largest centred value is in [1, 2). Lower triangle into gram: [ld, ld], ld =
     * mdl_real_padded(n). work: mdl_real_work(n) reals. Returns the index in x of a value that is
     * not finite, else -1. Rows that are all alike give exact zeros and exponent 0. */
    int64_t (*batch_gram)(const void *x, int64_t n, int64_t n_feat, void *work, void *gram,
                          int *exponent);

    /* U-centring (Szekely and Rizzo 2014) of the lower triangle of gram: [ld, ld], so that HSIC_1
     * is a plain sum of products: out: n (n - 1) / 2 values and zeros up to mdl_real_packed(n).
     * row: [ld] scratch. Returns the sum of squares below the diagonal before centring. gram's
     * diagonal and what is above it may change. */
    double (*u_centre)(void *gram, int64_t n, double *row, void *out);

    /* Adds the products of all pairs a >= b of n_model arrays of n reals, stride apart in stack, to
     * values, packed. n is a multiple of 8. */
    void (*products)(const void *stack, int n_model, int64_t stride, int64_t n, double *values);

    /* The same over n_row rows of n_column reals, ld apart, of each array: n_row n_column reals
     * are summed in their own type. n_column is a multiple of 8. */
    void (*block_products)(const void *stack, int n_model, int64_t stride, int64_t n_row,
                           int64_t ld, int64_t n_column, double *values);

    /* Adds the columns of x: [n, n_feat] less reference to sum, and raises *spread to the largest
     * distance from reference. Returns the index of a value that is not finite, else -1. */
    int64_t (*column_sums)(const void *x, int64_t n, int64_t n_feat, const double *reference,
                           double *sum, double *spread);

    /* x: [n, n_feat] becomes (x - reference - mean) * scale. */
    void (*centre)(void *x, int64_t n, int64_t n_feat, const double *reference, const double *mean,
                   double scale);

    /* packed: (x - reference - mean) * scale for x: [n, n_feat], in the order that gram reads fast;
     * n_feat mdl_real_padded(n) reals. */
    void (*pack)(const void *x, int64_t n, int64_t n_feat, const double *reference,
                 const double *mean, double scale, void *packed);

    /* Squared length of every packed row. */
    void (*packed_norms)(const void *packed, int64_t n, int64_t n_feat, double *norm);

    /* gram: [padded n_x, padded n_y] = x y' for packed x of n_x rows and y of n_y, zeros beyond.
     * For y == x, what is above the diagonal is not all written. */
    void (*gram)(const void *x, int64_t n_x, const void *y, int64_t n_y, int64_t n_feat,
                 void *gram);

    /* out: [d_x, d_y] = x' y, or += with add, for the first d_x columns of x: [n, ld_x] and d_y of
     * y: [n, ld_y], by BLAS. */
    void (*covariance)(const void *x, int64_t d_x, int64_t ld_x, const void *y, int64_t d_y,
                       int64_t ld_y, int64_t n, int add, void *out);

    /* Adds n reals to sum; rounds n sums to reals. */
    void (*accumulate)(double *sum, const void *values, int64_t n);
    void (*round)(const double *sum, void *values, int64_t n);

    /* Squared length of every row of x: [n, n_feat] into norm. */
    void (*norms)(const void *x, int64_t n, int64_t n_feat, double *norm);

    /* Adds the row sums of gram: [n_i, padded n_j] to rows and its column sums to columns. */
    void (*row_sums)(const void *gram, int64_t n_i, int64_t n_j, double *rows, double *columns);

    /* Turns linear products, gram: [n_x, padded n_y], into the RBF kernel less 1, exp(-gamma d^2) -
     * 1, which centring makes the same as the kernel itself and which keeps its digits for wide
     * bandwidths. norm_x: [n_x], norm_y: [n_y] squared lengths of the rows; with norm_x == norm_y
     * only the lower triangle is turned and the diagonal becomes 0. */
    void (*rbf)(void *gram, int64_t n_x, int64_t n_y, const double *norm_x, const double *norm_y,
                double gamma);

    /* Gives the diagonal of gram: [n, padded n], zeroes it if it is to be dropped, and the upper
     * triangle. */
    void (*take_diagonal)(void *gram, int64_t n, double *diagonal, int drop);
} mdl_real_t;

/* Value number i of an array of reals. */
static inline double mdl_real_get(const mdl_real_t *real, const void *values, int64_t i)
{
    return real->encoding == MDL_FLOAT32 ? (double)((const float *)values)[i]
                                         : ((const double *)values)[i];
}

/* The fastest table for this machine. Also lets BLAS use one thread: ranks are the parallelism, and
 * with a fixed number of threads the sums have the same bits everywhere. */
const mdl_real_t *mdl_real(mdl_encoding_t precision);

enum { MDL_REAL_PANEL = 8, MDL_REAL_DEPTH = 384 };

/* Leading dimension of a batch's Gram matrix. */
static inline int64_t mdl_real_padded(int64_t n)
{
    return (n + MDL_REAL_PANEL - 1) / MDL_REAL_PANEL * MDL_REAL_PANEL;
}

/* Reals of the scratch of batch_gram. */
static inline int64_t mdl_real_work(int64_t n)
{
    return mdl_real_padded(n) * MDL_REAL_DEPTH + 16;
}

/* Reals of a packed centred Gram matrix with its padding. */
static inline int64_t mdl_real_packed(int64_t n)
{
    return mdl_real_padded(n * (n - 1) / 2);
}

#endif
