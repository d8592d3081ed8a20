/* A block of one model's rows made ready for Gram matrices, and the kernels on them. */
#ifndef MDL_CKA_BLOCK_H
#define MDL_CKA_BLOCK_H

#include "cka/rows.h"

/* Lets BLAS use this rank's one core: the ranks are the parallelism, and with a fixed number of
 * threads the sums have the same bits everywhere. */
void mdl_block_setup(void);

/* Reads rows [first, first + n_row) into x: [n_row, n_feat] less the reference row (n_feat values;
 * NULL takes the block's first row), and gives the largest absolute value that is left in *spread.
 * Rows that are all alike become exact zeros. Non-finite values are refused with model, row and
 * column. Not collective. */
int mdl_block_read(const mdl_rows_t *rows, int64_t first, int64_t n_row, const double *reference,
                   double *x, double *spread, mdl_error_t *err);

/* Power of two that brings spread near 1 when it is beyond 1e15 or under 1e-15, else 0. */
int mdl_block_exponent(double spread);

/* Multiplies x (n values) by two to the exponent. */
void mdl_block_scale(double *x, int64_t n, int exponent);

/* Mean over the rows of x: [n_row, n_feat] into mean: [n_feat]. */
void mdl_block_mean(const double *x, int64_t n_row, int64_t n_feat, double *mean);

/* Subtracts mean from every row. */
void mdl_block_centre(double *x, int64_t n_row, int64_t n_feat, const double *mean);

/* gram: [n_x, n_y] = x y' for x: [n_x, n_feat], y: [n_y, n_feat]. For y == x only the lower
 * triangle and the diagonal are written. */
void mdl_block_gram(const double *x, int64_t n_x, const double *y, int64_t n_y, int64_t n_feat,
                    double *gram);

/* Squared distance of two rows from their squared lengths and their product; what is within
 * rounding of zero is zero. */
double mdl_block_squared_distance(double norm_x, double norm_y, double product);

/* Turns gram, as mdl_block_gram left it, into the RBF kernel less 1, exp(-d^2 / (2 s^2)) - 1, which
 * centring makes the same as the kernel itself and which keeps its digits for large s.
 * gamma = 1 / (2 s^2); norm_x: [n_x] and norm_y: [n_y] squared lengths of the rows. The diagonal of
 * y == x (norm_x == norm_y) becomes exactly 0. */
void mdl_block_rbf(double *gram, int64_t n_x, int64_t n_y, const double *norm_x,
                   const double *norm_y, double gamma);

/* Squared length of every row of x: [n_row, n_feat] into norm: [n_row]. */
void mdl_block_norms(const double *x, int64_t n_row, int64_t n_feat, double *norm);

/* Sum of a[i] b[i] over n values. */
double mdl_block_dot(const double *a, const double *b, int64_t n);

#endif
