#include "models/blocks.h"

#include "models/workspace_memory.h"

/* Norms each head of q and k of positions first .. first + n_row - 1 in place. */
static void norm_heads(mdl_workspace_t *ws, const mdl_block_memory_t *block,
                       const mdl_block_weights_t *weights, int64_t first, int64_t n_row)
{
    const mdl_model_config_t *config = &ws->decoder->config;
    int64_t n_head = config->n_head + config->n_kv_head, n_feat = config->n_head_feat;
    int64_t ld = block->attention.ld_qkv, at_k = config->n_head * n_feat;
    float *rows = block->qkv + first * ld, *plain = block->plain_qk + first * n_head * n_feat;
    float *inverse = block->inverse_qk + first * n_head, eps = (float)config->norm_eps;
    ws->backend->head_norm_forward(rows, plain, inverse, weights->norm_q, n_row, config->n_head,
                                   n_feat, ld, n_head * n_feat, n_head, eps);
    ws->backend->head_norm_forward(rows + at_k, plain + at_k, inverse + config->n_head,
                                   weights->norm_k, n_row, config->n_kv_head, n_feat, ld,
                                   n_head * n_feat, n_head, eps);
}

/* Turns the gradient for the normed q and k in dqkv into that for the plain ones, in place. */
static void norm_heads_backward(mdl_workspace_t *ws, const mdl_block_memory_t *block,
                                const mdl_block_weights_t *weights, int64_t n_row)
{
    const mdl_model_config_t *config = &ws->decoder->config;
    int64_t n_head = config->n_head + config->n_kv_head, n_feat = config->n_head_feat;
    int64_t ld = block->attention.ld_qkv, at_k = config->n_head * n_feat;
    ws->backend->head_norm_backward(ws->dqkv, block->plain_qk, block->inverse_qk, weights->norm_q,
                                    n_row, config->n_head, n_feat, ld, n_head * n_feat, n_head);
    ws->backend->head_norm_backward(ws->dqkv + at_k, block->plain_qk + at_k,
                                    block->inverse_qk + config->n_head, weights->norm_k, n_row,
                                    config->n_kv_head, n_feat, ld, n_head * n_feat, n_head);
}

/* stream [n_row, d] = before + in W' (+ LoRA) of the layer that ends attention or MLP. With norm,
 * what the layer puts out is kept in plain and normed before it is added. */
static void add_output(mdl_workspace_t *ws, float *stream, const float *before, float *plain,
                       float *inverse, float *hidden, const float *in,
                       const mdl_adapted_linear_t *linear, const float *norm, int64_t n_row)
{
    const mdl_backend_t *be = ws->backend;
    int64_t d = ws->decoder->config.n_feat;
    if (norm == NULL) {
        mdl_adapted_linear_forward(stream, before, hidden, in, linear, n_row);
        return;
    }
    mdl_adapted_linear_forward(plain, NULL, hidden, in, linear, n_row);
    be->rmsnorm_forward(ws->output, inverse, plain, norm, n_row, d,
                        (float)ws->decoder->config.norm_eps);
    be->copy(stream, before, (size_t)(n_row * d) * sizeof *stream);
    be->rows_add_scaled(stream, ws->output, NULL, n_row, d);
}

/* The gradient for what the layer puts out: the stream's, through the norm where there is one. */
static const float *output_gradient(mdl_workspace_t *ws, const float *plain, const float *inverse,
                                    const float *norm, int64_t n_row)
{
    int64_t d = ws->decoder->config.n_feat;
    if (norm == NULL)
        return ws->dstream;
    ws->backend->zero(ws->output, (size_t)(n_row * d) * sizeof *ws->output);
    ws->backend->rmsnorm_backward(ws->output, ws->dstream, plain, inverse, norm, n_row, d);
    return ws->output;
}

