/* What the rows of one pass through the decoder hold: the positions of a sample, or of several, one
 * behind the other (a pack). For the files of this folder alone. */
#ifndef MDL_MODELS_PASS_H
#define MDL_MODELS_PASS_H

#include "models/sample.h"

typedef struct {
    const mdl_sample_t *sample; /* [n_sample] */
    int64_t n_sample;
    int whole;               /* 1: all positions of the samples; 0: those that their losses need */
    int64_t n_row, n_visual; /* rows, and visual tokens among them: set by mdl_pass_begin */
} mdl_pass_t;

/* Whether the sample fits the model and, with n_new positions behind it, the workspace. Returns
 * MDL_E_INPUT. */
int mdl_pass_check(const mdl_workspace_t *workspace, const mdl_sample_t *sample, int64_t n_new,
                   mdl_error_t *err);

/* Positions that a sample's loss depends on: all before the last scored token, 0 where none is. */
int64_t mdl_pass_n_needed(const mdl_sample_t *sample);

/* Checks the samples, puts what stands in their rows into the first block's input and lets the
 * blocks see each sample by itself. */
int mdl_pass_begin(mdl_workspace_t *workspace, mdl_pass_t *pass, mdl_error_t *err);

/* Puts one more token into a row of the first block's input. */
int mdl_pass_embed_token(mdl_workspace_t *workspace, int32_t token, int64_t row, mdl_error_t *err);

/* Puts the scored tokens and the rows that predict them into the workspace's target and target_at;
 * *n_scored tells how many there are. */
int mdl_pass_targets(mdl_workspace_t *workspace, const mdl_pass_t *pass, int64_t *n_scored,
                     mdl_error_t *err);

/* Adds the projector's gradients, from that for the first block's input in dstream. */
void mdl_pass_visual_backward(mdl_workspace_t *workspace, const mdl_pass_t *pass);

#endif
