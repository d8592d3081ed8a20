#include "models/llama.h"

#include "kernels/rmsnorm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"
#include "models/workspace_memory.h"

#include <string.h> /* memcpy, memset */

static void attention_forward(mdl_workspace_t *ws, int64_t layer, int64_t first, int64_t n_row)
{
    const mdl_model_config_t *config = &ws->decoder->config;
    mdl_block_memory_t *block = &ws->block[layer];
    const mdl_adapted_linear_t *qkv = &block->linear[MDL_GROUP_QKV];
    const mdl_adapted_linear_t *o = &block->linear[MDL_GROUP_O];
    int64_t d = config->n_feat, n_half = config->n_head_feat / 2;
    float *in = block->in + first * d, *normed = block->normed_attention + first * d;
    float *rows = block->qkv + first * qkv->n_out, *middle = block->middle + first * d;

    mdl_rmsnorm_forward(normed, block->inverse_attention + first, in,
                        ws->decoder->block[layer].norm_attention, n_row, d,
                        (float)config->norm_eps);
    mdl_adapted_linear_forward(rows, block->hidden[MDL_GROUP_QKV] + first * qkv->n_lora * qkv->rank,
                               normed, qkv, n_row, 0.0f);
    mdl_rope_forward(rows, ws->cosine + first * n_half, ws->sine + first * n_half, n_row,
                     config->n_head + config->n_kv_head, config->n_head_feat, qkv->n_out);
    mdl_attention_forward(block->attended, block->log_sum, ws->score, block->qkv, &ws->attention,
                          first, n_row, ws->max_length);
    memcpy(middle, in, (size_t)(n_row * d) * sizeof *in);
    mdl_adapted_linear_forward(middle, block->hidden[MDL_GROUP_O] + first * o->n_lora * o->rank,
                               block->attended + first * o->n_in, o, n_row, 1.0f);
}

static void mlp_forward(mdl_workspace_t *ws, int64_t layer, int64_t first, int64_t n_row)
{
    const mdl_model_config_t *config = &ws->decoder->config;
    mdl_block_memory_t *block = &ws->block[layer];
    const mdl_adapted_linear_t *gate_up = &block->linear[MDL_GROUP_GATE_UP];
    const mdl_adapted_linear_t *down = &block->linear[MDL_GROUP_DOWN];
    int64_t d = config->n_feat, f = config->n_mlp_feat;
    float *middle = block->middle + first * d, *normed = block->normed_mlp + first * d;
    float *rows = block->gate_up + first * 2 * f, *activated = block->activated + first * f;
    float *out = (layer + 1 < config->n_layer ? block[1].in : ws->out) + first * d;

    mdl_rmsnorm_forward(normed, block->inverse_mlp + first, middle,
                        ws->decoder->block[layer].norm_mlp, n_row, d, (float)config->norm_eps);
    mdl_adapted_linear_forward(
        rows, block->hidden[MDL_GROUP_GATE_UP] + first * gate_up->n_lora * gate_up->rank, normed,
        gate_up, n_row, 0.0f);
    mdl_swiglu_forward(activated, rows, n_row, f);
    memcpy(out, middle, (size_t)(n_row * d) * sizeof *out);
    mdl_adapted_linear_forward(out,
                               block->hidden[MDL_GROUP_DOWN] + first * down->n_lora * down->rank,
                               activated, down, n_row, 1.0f);
}

void mdl_llama_forward(mdl_workspace_t *ws, int64_t first, int64_t n_row)
{
    const mdl_model_config_t *config = &ws->decoder->config;
    int64_t d = config->n_feat;
    for (int64_t layer = 0; layer < config->n_layer; layer++) {
        attention_forward(ws, layer, first, n_row);
        mlp_forward(ws, layer, first, n_row);
    }
    mdl_rmsnorm_forward(ws->normed + first * d, ws->inverse + first, ws->out + first * d,
                        ws->decoder->norm, n_row, d, (float)config->norm_eps);
}

static void mlp_backward(mdl_workspace_t *ws, int64_t layer, int64_t n_row)
{
    const mdl_model_config_t *config = &ws->decoder->config;
    const mdl_block_memory_t *block = &ws->block[layer];
    mdl_adapted_linear_backward(ws->dactivated, ws->dhidden, ws->dstream,
                                block->hidden[MDL_GROUP_DOWN], block->activated,
                                &block->linear[MDL_GROUP_DOWN], n_row);
    mdl_swiglu_backward(ws->dgate_up, ws->dactivated, block->gate_up, n_row, config->n_mlp_feat);
    mdl_adapted_linear_backward(ws->dnormed, ws->dhidden, ws->dgate_up,
                                block->hidden[MDL_GROUP_GATE_UP], block->normed_mlp,
                                &block->linear[MDL_GROUP_GATE_UP], n_row);
    mdl_rmsnorm_backward(ws->dstream, ws->dnormed, block->middle, block->inverse_mlp,
                         ws->decoder->block[layer].norm_mlp, n_row, config->n_feat);
}

static void attention_backward(mdl_workspace_t *ws, int64_t layer, int64_t n_row)
{
    const mdl_model_config_t *config = &ws->decoder->config;
    const mdl_block_memory_t *block = &ws->block[layer];
    mdl_adapted_linear_backward(ws->dattended, ws->dhidden, ws->dstream, block->hidden[MDL_GROUP_O],
                                block->attended, &block->linear[MDL_GROUP_O], n_row);
    mdl_attention_backward(ws->dqkv, ws->score, ws->dscore, ws->dattended, block->attended,
                           block->log_sum, block->qkv, &ws->attention, n_row, ws->max_length);
    mdl_rope_backward(ws->dqkv, ws->cosine, ws->sine, n_row, config->n_head + config->n_kv_head,
                      config->n_head_feat, ws->attention.ld_qkv);
    mdl_adapted_linear_backward(ws->dnormed, ws->dhidden, ws->dqkv, block->hidden[MDL_GROUP_QKV],
                                block->normed_attention, &block->linear[MDL_GROUP_QKV], n_row);
    mdl_rmsnorm_backward(ws->dstream, ws->dnormed, block->in, block->inverse_attention,
                         ws->decoder->block[layer].norm_attention, n_row, config->n_feat);
}

void mdl_llama_backward(mdl_workspace_t *ws, int64_t n_row)
{
    const mdl_model_config_t *config = &ws->decoder->config;
    memset(ws->dstream, 0, (size_t)(n_row * config->n_feat) * sizeof *ws->dstream);
    mdl_rmsnorm_backward(ws->dstream, ws->dnormed, ws->out, ws->inverse, ws->decoder->norm, n_row,
                         config->n_feat);
    for (int64_t layer = config->n_layer - 1; layer >= 0; layer--) {
        mlp_backward(ws, layer, n_row);
        attention_backward(ws, layer, n_row);
    }
}