static void attention_forward(mdl_workspace_t *ws, int64_t layer, int64_t first, int64_t n_row)
{
    const mdl_backend_t *be = ws->backend;
    const mdl_model_config_t *config = &ws->decoder->config;
    const mdl_block_weights_t *weights = &ws->decoder->block[layer];
    mdl_block_memory_t *block = &ws->block[layer];
    const mdl_adapted_linear_t *qkv = &block->linear[MDL_GROUP_QKV];
    const mdl_adapted_linear_t *o = &block->linear[MDL_GROUP_O];
    int64_t d = config->n_feat, n_half = config->n_head_feat / 2;
    int64_t n_head = config->n_head + config->n_kv_head;
    float *in = block->in + first * d, *normed = block->normed_attention + first * d;
    float *rows = block->qkv + first * qkv->n_out;

    be->rmsnorm_forward(normed, block->inverse_attention + first, in, weights->norm_attention,
                        n_row, d, (float)config->norm_eps);
    mdl_adapted_linear_forward(rows, NULL,
                               block->hidden[MDL_GROUP_QKV] + first * qkv->n_lora * qkv->rank,
                               normed, qkv, n_row);
    if (config->head_normed)
        norm_heads(ws, block, weights, first, n_row);
    be->rope_forward(rows, block->cosine + first * n_half, block->sine + first * n_half, n_row,
                     n_head, config->n_head_feat, qkv->n_out);
    be->attention_forward(block->attended, block->log_sum, ws->scratch, block->qkv,
                          &block->attention, first, n_row, ws->max_length);
    add_output(ws, block->middle + first * d, in, block->attention_output + first * d,
               block->inverse_attention_output + first,
               block->hidden[MDL_GROUP_O] + first * o->n_lora * o->rank,
               block->attended + first * o->n_in, o, weights->norm_attention_output, n_row);
}

/* The MLP up to what it activates. */
static void mlp_inner_forward(mdl_workspace_t *ws, int64_t layer, int64_t first, int64_t n_row)
{
    const mdl_backend_t *be = ws->backend;
    const mdl_model_config_t *config = &ws->decoder->config;
    const mdl_block_weights_t *weights = &ws->decoder->block[layer];
    mdl_block_memory_t *block = &ws->block[layer];
    const mdl_adapted_linear_t *gate_up = &block->linear[MDL_GROUP_GATE_UP];
    int64_t d = config->n_feat, f = config->n_mlp_feat;
    float *normed = block->normed_mlp + first * d, *rows = block->gate_up + first * 2 * f;
    float *activated = block->activated + first * f;

    be->rmsnorm_forward(normed, block->inverse_mlp + first, block->middle + first * d,
                        weights->norm_mlp, n_row, d, (float)config->norm_eps);
    mdl_adapted_linear_forward(
        rows, NULL, block->hidden[MDL_GROUP_GATE_UP] + first * gate_up->n_lora * gate_up->rank,
        normed, gate_up, n_row);
    if (config->activation == MDL_ACTIVATION_GELU_TANH)
        be->geglu_forward(activated, rows, n_row, f);
    else
        be->swiglu_forward(activated, rows, n_row, f);
}

/* The rest of the MLP: into the next block's input. */
static void mlp_output_forward(mdl_workspace_t *ws, int64_t layer, int64_t first, int64_t n_row)
{
    const mdl_model_config_t *config = &ws->decoder->config;
    mdl_block_memory_t *block = &ws->block[layer];
    const mdl_adapted_linear_t *down = &block->linear[MDL_GROUP_DOWN];
    int64_t d = config->n_feat;
    float *out = layer + 1 < config->n_layer ? block[1].in : ws->out;
    add_output(ws, out + first * d, block->middle + first * d, block->mlp_output + first * d,
               block->inverse_mlp_output + first,
               block->hidden[MDL_GROUP_DOWN] + first * down->n_lora * down->rank,
               block->activated + first * config->n_mlp_feat, down,
               ws->decoder->block[layer].norm_mlp_output, n_row);
}

static void final_norm(mdl_workspace_t *ws, int64_t first, int64_t n_row)
{
    const mdl_model_config_t *config = &ws->decoder->config;
    int64_t d = config->n_feat;
    ws->backend->rmsnorm_forward(ws->normed + first * d, ws->inverse + first, ws->out + first * d,
                                 ws->decoder->norm, n_row, d, (float)config->norm_eps);
}

void mdl_blocks_forward_each(mdl_workspace_t *const *workspaces, const int64_t *first,
                             const int64_t *n_row, int64_t n)
{
    const mdl_decoder_t *decoder = workspaces[0]->decoder;
    for (int64_t layer = 0; layer < decoder->config.n_layer; layer++) {
        mdl_decoder_use(decoder, layer, layer + 1);
        for (int64_t i = 0; i < n; i++) {
            attention_forward(workspaces[i], layer, first[i], n_row[i]);
            mlp_inner_forward(workspaces[i], layer, first[i], n_row[i]);
            mlp_output_forward(workspaces[i], layer, first[i], n_row[i]);
        }
    }
    for (int64_t i = 0; i < n; i++)
        final_norm(workspaces[i], first[i], n_row[i]);
}

void mdl_blocks_forward(mdl_workspace_t *ws, int64_t first, int64_t n_row)
{
    mdl_blocks_forward_each(&ws, &first, &n_row, 1);
}

