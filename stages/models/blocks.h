/* The blocks of a decoder: those of Llama (Touvron et al. 2023, arXiv 2302.13971), which are norm,
 * rotary grouped-query attention, norm, gated MLP, each pair added to the residual stream; with
 * what mdl_model_config_t says of biases, windows and further norms (of q and k, and of what
 * attention and MLP put out: Gemma 3, arXiv 2503.19786, section 2). */
#ifndef MDL_MODELS_BLOCKS_H
#define MDL_MODELS_BLOCKS_H

#include "models/workspace.h"

/* Runs positions first .. first + n_row - 1 of the first block's input through all blocks and the
 * final norm; the positions before first are those of earlier calls. Everything stays in the
 * workspace. */
void mdl_blocks_forward(mdl_workspace_t *workspace, int64_t first, int64_t n_row);

/* The same in n workspaces of one decoder together, block by block, so that sharded blocks are
 * fetched once for all. first, n_row: [n]. */
void mdl_blocks_forward_each(mdl_workspace_t *const *workspaces, const int64_t *first,
                             const int64_t *n_row, int64_t n);

/* Takes dnormed [n_row, d], the gradient for the last hidden states of positions 0 .. n_row - 1,
 * from the workspace; adds LoRA's gradients to the adapter's grad and leaves the gradient for the
 * first block's input in dstream [n_row, d]. */
void mdl_blocks_backward(mdl_workspace_t *workspace, int64_t n_row);

#endif
