/* What the rows of one pass through the decoder hold: the positions of a sample, or of several, one
 * behind the other (a pack). For the files of this folder alone. */
#ifndef MDL_MODELS_PASS_H
#define MDL_MODELS_PASS_H

#include "models/sample.h"

typedef struct {
    const mdl_sample_t *sample; /* [n_sample] */
    int64_t n_sample;
    int whole;               /* 1: all positions of the samples; 0: those that their losses need */
    int64_t n_new;           /* positions that are to have room behind each sample */
    int64_t n_row, n_visual; /* rows, and visual tokens among them: set by mdl_pass_begin */
} mdl_pass_t;

/* A sample that goes on behind a pass. */
typedef struct {
    int64_t sample;   /* its number in the pass */
    int64_t position; /* the last one so far, in the sample ... */
    int32_t token;    /* ... what stands there, once it is behind the pass ... */
    int64_t kept_row; /* ... where its keys and values are kept ... */
    int64_t row;      /* ... and its row in the last pass */
} mdl_next_t;

/* Whether the sample fits the model and, with n_new positions behind it, the workspace. Returns
 * MDL_E_INPUT. */
int mdl_pass_check(const mdl_workspace_t *workspace, const mdl_sample_t *sample, int64_t n_new,
                   mdl_error_t *err);

/* Fails with MDL_E_INTERNAL where the workspace keeps neither all nor what a pass reads again. */
int mdl_pass_check_kept(const mdl_workspace_t *workspace, mdl_workspace_keep_t keep,
                        mdl_error_t *err);

/* Positions that a sample's loss depends on: all before the last scored token, 0 where none is. */
int64_t mdl_pass_n_needed(const mdl_sample_t *sample);

/* Checks the samples, puts what stands in their rows into the first block's input and lets the
 * blocks see each sample by itself. */
int mdl_pass_begin(mdl_workspace_t *workspace, mdl_pass_t *pass, mdl_error_t *err);

/* After a pass of whole samples through the blocks: leaves their keys and values with n_new rows
 * free behind each, and puts the last position of each into next [n_sample]. */
int mdl_pass_keep(mdl_workspace_t *workspace, const mdl_pass_t *pass, mdl_next_t *next,
                  mdl_error_t *err);

/* Puts the next n positions, one of a sample each, into rows 0 .. n - 1 of the first block's input,
 * for a pass of MDL_ROWS_NEXT. Sets their row. */
int mdl_pass_continue(mdl_workspace_t *workspace, mdl_next_t *next, int64_t n, mdl_error_t *err);

/* Puts the scored tokens and the rows that predict them into the workspace's target and target_at;
 * *n_scored tells how many there are. */
int mdl_pass_targets(mdl_workspace_t *workspace, const mdl_pass_t *pass, int64_t *n_scored,
                     mdl_error_t *err);

/* Adds the projector's gradients, from that for the first block's input in dstream. */
void mdl_pass_visual_backward(mdl_workspace_t *workspace, const mdl_pass_t *pass);

#endif
