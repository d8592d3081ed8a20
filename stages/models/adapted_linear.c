#include "models/adapted_linear.h"

mdl_adapted_linear_t mdl_adapted_linear(const mdl_decoder_t *decoder, mdl_adapter_t *adapter,
                                        int64_t layer, mdl_linear_group_t group)
{
    const mdl_model_config_t *config = &decoder->config;
    const mdl_lora_group_t *lora = &adapter->lora[layer * MDL_N_GROUP + (int64_t)group];
    mdl_adapted_linear_t linear = {
        .backend = decoder->backend,
        .weight = decoder->block[layer].weight[group],
        .bias = group == MDL_GROUP_QKV ? decoder->block[layer].bias_qkv : NULL,
        .n_in = mdl_linear_n_in(config, mdl_group_first(config, group)),
        .n_out = mdl_group_n_out(config, group),
        .n_lora = lora->n_target,
        .rank = adapter->rank,
        .scale = adapter->lora_scale,
        .a = adapter->param + lora->a,
        .da = adapter->grad + lora->a,
    };
    for (int i = 0; i < lora->n_target; i++) {
        linear.b[i] = adapter->param + lora->b[i];
        linear.db[i] = adapter->grad + lora->b[i];
        linear.n_lora_out[i] = mdl_linear_n_out(config, lora->linear[i]);
        for (int before = (int)mdl_group_first(config, group); before < (int)lora->linear[i];
             before++)
            linear.at[i] += mdl_linear_n_out(config, (mdl_linear_t)before);
    }
    return linear;
}

void mdl_adapted_linear_hidden(float *hidden, const float *in, const mdl_adapted_linear_t *linear,
                               int64_t n_row)
{
    int64_t n_in = linear->n_in, n_hidden = linear->n_lora * linear->rank;
    if (n_hidden > 0)
        linear->backend->matmul_nt(hidden, n_hidden, in, n_in, linear->a, n_in, n_row, n_hidden,
                                   n_in, 1.0f, 0.0f);
}

void mdl_adapted_linear_forward(float *out, const float *before, float *hidden, const float *in,
                                const mdl_adapted_linear_t *linear, int64_t n_row)
{
    const mdl_backend_t *be = linear->backend;
    int64_t n_out = linear->n_out, rank = linear->rank, n_hidden = linear->n_lora * rank;
    be->linear_forward(out, before, in, linear->weight, linear->bias, n_row, n_out, linear->n_in);
    mdl_adapted_linear_hidden(hidden, in, linear, n_row);
    for (int i = 0; i < linear->n_lora; i++)
        be->matmul_nt(out + linear->at[i], n_out, hidden + i * rank, n_hidden, linear->b[i], rank,
                      n_row, linear->n_lora_out[i], rank, linear->scale, 1.0f);
}

void mdl_adapted_linear_backward(float *din, float *dhidden, const float *dout, const float *hidden,
                                 const float *in, const mdl_adapted_linear_t *linear, int64_t n_row)
{
    const mdl_backend_t *be = linear->backend;
    int64_t n_in = linear->n_in, n_out = linear->n_out, rank = linear->rank;
    be->linear_backward(din, dout, linear->weight, n_row, n_out, n_in);
    if (linear->n_lora == 0)
        return;
    int64_t n_hidden = linear->n_lora * rank;
    for (int i = 0; i < linear->n_lora; i++) {
        const float *dpart = dout + linear->at[i];
        int64_t n_part = linear->n_lora_out[i];
        be->matmul_tn(linear->db[i], rank, dpart, n_out, hidden + i * rank, n_hidden, n_part, rank,
                      n_row, linear->scale, 1.0f);
        be->matmul_nn(dhidden + i * rank, n_hidden, dpart, n_out, linear->b[i], rank, n_row, rank,
                      n_part, linear->scale, 0.0f);
    }
    be->matmul_tn(linear->da, n_in, dhidden, n_hidden, in, n_in, n_hidden, n_in, n_row, 1.0f, 1.0f);
    be->matmul_nn(din, n_in, dhidden, n_hidden, linear->a, n_in, n_row, n_in, n_hidden, 1.0f, 1.0f);
}
