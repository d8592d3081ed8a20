#include "models/workspace.h"

#include "kernels/rope.h"
#include "models/workspace_memory.h"

#include <cblas.h> /* openblas_set_num_threads */
#include <math.h>  /* sqrtf */
#include <stdlib.h>

/* Hands out parts of one allocation; with base NULL it only counts. Every part starts 256 bytes, or
 * a multiple of that, behind the first: cuBLASLt's way to a product depends on addresses up to
 * there, and all blocks of all workspaces have to be computed in the same way. */
typedef struct {
    float *base;
    size_t n_taken;
} arena_t;

static float *take(arena_t *arena, int64_t n_row, int64_t n_col)
{
    float *part = arena->base != NULL ? arena->base + arena->n_taken : NULL;
    size_t n = (size_t)n_row * (size_t)n_col;
    arena->n_taken += (n + 63) / 64 * 64;
    return part;
}

static void lay_out_block(arena_t *arena, mdl_block_memory_t *block,
                          const mdl_model_config_t *config, int64_t rank, int64_t max_length)
{
    int64_t t = max_length, d = config->n_feat, f = config->n_mlp_feat;
    int64_t t_output = config->output_normed ? t : 0, n_head = config->n_head + config->n_kv_head;
    block->in = take(arena, t, d);
    block->inverse_attention = take(arena, t, 1);
    block->normed_attention = take(arena, t, d);
    block->qkv = take(arena, t, mdl_group_n_out(config, MDL_GROUP_QKV));
    block->plain_qk = take(arena, config->head_normed ? t : 0, n_head * config->n_head_feat);
    block->inverse_qk = take(arena, config->head_normed ? t : 0, n_head);
    block->log_sum = take(arena, config->n_head, t);
    block->attended = take(arena, t, config->n_head * config->n_head_feat);
    block->attention_output = take(arena, t_output, d);
    block->inverse_attention_output = take(arena, t_output, 1);
    block->middle = take(arena, t, d);
    block->inverse_mlp = take(arena, t, 1);
    block->normed_mlp = take(arena, t, d);
    block->gate_up = take(arena, t, 2 * f);
    block->activated = take(arena, t, f);
    block->mlp_output = take(arena, t_output, d);
    block->inverse_mlp_output = take(arena, t_output, 1);
    for (int group = 0; group < MDL_N_GROUP; group++) {
        int64_t n_linear = 1 + (int64_t)mdl_group_last(config, (mdl_linear_group_t)group) -
                           (int64_t)mdl_group_first(config, (mdl_linear_group_t)group);
        block->hidden[group] = take(arena, t, n_linear * rank);
    }
}

/* A block behind another: shares the other's arrays but for those that each keeps. */
static void lay_out_next(arena_t *arena, mdl_block_memory_t *block,
                         const mdl_block_memory_t *before, const mdl_model_config_t *config,
                         int64_t rank, int64_t max_length, mdl_workspace_keep_t keep)
{
    *block = *before;
    if (keep == MDL_KEEP_ALL)
        lay_out_block(arena, block, config, rank, max_length);
    if (keep == MDL_KEEP_INPUTS)
        block->in = take(arena, max_length, config->n_feat);
    if (keep == MDL_KEEP_KEYS)
        block->qkv = take(arena, max_length, mdl_group_n_out(config, MDL_GROUP_QKV));
}

static mdl_attention_t attention_shape(const mdl_model_config_t *config, int64_t layer)
{
    int local = config->is_local[layer];
    double scalar = config->query_scalar > 0 ? config->query_scalar : (double)config->n_head_feat;
    return (mdl_attention_t){.n_head = config->n_head,
                             .n_kv_head = config->n_kv_head,
                             .n_head_feat = config->n_head_feat,
                             .ld_qkv = mdl_group_n_out(config, MDL_GROUP_QKV),
                             .scale = 1.0f / sqrtf((float)scalar),
                             .n_window = local ? config->n_window : 0};
}