static void mlp_backward(mdl_workspace_t *ws, int64_t layer, int64_t n_row)
{
    const mdl_backend_t *be = ws->backend;
    const mdl_model_config_t *config = &ws->decoder->config;
    const mdl_block_weights_t *weights = &ws->decoder->block[layer];
    const mdl_block_memory_t *block = &ws->block[layer];
    const float *doutput = output_gradient(ws, block->mlp_output, block->inverse_mlp_output,
                                           weights->norm_mlp_output, n_row);
    mdl_adapted_linear_backward(ws->dactivated, ws->dhidden, doutput, block->hidden[MDL_GROUP_DOWN],
                                block->activated, &block->linear[MDL_GROUP_DOWN], n_row);
    if (config->activation == MDL_ACTIVATION_GELU_TANH)
        be->geglu_backward(ws->dgate_up, ws->dactivated, block->gate_up, n_row, config->n_mlp_feat);
    else
        be->swiglu_backward(ws->dgate_up, ws->dactivated, block->gate_up, n_row,
                            config->n_mlp_feat);
    mdl_adapted_linear_backward(ws->dnormed, ws->dhidden, ws->dgate_up,
                                block->hidden[MDL_GROUP_GATE_UP], block->normed_mlp,
                                &block->linear[MDL_GROUP_GATE_UP], n_row);
    be->rmsnorm_backward(ws->dstream, ws->dnormed, block->middle, block->inverse_mlp,
                         weights->norm_mlp, n_row, config->n_feat);
}

static void attention_backward(mdl_workspace_t *ws, int64_t layer, int64_t n_row)
{
    const mdl_backend_t *be = ws->backend;
    const mdl_model_config_t *config = &ws->decoder->config;
    const mdl_block_weights_t *weights = &ws->decoder->block[layer];
    const mdl_block_memory_t *block = &ws->block[layer];
    const float *doutput =
        output_gradient(ws, block->attention_output, block->inverse_attention_output,
                        weights->norm_attention_output, n_row);
    mdl_adapted_linear_backward(ws->dattended, ws->dhidden, doutput, block->hidden[MDL_GROUP_O],
                                block->attended, &block->linear[MDL_GROUP_O], n_row);
    be->attention_backward(ws->dqkv, ws->scratch, ws->dattended, block->attended, block->log_sum,
                           block->qkv, &block->attention, n_row, ws->max_length);
    be->rope_backward(ws->dqkv, block->cosine, block->sine, n_row,
                      config->n_head + config->n_kv_head, config->n_head_feat,
                      block->attention.ld_qkv);
    if (config->head_normed)
        norm_heads_backward(ws, block, weights, n_row);
    mdl_adapted_linear_backward(ws->dnormed, ws->dhidden, ws->dqkv, block->hidden[MDL_GROUP_QKV],
                                block->normed_attention, &block->linear[MDL_GROUP_QKV], n_row);
    be->rmsnorm_backward(ws->dstream, ws->dnormed, block->in, block->inverse_attention,
                         weights->norm_attention, n_row, config->n_feat);
}

/* Computes again, from the block's input, what its backward pass reads and the blocks behind it
 * have overwritten. What the MLP puts out is read by its norm alone. */
static void recompute(mdl_workspace_t *ws, int64_t layer, int64_t n_row)
{
    const mdl_block_memory_t *block = &ws->block[layer];
    attention_forward(ws, layer, 0, n_row);
    mlp_inner_forward(ws, layer, 0, n_row);
    if (ws->decoder->config.output_normed)
        mlp_output_forward(ws, layer, 0, n_row);
    else
        mdl_adapted_linear_hidden(block->hidden[MDL_GROUP_DOWN], block->activated,
                                  &block->linear[MDL_GROUP_DOWN], n_row);
}

void mdl_blocks_backward(mdl_workspace_t *ws, int64_t n_row)
{
    const mdl_backend_t *be = ws->backend;
    const mdl_model_config_t *config = &ws->decoder->config;
    be->zero(ws->dstream, (size_t)(n_row * config->n_feat) * sizeof *ws->dstream);
    be->rmsnorm_backward(ws->dstream, ws->dnormed, ws->out, ws->inverse, ws->decoder->norm, n_row,
                         config->n_feat);
    for (int64_t layer = config->n_layer - 1; layer >= 0; layer--) {
        mdl_decoder_use(ws->decoder, layer, layer - 1);
        if (ws->keep == MDL_KEEP_INPUTS && layer + 1 < config->n_layer)
            recompute(ws, layer, n_row);
        mlp_backward(ws, layer, n_row);
        attention_backward(ws, layer, n_row);
    }
}
