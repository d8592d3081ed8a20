#include "models/pass.h"

#include "models/projector.h"
#include "models/workspace_memory.h"

#include <math.h> /* sqrtf */

int mdl_pass_check(const mdl_workspace_t *ws, const mdl_sample_t *sample, int64_t n_new,
                   mdl_error_t *err)
{
    int64_t n_vocab = ws->decoder->config.n_vocab, n_token = sample->n_token;
    if (n_token < 0 || sample->n_visual < 0 || n_token > ws->max_length ||
        sample->n_visual > ws->max_length || n_new > ws->max_length ||
        n_token + sample->n_visual + n_new > ws->max_length)
        return mdl_fail(err, MDL_E_INPUT,
                        "a sample of %lld tokens, %lld visual tokens and %lld new ones is longer "
                        "than the %lld positions in use; shorten it or raise the length",
                        (long long)n_token, (long long)sample->n_visual, (long long)n_new,
                        (long long)ws->max_length);
    if (n_token + sample->n_visual == 0)
        return mdl_fail(err, MDL_E_INPUT, "a sample is empty");
    if (sample->visual_at < 0 || sample->visual_at > n_token)
        return mdl_fail(err, MDL_E_INPUT,
                        "the visual tokens of a sample come before token %lld of %lld",
                        (long long)sample->visual_at, (long long)n_token);
    for (int64_t i = 0; i < n_token; i++)
        if (sample->token[i] < 0 || sample->token[i] >= n_vocab)
            return mdl_fail(err, MDL_E_INPUT,
                            "token id %d at place %lld of a sample is outside the vocabulary of "
                            "%lld; the corpus was made for another model",
                            (int)sample->token[i], (long long)i, (long long)n_vocab);
    if (sample->scored != NULL && n_token > 0 && sample->scored[0] &&
        (sample->n_visual == 0 || sample->visual_at > 0))
        return mdl_fail(err, MDL_E_INPUT,
                        "the first position of a sample is scored, but nothing comes before it");
    return MDL_OK;
}

int mdl_pass_check_kept(const mdl_workspace_t *ws, mdl_workspace_keep_t keep, mdl_error_t *err)
{
    if (ws->keep != MDL_KEEP_ALL && ws->keep != keep)
        return mdl_fail(err, MDL_E_INTERNAL, "a workspace was made for other passes than this one");
    return MDL_OK;
}

/* Position of token i in the sequence. */
static int64_t position_of(const mdl_sample_t *sample, int64_t i)
{
    return i < sample->visual_at ? i : i + sample->n_visual;
}

int64_t mdl_pass_n_needed(const mdl_sample_t *sample)
{
    for (int64_t i = sample->n_token - 1; sample->scored != NULL && i >= 0; i--)
        if (sample->scored[i])
            return position_of(sample, i);
    return 0;
}

/* Rows that sample number i takes. */
static int64_t n_row_of(const mdl_pass_t *pass, int64_t i)
{
    const mdl_sample_t *sample = &pass->sample[i];
    return pass->whole ? sample->n_token + sample->n_visual : mdl_pass_n_needed(sample);
}

/* Its visual tokens among them: all, or none where they come behind what is needed. */
static int64_t n_visual_of(const mdl_pass_t *pass, int64_t i)
{
    const mdl_sample_t *sample = &pass->sample[i];
    return n_row_of(pass, i) > sample->visual_at ? sample->n_visual : 0;
}

/* Puts n numbers from each half of the workspace's list where the backend reads them. */
static int send_list(mdl_workspace_t *ws, int32_t *first, int32_t *second, int64_t n,
                     mdl_error_t *err)
{
    size_t n_byte = (size_t)n * sizeof *first;
    int rc = ws->backend->upload(first, ws->list, n_byte, err);
    return rc == MDL_OK ? ws->backend->upload(second, ws->list + ws->max_length, n_byte, err) : rc;
}

/* Adds a number to each half of the list of n, which is one longer then. */
static int64_t append(mdl_workspace_t *ws, int64_t n, int64_t first, int64_t second)
{
    ws->list[n] = (int32_t)first;
    ws->list[ws->max_length + n] = (int32_t)second;
    return n + 1;
}

