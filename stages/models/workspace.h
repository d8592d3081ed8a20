/* All memory that one sample's pass through a decoder with its adapter needs. */
#ifndef MDL_MODELS_WORKSPACE_H
#define MDL_MODELS_WORKSPACE_H

#include "core/error.h"
#include "models/adapter.h"
#include "models/decoder.h"

#include <stddef.h>

typedef struct mdl_workspace mdl_workspace_t;

/* Makes room for sequences of up to max_length positions (visual tokens, prompt and new tokens
 * together). Borrows decoder and adapter, which share a backend and must outlive it. One pass at a
 * time uses it.
 * Sets OpenBLAS to one thread in this process: results must not depend on the thread count.
 * Freed by mdl_workspace_free. Not collective. Returns MDL_E_INPUT or MDL_E_MEMORY. */
int mdl_workspace_new(const mdl_decoder_t *decoder, mdl_adapter_t *adapter, int64_t max_length,
                      mdl_workspace_t **workspace, mdl_error_t *err);

/* NULL is allowed. */
void mdl_workspace_free(mdl_workspace_t *workspace);

/* Bytes of the backend's memory that mdl_workspace_new would take; for plans. */
size_t mdl_workspace_n_byte(const mdl_backend_t *backend, const mdl_model_config_t *config,
                            int64_t n_vision_feat, int64_t lora_rank, int64_t max_length);

#endif
