/* Greedy answers: a sample goes on with the most probable token, again and again. */
#ifndef MDL_MODELS_GREEDY_H
#define MDL_MODELS_GREEDY_H

#include "models/sample.h"

/* Continues the sample by the most probable token (the lowest id of equals) up to max_new times,
 * into out [max_new]; stops at eos_id, which isn't put out (-1: never). *n_out tells how many.
 * The sample's positions plus max_new must fit the workspace. Not collective. Errors as in
 * models/sample.h. */
int mdl_sample_greedy(mdl_workspace_t *workspace, const mdl_sample_t *sample, int64_t max_new,
                      int64_t eos_id, int32_t *out, int64_t *n_out, mdl_error_t *err);

/* The same of all samples of n packs, in n workspaces of one decoder, whose blocks, where they are
 * sharded, are fetched once for all. The samples of a pack, each with room for max_new, must fit
 * its workspace together; the next tokens of all of them are computed in one pass. out
 * [n_sample, max_new] and n_out [n_sample] go over the samples of all packs, one behind the
 * other. */
int mdl_pack_greedy_each(mdl_workspace_t *const *workspaces, const mdl_pack_t *packs, int64_t n,
                         int64_t max_new, int64_t eos_id, int32_t *out, int64_t *n_out,
                         mdl_error_t *err);

#endif
