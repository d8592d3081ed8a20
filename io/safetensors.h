/* Reader of .safetensors files: 8-byte little-endian header length, a JSON header, raw values.
 * The header is taken as hostile: everything is checked before a value is touched. */
#ifndef MDL_IO_SAFETENSORS_H
#define MDL_IO_SAFETENSORS_H

#include "core/error.h"
#include "io/float_convert.h"

#include <stdint.h>

enum { MDL_TENSOR_MAX_DIM = 8 };

typedef enum {
    MDL_DTYPE_F64,
    MDL_DTYPE_F32,
    MDL_DTYPE_F16,
    MDL_DTYPE_BF16,
    MDL_DTYPE_I64,
    MDL_DTYPE_I32,
    MDL_DTYPE_I16,
    MDL_DTYPE_I8,
    MDL_DTYPE_U64,
    MDL_DTYPE_U32,
    MDL_DTYPE_U16,
    MDL_DTYPE_U8,
    MDL_DTYPE_BOOL,
    MDL_N_DTYPE
} mdl_dtype_t;

typedef struct {
    const char *name; /* borrowed from the file */
    mdl_dtype_t dtype;
    int n_dim;
    int64_t dims[MDL_TENSOR_MAX_DIM];
    int64_t n_value; /* product of dims; 1 for a scalar */
    int64_t offset;  /* in the file, of its values: [n_value] of dtype, row-major */
} mdl_tensor_t;

typedef struct mdl_safetensors mdl_safetensors_t;

/* Opens the file at path and checks its header (lengths, names, dtypes, shapes, offsets that
 * neither overlap nor leave gaps). Closed by mdl_safetensors_close. Not collective.
 * Returns MDL_E_MISSING, MDL_E_IO, MDL_E_INPUT or MDL_E_MEMORY. */
int mdl_safetensors_open(const char *path, mdl_safetensors_t **file, mdl_error_t *err);

/* Closes the file; its tensors become invalid. NULL is allowed. */
void mdl_safetensors_close(mdl_safetensors_t *file);

/* Number of tensors, and the tensor at index (0 <= index < count) in the order of names. */
int64_t mdl_safetensors_count(const mdl_safetensors_t *file);
const mdl_tensor_t *mdl_safetensors_at(const mdl_safetensors_t *file, int64_t index);

/* The tensor called name, or NULL. */
const mdl_tensor_t *mdl_safetensors_find(const mdl_safetensors_t *file, const char *name);

/* The name of a dtype as the format spells it, and the bytes of one value. */
const char *mdl_dtype_name(mdl_dtype_t dtype);
size_t mdl_dtype_size(mdl_dtype_t dtype);

/* That the tensor called name is there, has exactly the shape dims[n_dim] and a dtype that can be
 * read as float32. Not collective. Returns MDL_E_INPUT. */
int mdl_safetensors_check(const mdl_safetensors_t *file, const char *name, int n_dim,
                          const int64_t *dims, mdl_error_t *err);

/* Reads the tensor called name, which must have exactly the shape dims[n_dim], into out
 * [product of dims] as float32. F64, F32, F16 and BF16 are converted; a value that is not finite
 * (or not in float32's range) is refused with the tensor's name. Not collective.
 * Returns MDL_E_INPUT, also when the file got shorter, MDL_E_IO or MDL_E_MEMORY. */
int mdl_safetensors_read_float(const mdl_safetensors_t *file, const char *name, int n_dim,
                               const int64_t *dims, float *out, mdl_error_t *err);

/* The same of the values first .. first + n - 1 alone (in row-major order; at least 0 and at most
 * all of them), into out [n] as float32 or bfloat16; no others are touched. */
int mdl_safetensors_read_part(const mdl_safetensors_t *file, const char *name, int n_dim,
                              const int64_t *dims, int64_t first, int64_t n,
                              mdl_encoding_t encoding, void *out, mdl_error_t *err);

/* The same values of one of the file's tensors, of any dtype, as they are in the file, into out
 * [n] of dtype; NaN and infinity too. */
int mdl_safetensors_read_raw(const mdl_safetensors_t *file, const mdl_tensor_t *tensor,
                             int64_t first, int64_t n, void *out, mdl_error_t *err);

#endif
