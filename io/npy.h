/* NumPy's .npy files: "\x93NUMPY", version, header length, a Python dict as text, raw values.
 * Format: numpy.lib.format, versions 1.0, 2.0, 3.0. Read: two- or three-dimensional arrays of
 * little-endian float16, float32 or float64 in C order. Not collective. */
#ifndef MDL_IO_NPY_H
#define MDL_IO_NPY_H

#include "core/error.h"
#include "io/float_convert.h"

#include <stdio.h>

typedef struct {
    char *path;
    FILE *file;
    mdl_encoding_t encoding;
    int n_dim;
    int64_t dims[3];
    int64_t n_header; /* bytes before the values */
} mdl_npy_t;

/* Opens path and checks all of its header, and that the file is exactly as long as its shape says.
 * Closed with mdl_npy_close. Returns MDL_E_MISSING, MDL_E_IO, MDL_E_MEMORY, or MDL_E_INPUT saying
 * what is wrong and how to save the array instead. */
int mdl_npy_open(const char *path, mdl_npy_t *npy, mdl_error_t *err);

/* Reads rows [first, first + n_row) of the first dimension, in the file's encoding. */
int mdl_npy_read(mdl_npy_t *npy, int64_t first, int64_t n_row, void *rows, mdl_error_t *err);

/* Starts a new file at path (replacing it) for an array of dims [n_dim]; bfloat16 is refused,
 * NumPy has no such type. Rows follow in order by mdl_npy_append. Returns MDL_E_IO. */
int mdl_npy_create(const char *path, mdl_encoding_t encoding, int n_dim, const int64_t *dims,
                   mdl_npy_t *npy, mdl_error_t *err);
int mdl_npy_append(mdl_npy_t *npy, int64_t n_row, const void *rows, mdl_error_t *err);

/* Closes; after writing, MDL_E_IO when the last bytes could not be written. Frees npy's memory in
 * any case; a zeroed npy is allowed. */
int mdl_npy_close(mdl_npy_t *npy, mdl_error_t *err);

#endif
