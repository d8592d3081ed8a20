#include "models/projector.h"

#include "kernels/gelu.h"
#include "kernels/matmul.h"
#include "models/workspace_memory.h"

#include <string.h> /* memcpy */

static void copy_to_rows(float *out, const float *bias, int64_t n_row, int64_t n_col)
{
    for (int64_t row = 0; row < n_row; row++)
        memcpy(out + row * n_col, bias, (size_t)n_col * sizeof *out);
}

static void add_rows(float *sum, const float *in, int64_t n_row, int64_t n_col)
{
    for (int64_t row = 0; row < n_row; row++)
        for (int64_t i = 0; i < n_col; i++)
            sum[i] += in[row * n_col + i];
}

void mdl_projector_forward(mdl_workspace_t *ws, float *visual, const float *feature, int64_t n_row)
{
    const mdl_adapter_t *adapter = ws->adapter;
    const float *param = adapter->param;
    int64_t d = adapter->n_feat, dv = adapter->n_vision_feat;
    copy_to_rows(ws->projected, param + adapter->b1, n_row, d);
    mdl_matmul_nt(ws->projected, d, feature, dv, param + adapter->w1, dv, n_row, d, dv, 1.0f, 1.0f);
    mdl_gelu_forward(ws->gelu, ws->projected, n_row * d);
    copy_to_rows(visual, param + adapter->b2, n_row, d);
    mdl_matmul_nt(visual, d, ws->gelu, d, param + adapter->w2, d, n_row, d, d, 1.0f, 1.0f);
}

void mdl_projector_backward(mdl_workspace_t *ws, const float *dvisual, const float *feature,
                            int64_t n_row)
{
    mdl_adapter_t *adapter = ws->adapter;
    int64_t d = adapter->n_feat, dv = adapter->n_vision_feat;
    float *grad = adapter->grad, *dgelu = ws->dnormed;
    add_rows(grad + adapter->b2, dvisual, n_row, d);
    mdl_matmul_tn(grad + adapter->w2, d, dvisual, d, ws->gelu, d, d, d, n_row, 1.0f, 1.0f);
    mdl_matmul_nn(dgelu, d, dvisual, d, adapter->param + adapter->w2, d, n_row, d, d, 1.0f, 0.0f);
    mdl_gelu_backward(dgelu, dgelu, ws->projected, n_row * d);
    add_rows(grad + adapter->b1, dgelu, n_row, d);
    mdl_matmul_tn(grad + adapter->w1, dv, dgelu, d, feature, dv, d, dv, n_row, 1.0f, 1.0f);
}