/* What the blocks take for positions: those of the lists, or the rows themselves. */
static void set_positions(mdl_workspace_t *ws, int listed)
{
    const mdl_model_config_t *config = &ws->decoder->config;
    for (int64_t layer = 0; layer < config->n_layer; layer++) {
        mdl_block_memory_t *block = &ws->block[layer];
        int local = config->is_local[layer];
        block->attention.begin = listed ? ws->begin : NULL;
        block->cosine = listed ? ws->pack_cosine[local] : ws->cosine[local];
        block->sine = listed ? ws->pack_sine[local] : ws->sine[local];
    }
}

/* Turns rows 0 .. n - 1 by the positions in the list of them. */
static void take_listed_positions(mdl_workspace_t *ws, int64_t n)
{
    const mdl_model_config_t *config = &ws->decoder->config;
    int64_t n_half = config->n_head_feat / 2;
    for (int local = 0; local <= (config->n_window > 0); local++) {
        ws->backend->rows_move(ws->pack_cosine[local], NULL, ws->cosine[local], ws->position, n,
                               n_half, 1.0f);
        ws->backend->rows_move(ws->pack_sine[local], NULL, ws->sine[local], ws->position, n, n_half,
                               1.0f);
    }
    set_positions(ws, 1);
}

/* Positions start anew in every sample of a pack, and none sees another. */
static int lay_positions(mdl_workspace_t *ws, const mdl_pass_t *pass, mdl_error_t *err)
{
    int64_t n = 0;
    set_positions(ws, 0);
    if (pass->n_sample == 1)
        return MDL_OK;
    for (int64_t i = 0; i < pass->n_sample; i++)
        for (int64_t begin = n, n_row = n_row_of(pass, i); n < begin + n_row;)
            n = append(ws, n, n - begin, begin);
    int rc = send_list(ws, ws->position, ws->begin, n, err);
    if (rc == MDL_OK)
        take_listed_positions(ws, n);
    return rc;
}

/* The embeddings of the n tokens of the list into the rows of the first block's input. */
static int embed_list(mdl_workspace_t *ws, int64_t n, mdl_error_t *err)
{
    const mdl_model_config_t *config = &ws->decoder->config;
    float scale = config->embedding_scaled ? sqrtf((float)config->n_feat) : 1.0f;
    int rc = send_list(ws, ws->token, ws->token_at, n, err);
    if (rc == MDL_OK)
        ws->backend->rows_embed(ws->block[0].in, ws->token_at, ws->decoder->embedding, ws->token, n,
                                config->n_feat, scale);
    return rc;
}

static int embed_tokens(mdl_workspace_t *ws, const mdl_pass_t *pass, mdl_error_t *err)
{
    int64_t n = 0, begin = 0;
    for (int64_t s = 0; s < pass->n_sample; s++) {
        const mdl_sample_t *sample = &pass->sample[s];
        int64_t n_row = n_row_of(pass, s);
        for (int64_t i = 0; i < sample->n_token && position_of(sample, i) < n_row; i++)
            n = append(ws, n, sample->token[i], begin + position_of(sample, i));
        begin += n_row;
    }
    return embed_list(ws, n, err);
}

static int project_visual(mdl_workspace_t *ws, const mdl_pass_t *pass, mdl_error_t *err)
{
    int64_t d = ws->decoder->config.n_feat, dv = ws->adapter->n_vision_feat, n = 0, begin = 0;
    int rc = MDL_OK;
    for (int64_t s = 0; s < pass->n_sample; s++) {
        const mdl_sample_t *sample = &pass->sample[s];
        int64_t n_visual = n_visual_of(pass, s);
        if (n_visual > 0)
            MDL_TRY(ws->backend->upload(ws->feature + n * dv, sample->feature,
                                        (size_t)(n_visual * dv) * sizeof *ws->feature, err));
        for (int64_t i = 0; i < n_visual; i++)
            ws->list[n++] = (int32_t)(begin + sample->visual_at + i);
        begin += n_row_of(pass, s);
    }
    MDL_TRY(ws->backend->upload(ws->visual_at, ws->list, (size_t)n * sizeof *ws->list, err));
    mdl_projector_forward(ws, ws->visual, n);
    ws->backend->rows_move(ws->block[0].in, ws->visual_at, ws->visual, NULL, n, d, 1.0f);
done:
    return rc;
}

