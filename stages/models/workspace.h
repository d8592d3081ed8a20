/* All memory that one sample's or pack's pass through a decoder with its adapter needs. */
#ifndef MDL_MODELS_WORKSPACE_H
#define MDL_MODELS_WORKSPACE_H

#include "core/error.h"
#include "models/adapter.h"
#include "models/decoder.h"

#include <stddef.h>

typedef struct mdl_workspace mdl_workspace_t;

/* What each block of the decoder keeps to itself; for everything else the blocks take turns with
 * one set of arrays. */
typedef enum {
    MDL_KEEP_ALL,    /* everything, for any pass */
    MDL_KEEP_INPUTS, /* its input, for gradients: the backward pass computes the block again
                      * (activation checkpointing; Chen et al. 2016, arXiv 1604.06174) */
    MDL_KEEP_KEYS,   /* keys and values, for greedy answers; no gradients */
    MDL_KEEP_NOTHING /* for losses, logits and hidden states alone */
} mdl_workspace_keep_t;

/* Makes room for sequences of up to max_length positions (visual tokens, prompt and new tokens
 * together). Borrows decoder and adapter, which share a backend and must outlive it. One pass at a
 * time uses it; what a pass computes has the same bits whatever is kept.
 * Sets OpenBLAS to one thread in this process: results must not depend on the thread count.
 * Freed by mdl_workspace_free. Not collective. Returns MDL_E_INPUT or MDL_E_MEMORY. */
int mdl_workspace_new(const mdl_decoder_t *decoder, mdl_adapter_t *adapter, int64_t max_length,
                      mdl_workspace_keep_t keep, mdl_workspace_t **workspace, mdl_error_t *err);

/* NULL is allowed. */
void mdl_workspace_free(mdl_workspace_t *workspace);

/* Bytes of memory that mdl_workspace_new would take from a backend with this room; for plans. */
size_t mdl_workspace_n_byte(const mdl_backend_room_t *room, const mdl_model_config_t *config,
                            int64_t n_vision_feat, int64_t lora_rank, int64_t max_length,
                            mdl_workspace_keep_t keep);

#endif
