#include "models/projector.h"

#include "models/workspace_memory.h"

void mdl_projector_forward(mdl_workspace_t *ws, float *visual, int64_t n_row)
{
    const mdl_backend_t *be = ws->backend;
    const mdl_adapter_t *adapter = ws->adapter;
    const float *param = adapter->param;
    int64_t d = adapter->n_feat, dv = adapter->n_vision_feat;
    be->rows_set(ws->projected, param + adapter->b1, n_row, d);
    be->matmul_nt(ws->projected, d, ws->feature, dv, param + adapter->w1, dv, n_row, d, dv, 1.0f,
                  1.0f);
    be->gelu_forward(ws->gelu, ws->projected, n_row * d);
    be->rows_set(visual, param + adapter->b2, n_row, d);
    be->matmul_nt(visual, d, ws->gelu, d, param + adapter->w2, d, n_row, d, d, 1.0f, 1.0f);
}

void mdl_projector_backward(mdl_workspace_t *ws, const float *dvisual, int64_t n_row)
{
    const mdl_backend_t *be = ws->backend;
    mdl_adapter_t *adapter = ws->adapter;
    int64_t d = adapter->n_feat, dv = adapter->n_vision_feat;
    float *grad = adapter->grad, *dgelu = ws->dnormed;
    be->rows_sum(grad + adapter->b2, dvisual, n_row, d);
    be->matmul_tn(grad + adapter->w2, d, dvisual, d, ws->gelu, d, d, d, n_row, 1.0f, 1.0f);
    be->matmul_nn(dgelu, d, dvisual, d, adapter->param + adapter->w2, d, n_row, d, d, 1.0f, 0.0f);
    be->gelu_backward(dgelu, dgelu, ws->projected, n_row * d);
    be->rows_sum(grad + adapter->b1, dgelu, n_row, d);
    be->matmul_tn(grad + adapter->w1, dv, dgelu, d, ws->feature, dv, d, dv, n_row, 1.0f, 1.0f);
}
