/* A sample, or a pack of them, through projector and decoder: loss, gradient, hidden states.
 *
 * The sequence is token[0 .. visual_at), the n_visual projected features, token[visual_at .. ),
 * n_token + n_visual positions in all. A scored token is predicted from the position before it
 * (the last visual token where that comes first). All functions: not collective; they return
 * MDL_E_INPUT for a sample that doesn't fit the model or the workspace, with the numbers, and
 * MDL_E_INTERNAL where the workspace doesn't keep what the pass needs (mdl_workspace_keep_t).
 * A loss or gradient that isn't finite is returned as it is: the caller decides. */
#ifndef MDL_MODELS_SAMPLE_H
#define MDL_MODELS_SAMPLE_H

#include "core/error.h"
#include "models/workspace.h"

#include <stdint.h>

typedef struct {
    int64_t n_token;
    const int32_t *token;  /* [n_token] */
    const uint8_t *scored; /* [n_token], 1: counts in the loss; NULL: none does */
    int64_t visual_at;     /* the visual tokens come before token[visual_at]; 0 .. n_token */
    int64_t n_visual;      /* 0: text alone */
    const float *feature;  /* [n_visual, n_vision_feat] */
} mdl_sample_t;

/* Sum over the scored tokens of -log p, in nats. */
int mdl_sample_loss(mdl_workspace_t *workspace, const mdl_sample_t *sample, double *loss_sum,
                    mdl_error_t *err);

/* The same sum, and adds scale * d(loss_sum)/d(param) to the adapter's grad [n_param]. */
int mdl_sample_gradient(mdl_workspace_t *workspace, const mdl_sample_t *sample, double scale,
                        double *loss_sum, mdl_error_t *err);

/* The same of n_sample samples that pass through the decoder together, one behind the other, each
 * with positions and attention of its own (Krell et al. 2021, arXiv 2107.02027): the
 * sums of their losses and gradients, equal to those of the samples alone but for rounding. Their
 * positions up to the last scored tokens must fit the workspace together. */
int mdl_pack_gradient(mdl_workspace_t *workspace, const mdl_sample_t *sample, int64_t n_sample,
                      double scale, double *loss_sum, mdl_error_t *err);

/* The last hidden states after the final norm into hidden [n_token + n_visual, d]. */
int mdl_sample_hidden(mdl_workspace_t *workspace, const mdl_sample_t *sample, float *hidden,
                      mdl_error_t *err);

/* The same of a pack, sample after sample. All its positions must fit the workspace together. */
int mdl_pack_hidden(mdl_workspace_t *workspace, const mdl_sample_t *sample, int64_t n_sample,
                    float *hidden, mdl_error_t *err);

/* The logits of every position into logits [n_token + n_visual, n_vocab]. */
int mdl_sample_logits(mdl_workspace_t *workspace, const mdl_sample_t *sample, float *logits,
                      mdl_error_t *err);

/* Samples that pass together. */
typedef struct {
    const mdl_sample_t *sample; /* [n_sample] */
    int64_t n_sample;
} mdl_pack_t;

/* Packs that can pass the blocks together, each in a workspace of its own. */
enum { MDL_MOST_TOGETHER = 16 };

/* The sums of mdl_sample_loss over each of n packs, in n workspaces of one decoder, whose blocks,
 * where they are sharded, are fetched once for all. loss_sum: [n]. */
int mdl_pack_loss_each(mdl_workspace_t *const *workspaces, const mdl_pack_t *packs, int64_t n,
                       double *loss_sum, mdl_error_t *err);

#endif
