#include "models/sample.h"

#include "models/blocks.h"
#include "models/projector.h"
#include "models/workspace_memory.h"

#include <math.h> /* sqrtf */

/* n_new: positions that the caller will add behind the sample. */
static int check_sample(const mdl_workspace_t *ws, const mdl_sample_t *sample, int64_t n_new,
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

/* Fails where the workspace doesn't keep what a pass reads again: all, or one thing. */
static int check_kept(const mdl_workspace_t *ws, mdl_keep_t keep, mdl_error_t *err)
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

/* Puts n ids and n positions from the workspace's list where the backend reads them. */
static int send_list(mdl_workspace_t *ws, int32_t *id, int32_t *at, int64_t n, mdl_error_t *err)
{
    size_t n_byte = (size_t)n * sizeof *id;
    int rc = ws->backend->upload(id, ws->list, n_byte, err);
    return rc == MDL_OK ? ws->backend->upload(at, ws->list + ws->max_length, n_byte, err) : rc;
}

/* The embeddings of the n tokens of the list into the rows of the first block's input. */
static int embed_tokens(mdl_workspace_t *ws, int64_t n, mdl_error_t *err)
{
    const mdl_model_config_t *config = &ws->decoder->config;
    float scale = config->embedding_scaled ? sqrtf((float)config->n_feat) : 1.0f;
    int rc = send_list(ws, ws->token, ws->token_at, n, err);
    if (rc == MDL_OK)
        ws->backend->rows_embed(ws->block[0].in, ws->token_at, ws->decoder->embedding, ws->token, n,
                                config->n_feat, scale);
    return rc;
}

static int embed(mdl_workspace_t *ws, const mdl_sample_t *sample, mdl_error_t *err)
{
    int64_t n_value = sample->n_visual * ws->adapter->n_vision_feat;
    int rc;
    for (int64_t i = 0; i < sample->n_token; i++) {
        ws->list[i] = sample->token[i];
        ws->list[ws->max_length + i] = (int32_t)position_of(sample, i);
    }
    MDL_TRY(embed_tokens(ws, sample->n_token, err));
    if (sample->n_visual == 0)
        return MDL_OK;
    MDL_TRY(ws->backend->upload(ws->feature, sample->feature, (size_t)n_value * sizeof *ws->feature,
                                err));
    mdl_projector_forward(ws, ws->block[0].in + sample->visual_at * ws->decoder->config.n_feat,
                          sample->n_visual);
done:
    return rc;
}

/* The last hidden states of the whole sample into normed. */
static int run_forward(mdl_workspace_t *ws, const mdl_sample_t *sample, mdl_error_t *err)
{
    int rc = embed(ws, sample, err);
    if (rc == MDL_OK)
        mdl_blocks_forward(ws, 0, sample->n_token + sample->n_visual);
    return rc;
}

/* Positions that the loss depends on: all before the last scored token. */
static int64_t n_needed(const mdl_sample_t *sample)
{
    for (int64_t i = sample->n_token - 1; sample->scored != NULL && i >= 0; i--)
        if (sample->scored[i])
            return position_of(sample, i);
    return 0;
}

/* The logits of n_row hidden states [n_row, d]. */
static void compute_logits(mdl_workspace_t *ws, const float *hidden, int64_t n_row)
{
    int64_t d = ws->decoder->config.n_feat, n_vocab = ws->decoder->config.n_vocab;
    ws->backend->linear_forward(ws->logit, NULL, hidden, ws->decoder->head, NULL, n_row, n_vocab,
                                d);
}

/* Adds the loss of the scored tokens first .. first + n_row - 1 to the workspace's; with scale != 0
 * puts its gradient for the last hidden states into dnormed. */
static void score_rows(mdl_workspace_t *ws, int64_t first, int64_t n_row, float scale)
{
    const mdl_backend_t *be = ws->backend;
    int64_t d = ws->decoder->config.n_feat, n_vocab = ws->decoder->config.n_vocab;
    const int32_t *target = ws->target + first, *at = ws->target_at + first;
    be->rows_move(ws->picked, NULL, ws->normed, at, n_row, d, 1.0f);
    compute_logits(ws, ws->picked, n_row);
    be->cross_entropy_forward(ws->loss, ws->log_sum, ws->logit, target, n_row, n_vocab);
    if (scale == 0)
        return;
    be->cross_entropy_backward(ws->logit, ws->logit, ws->log_sum, target, n_row, n_vocab, scale);
    be->linear_backward(ws->picked, ws->logit, ws->decoder->head, n_row, n_vocab, d);
    be->rows_move(ws->dnormed, at, ws->picked, NULL, n_row, d, 1.0f);
}

/* The sum of the scored tokens' losses into the workspace's, as score_rows does. */
static int score_sample(mdl_workspace_t *ws, const mdl_sample_t *sample, double scale,
                        mdl_error_t *err)
{
    int64_t n_scored = 0, n_most = ws->backend->n_logit_row;
    for (int64_t i = 0; i < sample->n_token; i++) {
        if (!sample->scored[i])
            continue;
        ws->list[n_scored] = sample->token[i];
        ws->list[ws->max_length + n_scored++] = (int32_t)position_of(sample, i) - 1;
    }
    int rc = send_list(ws, ws->target, ws->target_at, n_scored, err);
    if (rc != MDL_OK)
        return rc;
    ws->backend->zero(ws->loss, sizeof *ws->loss);
    for (int64_t first = 0; first < n_scored; first += n_most)
        score_rows(ws, first, n_scored - first < n_most ? n_scored - first : n_most, (float)scale);
    return MDL_OK;
}

int mdl_sample_loss(mdl_workspace_t *ws, const mdl_sample_t *sample, double *loss_sum,
                    mdl_error_t *err)
{
    *loss_sum = 0;
    int rc = check_sample(ws, sample, 0, err);
    int64_t n_row = n_needed(sample);
    if (rc != MDL_OK || n_row == 0)
        return rc;
    MDL_TRY(embed(ws, sample, err));
    mdl_blocks_forward(ws, 0, n_row);
    MDL_TRY(score_sample(ws, sample, 0, err));
    rc = ws->backend->download(loss_sum, ws->loss, sizeof *loss_sum, err);
done:
    return rc;
}

int mdl_sample_gradient(mdl_workspace_t *ws, const mdl_sample_t *sample, double scale,
                        double *loss_sum, mdl_error_t *err)
{
    int64_t d = ws->decoder->config.n_feat;
    *loss_sum = 0;
    int rc = check_kept(ws, MDL_KEEP_INPUTS, err);
    if (rc == MDL_OK)
        rc = check_sample(ws, sample, 0, err);
    int64_t n_row = n_needed(sample);
    if (rc != MDL_OK || n_row == 0)
        return rc;
    MDL_TRY(embed(ws, sample, err));
    mdl_blocks_forward(ws, 0, n_row);
    ws->backend->zero(ws->dnormed, (size_t)(n_row * d) * sizeof *ws->dnormed);
    MDL_TRY(score_sample(ws, sample, scale, err));
    mdl_blocks_backward(ws, n_row);
    if (sample->n_visual > 0 && n_row > sample->visual_at)
        mdl_projector_backward(ws, ws->dstream + sample->visual_at * d, sample->n_visual);
    rc = ws->backend->download(loss_sum, ws->loss, sizeof *loss_sum, err);
done:
    return rc;
}

int mdl_sample_hidden(mdl_workspace_t *ws, const mdl_sample_t *sample, float *hidden,
                      mdl_error_t *err)
{
    int64_t n_value = (sample->n_token + sample->n_visual) * ws->decoder->config.n_feat;
    int rc;
    MDL_TRY(check_sample(ws, sample, 0, err));
    MDL_TRY(run_forward(ws, sample, err));
    rc = ws->backend->download(hidden, ws->normed, (size_t)n_value * sizeof *hidden, err);
done:
    return rc;
}

int mdl_sample_logits(mdl_workspace_t *ws, const mdl_sample_t *sample, float *logits,
                      mdl_error_t *err)
{
    int64_t d = ws->decoder->config.n_feat, n_vocab = ws->decoder->config.n_vocab;
    int64_t n_row = sample->n_token + sample->n_visual, n_most = ws->backend->n_logit_row;
    int rc;
    MDL_TRY(check_sample(ws, sample, 0, err));
    MDL_TRY(run_forward(ws, sample, err));
    for (int64_t row = 0; row < n_row; row += n_most) {
        int64_t n = n_row - row < n_most ? n_row - row : n_most;
        compute_logits(ws, ws->normed + row * d, n);
        MDL_TRY(ws->backend->download(logits + row * n_vocab, ws->logit,
                                      (size_t)(n * n_vocab) * sizeof *logits, err));
    }
done:
    return rc;
}

/* The token after position: the highest logit, the lowest id of equals. */
static int best_token(mdl_workspace_t *ws, int64_t position, int32_t *token, mdl_error_t *err)
{
    compute_logits(ws, ws->normed + position * ws->decoder->config.n_feat, 1);
    ws->backend->rows_largest(ws->best, ws->logit, 1, ws->decoder->config.n_vocab);
    return ws->backend->download(token, ws->best, sizeof *token, err);
}

int mdl_sample_greedy(mdl_workspace_t *ws, const mdl_sample_t *sample, int64_t max_new,
                      int64_t eos_id, int32_t *out, int64_t *n_out, mdl_error_t *err)
{
    int64_t n_row = sample->n_token + sample->n_visual;
    int32_t token;
    int rc;
    *n_out = 0;
    MDL_TRY(check_kept(ws, MDL_KEEP_KEYS, err));
    MDL_TRY(check_sample(ws, sample, max_new > 0 ? max_new : 0, err));
    MDL_TRY(run_forward(ws, sample, err));
    while (*n_out < max_new) {
        MDL_TRY(best_token(ws, n_row - 1, &token, err));
        if (token == eos_id)
            break;
        out[(*n_out)++] = token;
        if (*n_out == max_new)
            break;
        ws->list[0] = token;
        ws->list[ws->max_length] = (int32_t)n_row;
        MDL_TRY(embed_tokens(ws, 1, err));
        mdl_blocks_forward(ws, n_row++, 1);
    }
done:
    return rc;
}