static void lay_out(arena_t *arena, const mdl_backend_room_t *room, mdl_workspace_t *ws,
                    const mdl_model_config_t *config, int64_t n_vision_feat, int64_t rank,
                    int64_t max_length)
{
    int64_t t = max_length, d = config->n_feat, f = config->n_mlp_feat;
    mdl_attention_t shape = attention_shape(config, 0);
    ws->token = (int32_t *)take(arena, t, 1);
    ws->token_at = (int32_t *)take(arena, t, 1);
    ws->target = (int32_t *)take(arena, t, 1);
    ws->target_at = (int32_t *)take(arena, t, 1);
    ws->position = (int32_t *)take(arena, t, 1);
    ws->begin = (int32_t *)take(arena, t, 1);
    ws->visual_at = (int32_t *)take(arena, t, 1);
    ws->kept_at = (int32_t *)take(arena, t, 1);
    ws->best = (int32_t *)take(arena, room->n_logit_row, 1);
    ws->loss = (double *)(void *)take(arena, 2, 1);
    ws->feature = take(arena, t, n_vision_feat);
    for (int i = 0; i < 2; i++) {
        int64_t t_table = i == 0 || config->n_window > 0 ? t : 0;
        ws->cosine[i] = take(arena, t_table, config->n_head_feat / 2);
        ws->sine[i] = take(arena, t_table, config->n_head_feat / 2);
        ws->pack_cosine[i] = take(arena, t_table, config->n_head_feat / 2);
        ws->pack_sine[i] = take(arena, t_table, config->n_head_feat / 2);
    }
    ws->visual = take(arena, t, d);
    ws->projected = take(arena, t, d);
    ws->gelu = take(arena, t, d);
    ws->out = take(arena, t, d);
    ws->inverse = take(arena, t, 1);
    ws->normed = take(arena, t, d);
    ws->picked = take(arena, room->n_logit_row, d);
    ws->logit = take(arena, room->n_logit_row, config->n_vocab);
    ws->log_sum = take(arena, room->n_logit_row, 1);
    ws->scratch = take(arena, room->attention_n_scratch(&shape, t), 1);
    ws->dstream = take(arena, t, d);
    ws->dnormed = take(arena, t, d);
    ws->dqkv = take(arena, t, mdl_group_n_out(config, MDL_GROUP_QKV));
    ws->dattended = take(arena, t, config->n_head * config->n_head_feat);
    ws->dgate_up = take(arena, t, 2 * f);
    ws->dactivated = take(arena, t, f);
    ws->dhidden = take(arena, t, 3 * rank);
    ws->output = take(arena, config->output_normed ? t : 0, d);
}

size_t mdl_workspace_n_byte(const mdl_backend_room_t *room, const mdl_model_config_t *config,
                            int64_t n_vision_feat, int64_t lora_rank, int64_t max_length,
                            mdl_workspace_keep_t keep)
{
    arena_t first = {NULL, 0}, next = {NULL, 0};
    mdl_workspace_t ws;
    mdl_block_memory_t block = {0};
    lay_out(&first, room, &ws, config, n_vision_feat, lora_rank, max_length);
    lay_out_block(&first, &block, config, lora_rank, max_length);
    lay_out_next(&next, &block, &block, config, lora_rank, max_length, keep);
    return (first.n_taken + (size_t)(config->n_layer - 1) * next.n_taken) * sizeof(float);
}

static int check(const mdl_decoder_t *decoder, const mdl_adapter_t *adapter, int64_t max_length,
                 mdl_error_t *err)
{
    const mdl_model_config_t *config = &decoder->config;
    if (max_length < 1 || max_length > config->n_max_position)
        return mdl_fail(err, MDL_E_INPUT,
                        "sequences of %lld positions don't fit the decoder, which has "
                        "max_position_embeddings %lld",
                        (long long)max_length, (long long)config->n_max_position);
    if (adapter->n_feat != config->n_feat || adapter->n_layer != config->n_layer)
        return mdl_fail(err, MDL_E_INPUT,
                        "the adapter is for a decoder of width %lld with %lld blocks; this one "
                        "has %lld and %lld",
                        (long long)adapter->n_feat, (long long)adapter->n_layer,
                        (long long)config->n_feat, (long long)config->n_layer);
    if (adapter->backend != decoder->backend)
        return mdl_fail(err, MDL_E_INTERNAL, "adapter and decoder are on different backends");
    return MDL_OK;
}

/* Cosine and sine of one kind of block, by the rope of that kind. table: [2, T, n_head_feat / 2] in
 * the host's memory. */
