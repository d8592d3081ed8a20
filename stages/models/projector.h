/* The two-layer projector: visual = gelu(feature W1' + b1) W2' + b2. */
#ifndef MDL_MODELS_PROJECTOR_H
#define MDL_MODELS_PROJECTOR_H

#include "models/workspace.h"

/* visual [n_row, d] of the workspace's feature [n_row, n_vision_feat]; keeps what the backward
 * needs in the workspace. */
void mdl_projector_forward(mdl_workspace_t *workspace, float *visual, int64_t n_row);

/* Adds the gradients of W1, b1, W2, b2 to the adapter's grad, given dvisual [n_row, d]. */
void mdl_projector_backward(mdl_workspace_t *workspace, const float *dvisual, int64_t n_row);

#endif
