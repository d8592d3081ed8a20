/* An open safetensors file; for the safetensors*.c files of this folder alone. */
#ifndef MDL_IO_SAFETENSORS_FILE_H
#define MDL_IO_SAFETENSORS_FILE_H

#include "io/safetensors.h"

#include <jansson.h>

struct mdl_safetensors {
    char *path;
    int fd;
    int64_t n_byte;
    json_t *header; /* owns the names */
    int64_t n_tensor;
    mdl_tensor_t *tensor; /* [n_tensor], sorted by name */
};

/* The n_byte bytes at offset, in as many reads as it takes. Any thread may call it. Returns
 * MDL_E_IO, or MDL_E_INPUT when the file got shorter. */
int mdl_safetensors_read_bytes(const mdl_safetensors_t *file, int64_t offset, int64_t n_byte,
                               void *out, mdl_error_t *err);

#endif
