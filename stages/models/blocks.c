#include "models/blocks.h"

#include "models/workspace_memory.h"

/* Norms each head of q and k of n_row rows of qkv in place. */
static void norm_heads(mdl_workspace_t *ws, const mdl_block_memory_t *block,
                       const mdl_block_weights_t *weights, float *qkv, int64_t n_row)
{
    const mdl_model_config_t *config = &ws->decoder->config;
    int64_t n_head = config->n_head + config->n_kv_head, n_feat = config->n_head_feat;
    int64_t ld = block->attention.ld_qkv, at_k = config->n_head * n_feat;
    float eps = (float)config->norm_eps;
    ws->backend->head_norm_forward(qkv, block->plain_qk, block->inverse_qk, weights->norm_q, n_row,
                                   config->n_head, n_feat, ld, n_head * n_feat, n_head, eps);
    ws->backend->head_norm_forward(qkv + at_k, block->plain_qk + at_k,
                                   block->inverse_qk + config->n_head, weights->norm_k, n_row,
                                   config->n_kv_head, n_feat, ld, n_head * n_feat, n_head, eps);
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

/* What rows 0 .. n_row - 1 of qkv, each the next position of a sample whose keys and values are in
 * the block's qkv, see there and in themselves. Returns one row for each. */
static const float *attend_to_kept(mdl_workspace_t *ws, mdl_block_memory_t *block, const float *qkv,
                                   int64_t n_row)
{
    const mdl_backend_t *be = ws->backend;
    const mdl_attention_t *shape = &block->attention;
    be->rows_move(block->qkv, ws->kept_at, qkv, NULL, n_row, shape->ld_qkv, 1.0f);
    be->attention_each(block->attended, block->log_sum, ws->scratch, block->qkv, shape, ws->kept_at,
                       n_row, ws->max_length);
    be->rows_move(ws->dattended, NULL, block->attended, ws->kept_at, n_row,
                  shape->n_head * shape->n_head_feat, 1.0f);
    return ws->dattended;
}

static void attention_forward(mdl_workspace_t *ws, int64_t layer, int64_t n_row,
                              mdl_rows_kind_t kind)
{
    const mdl_backend_t *be = ws->backend;
    const mdl_model_config_t *config = &ws->decoder->config;
    const mdl_block_weights_t *weights = &ws->decoder->block[layer];
    mdl_block_memory_t *block = &ws->block[layer];
    const mdl_adapted_linear_t *qkv = &block->linear[MDL_GROUP_QKV];
    float *rows = kind == MDL_ROWS_NEXT ? ws->dqkv : block->qkv;
    const float *attended = block->attended;

    be->rmsnorm_forward(block->normed_attention, block->inverse_attention, block->in,
                        weights->norm_attention, n_row, config->n_feat, (float)config->norm_eps);
    mdl_adapted_linear_forward(rows, NULL, block->hidden[MDL_GROUP_QKV], block->normed_attention,
                               qkv, n_row);
    if (config->head_normed)
        norm_heads(ws, block, weights, rows, n_row);
    be->rope_forward(rows, block->cosine, block->sine, n_row, config->n_head + config->n_kv_head,
                     config->n_head_feat, qkv->n_out);
    if (kind == MDL_ROWS_NEXT)
        attended = attend_to_kept(ws, block, rows, n_row);
    else
        be->attention_forward(block->attended, block->log_sum, ws->scratch, block->qkv,
                              &block->attention, 0, n_row, ws->max_length);
    add_output(ws, block->middle, block->in, block->attention_output,
               block->inverse_attention_output, block->hidden[MDL_GROUP_O], attended,
               &block->linear[MDL_GROUP_O], weights->norm_attention_output, n_row);
}

/* The MLP up to what it activates. */
static void mlp_inner_forward(mdl_workspace_t *ws, int64_t layer, int64_t n_row)
{
    const mdl_backend_t *be = ws->backend;
    const mdl_model_config_t *config = &ws->decoder->config;
    mdl_block_memory_t *block = &ws->block[layer];
    be->rmsnorm_forward(block->normed_mlp, block->inverse_mlp, block->middle,
                        ws->decoder->block[layer].norm_mlp, n_row, config->n_feat,
                        (float)config->norm_eps);
    mdl_adapted_linear_forward(block->gate_up, NULL, block->hidden[MDL_GROUP_GATE_UP],
                               block->normed_mlp, &block->linear[MDL_GROUP_GATE_UP], n_row);
    if (config->activation == MDL_ACTIVATION_GELU_TANH)
        be->geglu_forward(block->activated, block->gate_up, n_row, config->n_mlp_feat);
    else
        be->swiglu_forward(block->activated, block->gate_up, n_row, config->n_mlp_feat);
}

/* The rest of the MLP: into the next block's input. */
static void mlp_output_forward(mdl_workspace_t *ws, int64_t layer, int64_t n_row)
{
    mdl_block_memory_t *block = &ws->block[layer];
    float *out = layer + 1 < ws->decoder->config.n_layer ? block[1].in : ws->out;
    add_output(ws, out, block->middle, block->mlp_output, block->inverse_mlp_output,
               block->hidden[MDL_GROUP_DOWN], block->activated, &block->linear[MDL_GROUP_DOWN],
               ws->decoder->block[layer].norm_mlp_output, n_row);
}

void mdl_blocks_forward_each(mdl_workspace_t *const *workspaces, const int64_t *n_row, int64_t n,
                             mdl_rows_kind_t kind)
{
    const mdl_decoder_t *decoder = workspaces[0]->decoder;
    for (int64_t layer = 0; layer < decoder->config.n_layer; layer++) {
        mdl_decoder_use(decoder, layer, layer + 1);
        for (int64_t i = 0; i < n; i++) {
            attention_forward(workspaces[i], layer, n_row[i], kind);
            mlp_inner_forward(workspaces[i], layer, n_row[i]);
            mlp_output_forward(workspaces[i], layer, n_row[i]);
        }
    }
    for (int64_t i = 0; i < n; i++)
        decoder->backend->rmsnorm_forward(workspaces[i]->normed, workspaces[i]->inverse,
                                          workspaces[i]->out, decoder->norm, n_row[i],
                                          decoder->config.n_feat, (float)decoder->config.norm_eps);
}

void mdl_blocks_forward(mdl_workspace_t *ws, int64_t n_row)
{
    mdl_blocks_forward_each(&ws, &n_row, 1, MDL_ROWS_WHOLE);
}

void mdl_head_forward(mdl_workspace_t *ws, const float *hidden, int64_t n_row)
{
    const mdl_decoder_t *decoder = ws->decoder;
    ws->backend->linear_forward(ws->logit, NULL, hidden, decoder->head, NULL, n_row,
                                decoder->config.n_vocab, decoder->config.n_feat);
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
    attention_forward(ws, layer, n_row, MDL_ROWS_WHOLE);
    mlp_inner_forward(ws, layer, n_row);
    if (ws->decoder->config.output_normed)
        mlp_output_forward(ws, layer, n_row);
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