int mdl_pass_begin(mdl_workspace_t *ws, mdl_pass_t *pass, mdl_error_t *err)
{
    int rc = MDL_OK;
    pass->n_row = pass->n_visual = 0;
    for (int64_t i = 0; i < pass->n_sample; i++) {
        MDL_TRY(mdl_pass_check(ws, &pass->sample[i], pass->n_new, err));
        pass->n_row += n_row_of(pass, i);
        pass->n_visual += n_visual_of(pass, i);
    }
    int64_t n_taken = pass->n_row + pass->n_sample * pass->n_new;
    if (n_taken > ws->max_length) {
        rc = mdl_fail(err, MDL_E_INPUT,
                      "a pack of %lld samples with %lld positions is longer than the %lld in use",
                      (long long)pass->n_sample, (long long)n_taken, (long long)ws->max_length);
        goto done;
    }
    if (pass->n_row == 0)
        goto done;
    MDL_TRY(lay_positions(ws, pass, err));
    MDL_TRY(embed_tokens(ws, pass, err));
    if (pass->n_visual > 0)
        rc = project_visual(ws, pass, err);
done:
    return rc;
}

/* From one behind the other to kept_at, in each block. */
static void spread_keys(mdl_workspace_t *ws, int64_t n_row)
{
    const mdl_backend_t *be = ws->backend;
    for (int64_t layer = 0; layer < ws->decoder->config.n_layer; layer++) {
        mdl_block_memory_t *block = &ws->block[layer];
        int64_t ld = block->attention.ld_qkv;
        be->copy(ws->dqkv, block->qkv, (size_t)(n_row * ld) * sizeof *ws->dqkv);
        be->rows_move(block->qkv, ws->kept_at, ws->dqkv, NULL, n_row, ld, 1.0f);
    }
}

int mdl_pass_keep(mdl_workspace_t *ws, const mdl_pass_t *pass, mdl_next_t *next, mdl_error_t *err)
{
    int32_t *kept_at = ws->list, *begins = ws->list + ws->max_length;
    int64_t n = 0, begin = 0;
    int rc;
    for (int64_t s = 0; s < pass->n_sample; s++) {
        int64_t n_row = n_row_of(pass, s), end = begin + n_row + pass->n_new;
        for (int64_t i = 0; i < n_row; i++)
            kept_at[n++] = (int32_t)(begin + i);
        for (int64_t i = begin; i < end; i++)
            begins[i] = (int32_t)begin;
        next[s] = (mdl_next_t){
            .sample = s, .position = n_row - 1, .kept_row = begin + n_row - 1, .row = n - 1};
        begin = end;
    }
    MDL_TRY(ws->backend->upload(ws->kept_at, kept_at, (size_t)n * sizeof *kept_at, err));
    MDL_TRY(ws->backend->upload(ws->begin, begins, (size_t)begin * sizeof *begins, err));
    if (pass->n_sample > 1)
        spread_keys(ws, n);
done:
    return rc;
}

int mdl_pass_continue(mdl_workspace_t *ws, mdl_next_t *next, int64_t n, mdl_error_t *err)
{
    int rc;
    for (int64_t i = 0; i < n; i++) {
        append(ws, i, next[i].position, next[i].kept_row);
        next[i].row = i;
    }
    MDL_TRY(send_list(ws, ws->position, ws->kept_at, n, err));
    take_listed_positions(ws, n);
    for (int64_t i = 0; i < n; i++)
        append(ws, i, next[i].token, i);
    rc = embed_list(ws, n, err);
done:
    return rc;
}

int mdl_pass_targets(mdl_workspace_t *ws, const mdl_pass_t *pass, int64_t *n_scored,
                     mdl_error_t *err)
{
    int64_t n = 0, begin = 0;
    for (int64_t s = 0; s < pass->n_sample; s++) {
        const mdl_sample_t *sample = &pass->sample[s];
        for (int64_t i = 0; sample->scored != NULL && i < sample->n_token; i++)
            if (sample->scored[i])
                n = append(ws, n, sample->token[i], begin + position_of(sample, i) - 1);
        begin += n_row_of(pass, s);
    }
    *n_scored = n;
    return send_list(ws, ws->target, ws->target_at, n, err);
}

void mdl_pass_visual_backward(mdl_workspace_t *ws, const mdl_pass_t *pass)
{
    if (pass->n_visual == 0)
        return;
    ws->backend->rows_move(ws->visual, NULL, ws->dstream, ws->visual_at, pass->n_visual,
                           ws->decoder->config.n_feat, 1.0f);
    mdl_projector_backward(ws, ws->visual, pass->n_visual);
}
