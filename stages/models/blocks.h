/* The blocks of a decoder: those of Llama (Touvron et al. 2023, arXiv 2302.13971), which are norm,
 * rotary grouped-query attention, norm, gated MLP, each pair added to the residual stream; with
 * what mdl_model_config_t says of biases, windows and further norms (of q and k, and of what
 * attention and MLP put out: Gemma 3, arXiv 2503.19786, section 2). */
#ifndef MDL_MODELS_BLOCKS_H
#define MDL_MODELS_BLOCKS_H

#include "models/workspace.h"

/* What the rows of a pass are. */
typedef enum {
    MDL_ROWS_WHOLE, /* all positions of one sample, or of several, one behind the other */
    MDL_ROWS_NEXT   /* one more position of each of some samples, as mdl_pass_continue lays them:
                     * their keys and values join those that earlier passes have left */
} mdl_rows_kind_t;

/* Runs rows 0 .. n_row - 1 of the first block's input, whole samples, through all blocks and the
 * final norm. Everything stays in the workspace. */
void mdl_blocks_forward(mdl_workspace_t *workspace, int64_t n_row);

/* The same, with rows of either kind, in n workspaces of one decoder together, block by block, so
 * that sharded blocks are fetched once for all. n_row: [n]. */
void mdl_blocks_forward_each(mdl_workspace_t *const *workspaces, const int64_t *n_row, int64_t n,
                             mdl_rows_kind_t kind);

/* The logits of hidden [n_row, d] (after the final norm) into the workspace's logit; n_row is at
 * most the room's n_logit_row. */
void mdl_head_forward(mdl_workspace_t *workspace, const float *hidden, int64_t n_row);

/* Takes dnormed [n_row, d], the gradient for the last hidden states of positions 0 .. n_row - 1,
 * from the workspace; adds LoRA's gradients to the adapter's grad and leaves the gradient for the
 * first block's input in dstream [n_row, d]. */
void mdl_blocks_backward(mdl_workspace_t *workspace, int64_t n_row);

#endif
