/* What identifies a language model: its folder's config.json and weights. */
#ifndef MDL_IO_MODEL_DIGEST_H
#define MDL_IO_MODEL_DIGEST_H

#include "io/digest.h"

/* Digest of the names and bytes of config.json and of every .safetensors file in folder. Not
 * collective. Returns MDL_E_MISSING, MDL_E_IO or MDL_E_MEMORY. */
int mdl_model_digest(const char *folder, char digits[MDL_DIGEST_SIZE], mdl_error_t *err);

#endif
