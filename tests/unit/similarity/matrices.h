/* Rows in memory for the tests of this folder, and the generator that they share with
 * tests/reference/make_cka_reference.py and make_measure_reference.py. */
#ifndef MDL_TESTS_SIMILARITY_MATRICES_H
#define MDL_TESTS_SIMILARITY_MATRICES_H

#include "similarity/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct {
    int64_t n, d;
    double *x; /* [n, d] */
} matrix_t;

/* The read of a mdl_rows_t whose data is a matrix_t. */
static inline int read_matrix(const mdl_rows_t *rows, int64_t first, int64_t n_row,
                              mdl_encoding_t encoding, void *out, mdl_error_t *err)
{
    const matrix_t *m = rows->data;
    (void)err;
    mdl_float_convert(MDL_FLOAT64, m->x + first * m->d, encoding, out, (size_t)(n_row * m->d));
    return MDL_OK;
}

/* Zeros; x is freed by the caller. */
static inline matrix_t matrix(int64_t n, int64_t d)
{
    matrix_t m = {n, d, calloc((size_t)(n * d), sizeof(double))};
    assert_non_null(m.x);
    return m;
}

/* The references' generator. */
static inline matrix_t integers(int64_t n, int64_t d, int64_t a, int64_t b, int64_t modulus)
{
    matrix_t m = matrix(n, d);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++)
            m.x[i * d + j] =
                (double)((i * a + j * b + 7 * i * j + i * i % 11) % modulus - modulus / 2);
    return m;
}

#endif
