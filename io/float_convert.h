/* The floating point encodings of arrays on disk, and conversion between them. */
#ifndef MDL_IO_FLOAT_CONVERT_H
#define MDL_IO_FLOAT_CONVERT_H

#include <stddef.h>
#include <stdint.h>

typedef enum { MDL_FLOAT16, MDL_BFLOAT16, MDL_FLOAT32, MDL_FLOAT64 } mdl_encoding_t;

/* "float16", "bfloat16", "float32", "float64". */
const char *mdl_encoding_name(mdl_encoding_t encoding);

/* Bytes of one value. */
size_t mdl_encoding_size(mdl_encoding_t encoding);

/* The largest finite value. */
double mdl_encoding_max(mdl_encoding_t encoding);

/* 1 and *encoding when name is the name of one, else 0. */
int mdl_encoding_find(const char *name, mdl_encoding_t *encoding);

/* Converts n values, rounding once to the nearest (ties to even); what is too large becomes
 * infinite. source and target: [n] in the machine's byte order, any alignment of their own value
 * size, not overlapping. Not collective. */
void mdl_float_convert(mdl_encoding_t from, const void *source, mdl_encoding_t to, void *target,
                       size_t n);

/* Index of the first value that is NaN or infinite, -1 when all n are finite. Not collective. */
int64_t mdl_float_first_bad(mdl_encoding_t encoding, const void *values, size_t n);

#endif
