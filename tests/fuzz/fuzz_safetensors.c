/* The reader of weights: opens the bytes as .safetensors and reads every tensor. */
#include "fuzz_file.h"
#include "io/safetensors.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_byte)
{
    mdl_error_t err;
    mdl_safetensors_t *file;
    if (mdl_safetensors_open(mdl_fuzz_file(bytes, n_byte), &file, &err) != MDL_OK)
        return 0;
    for (int64_t i = 0; i < mdl_safetensors_count(file); i++) {
        const mdl_tensor_t *tensor = mdl_safetensors_at(file, i);
        if (mdl_safetensors_find(file, tensor->name) != tensor)
            abort();
        float *out = malloc((size_t)(tensor->n_value + 1) * sizeof *out);
        if (out != NULL) {
            mdl_safetensors_read_float(file, tensor->name, tensor->n_dim, tensor->dims, out, &err);
            mdl_safetensors_read_part(file, tensor->name, tensor->n_dim, tensor->dims,
                                      tensor->n_value / 2, tensor->n_value - tensor->n_value / 2,
                                      MDL_BFLOAT16, out, &err);
        }
        free(out);
    }
    mdl_safetensors_close(file);
    return 0;
}