static int fill_table(mdl_workspace_t *ws, float *table, int local, mdl_error_t *err)
{
    const mdl_model_config_t *config = &ws->decoder->config;
    const float *frequency = local ? ws->decoder->frequency_local : ws->decoder->frequency;
    float magnitude = (float)(local ? config->rope_local.magnitude : config->rope.magnitude);
    int64_t n_half = config->n_head_feat / 2, n = ws->max_length * n_half;
    mdl_rope_table(table, table + n, frequency, ws->max_length, n_half);
    for (int64_t i = 0; config->rope.type == MDL_ROPE_LONGROPE && i < 2 * n; i++)
        table[i] *= magnitude;
    size_t n_byte = (size_t)n * sizeof *table;
    int rc = ws->backend->upload(ws->cosine[local], table, n_byte, err);
    return rc == MDL_OK ? ws->backend->upload(ws->sine[local], table + n, n_byte, err) : rc;
}

static int fill_tables(mdl_workspace_t *ws, mdl_error_t *err)
{
    const mdl_model_config_t *config = &ws->decoder->config;
    float *table = NULL;
    int rc = mdl_alloc(&table, (size_t)ws->max_length, (size_t)config->n_head_feat * sizeof *table,
                       "tables of positions", err);
    for (int local = 0; rc == MDL_OK && local <= (config->n_window > 0); local++)
        rc = fill_table(ws, table, local, err);
    free(table);
    return rc;
}

static void set_block(mdl_workspace_t *ws, int64_t layer)
{
    const mdl_model_config_t *config = &ws->decoder->config;
    mdl_block_memory_t *block = &ws->block[layer];
    block->cosine = ws->cosine[config->is_local[layer]];
    block->sine = ws->sine[config->is_local[layer]];
    block->attention = attention_shape(config, layer);
    for (int group = 0; group < MDL_N_GROUP; group++)
        block->linear[group] =
            mdl_adapted_linear(ws->decoder, ws->adapter, layer, (mdl_linear_group_t)group);
}

int mdl_workspace_new(const mdl_decoder_t *decoder, mdl_adapter_t *adapter, int64_t max_length,
                      mdl_workspace_keep_t keep, mdl_workspace_t **workspace, mdl_error_t *err)
{
    int rc = MDL_OK;
    const mdl_model_config_t *config = &decoder->config;
    const mdl_backend_t *backend = decoder->backend;
    mdl_workspace_t *ws = NULL;
    *workspace = NULL;
    MDL_TRY(check(decoder, adapter, max_length, err));
    MDL_TRY(mdl_alloc(&ws, 1, sizeof *ws, "a workspace", err));
    ws->backend = backend;
    ws->decoder = decoder;
    ws->adapter = adapter;
    ws->max_length = max_length;
    ws->keep = keep;
    MDL_TRY(mdl_alloc(&ws->block, (size_t)config->n_layer, sizeof *ws->block,
                      "a workspace's blocks", err));
    MDL_TRY(mdl_alloc(&ws->list, 2 * (size_t)max_length, sizeof *ws->list, "a workspace", err));
    MDL_TRY(backend->alloc(&ws->storage,
                           mdl_workspace_n_byte(backend->room, config, adapter->n_vision_feat,
                                                adapter->rank, max_length, keep),
                           "a workspace's activations", err));
    arena_t arena = {ws->storage, 0};
    lay_out(&arena, backend->room, ws, config, adapter->n_vision_feat, adapter->rank, max_length);
    MDL_TRY(fill_tables(ws, err));
    lay_out_block(&arena, &ws->block[0], config, adapter->rank, max_length);
    for (int64_t layer = 1; layer < config->n_layer; layer++)
        lay_out_next(&arena, &ws->block[layer], &ws->block[layer - 1], config, adapter->rank,
                     max_length, keep);
    for (int64_t layer = 0; layer < config->n_layer; layer++)
        set_block(ws, layer);
    openblas_set_num_threads(1);
    *workspace = ws;
    ws = NULL;
done:
    mdl_workspace_free(ws);
    return rc;
}

void mdl_workspace_free(mdl_workspace_t *workspace)
{
    if (workspace == NULL)
        return;
    workspace->backend->release(workspace->storage);
    free(workspace->list);
    free(workspace->block);
    free(workspace);
}
