/* An array of floats in somebody else's file, read by rows: FILE.npy, FILE.safetensors[#TENSOR] or
 * FILE.h5[#DATASET]. Two dimensions (sample, feature) or three (sample, token, feature),
 * little-endian float16, bfloat16, float32 or float64. Not collective. */
#ifndef MDL_IO_ARRAY_FILE_H
#define MDL_IO_ARRAY_FILE_H

#include "core/error.h"
#include "io/float_convert.h"

typedef struct mdl_array mdl_array_t;

typedef struct {
    mdl_encoding_t encoding;
    int64_t n_sample, n_token, n_feat; /* n_token 0: two-dimensional */
} mdl_array_shape_t;

/* A new string: the file's name in spec, without #NAME; freed by the caller, NULL when memory is
 * out. */
char *mdl_array_path(const char *spec);

/* Opens the array that spec names; without #NAME the file's only array. Everything is checked
 * before a value is touched. Closed with mdl_array_close. Returns MDL_E_MISSING, MDL_E_IO,
 * MDL_E_MEMORY, or MDL_E_INPUT naming what is there instead. */
int mdl_array_open(const char *spec, mdl_array_t **array, mdl_error_t *err);

const mdl_array_shape_t *mdl_array_shape(const mdl_array_t *array);

/* Reads rows [first, first + n_row) in the array's encoding. */
int mdl_array_read(mdl_array_t *array, int64_t first, int64_t n_row, void *rows, mdl_error_t *err);

/* NULL is allowed. */
void mdl_array_close(mdl_array_t *array);

#endif
