/* A frozen language model, shared by all candidates that use it. */
#ifndef MDL_MODELS_DECODER_H
#define MDL_MODELS_DECODER_H

#include "core/error.h"
#include "io/model_config.h"
#include "kernels/backend.h"

typedef struct mdl_decoder mdl_decoder_t;

/* Loads config.json and model.safetensors (or the shards that model.safetensors.index.json
 * lists) from folder. Weights become float32 in backend's memory; on the way there one tensor is
 * in the host's. Freed by mdl_decoder_free. Not collective.
 * Returns MDL_E_MISSING, MDL_E_IO, MDL_E_INPUT (naming the tensor that is missing, doubled, of a
 * wrong shape or not finite) or MDL_E_MEMORY. */
int mdl_decoder_load(const mdl_backend_t *backend, const char *folder, mdl_decoder_t **decoder,
                     mdl_error_t *err);

/* Where the weights are. */
const mdl_backend_t *mdl_decoder_backend(const mdl_decoder_t *decoder);

/* The sizes of the model; borrowed. */
const mdl_model_config_t *mdl_decoder_config(const mdl_decoder_t *decoder);

/* NULL is allowed. */
void mdl_decoder_free(mdl_decoder_t *decoder);

#endif
