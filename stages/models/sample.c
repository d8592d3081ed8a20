#include "models/sample.h"

#include "kernels/cross_entropy.h"
#include "kernels/matmul.h"
#include "models/blocks.h"
#include "models/projector.h"
#include "models/workspace_memory.h"

#include <math.h>   /* sqrtf */
#include <string.h> /* memcpy, memset */

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

/* Position of token i in the sequence. */
static int64_t position_of(const mdl_sample_t *sample, int64_t i)
{
    return i < sample->visual_at ? i : i + sample->n_visual;
}

static void embed_token(const mdl_workspace_t *ws, float *out, int32_t token)
{
    int64_t d = ws->decoder->config.n_feat;
    memcpy(out, ws->decoder->embedding + token * d, (size_t)d * sizeof *out);
    if (!ws->decoder->config.embedding_scaled)
        return;
    float scale = sqrtf((float)d);
    for (int64_t i = 0; i < d; i++)
        out[i] *= scale;
}

static void embed(mdl_workspace_t *ws, const mdl_sample_t *sample)
{
    int64_t d = ws->decoder->config.n_feat;
    float *in = ws->block[0].in;
    for (int64_t i = 0; i < sample->n_token; i++)
        embed_token(ws, in + position_of(sample, i) * d, sample->token[i]);
    if (sample->n_visual > 0)
        mdl_projector_forward(ws, in + sample->visual_at * d, sample->feature, sample->n_visual);
}

/* Positions that the loss depends on: all before the last scored token. */
static int64_t n_needed(const mdl_sample_t *sample)
{
    for (int64_t i = sample->n_token - 1; sample->scored != NULL && i >= 0; i--)
        if (sample->scored[i])
            return position_of(sample, i);
    return 0;
}

/* Loss of n_row scored tokens: targets and the positions that predict them, and with scale != 0
 * the gradient for those last hidden states, put into dnormed. */
static double score_rows(mdl_workspace_t *ws, const int64_t *position, const int32_t *target,
                         int64_t n_row, double scale)
{
    int64_t d = ws->decoder->config.n_feat, n_vocab = ws->decoder->config.n_vocab;
    size_t n_byte = (size_t)d * sizeof(float);
    for (int64_t i = 0; i < n_row; i++)
        memcpy(ws->picked + i * d, ws->normed + position[i] * d, n_byte);
    mdl_matmul_nt(ws->logit, n_vocab, ws->picked, d, ws->decoder->head, d, n_row, n_vocab, d, 1.0f,
                  0.0f);
    double loss = mdl_cross_entropy_forward(ws->log_sum, ws->logit, target, n_row, n_vocab);
    if (scale == 0)
        return loss;
    mdl_cross_entropy_backward(ws->logit, ws->logit, ws->log_sum, target, n_row, n_vocab,
                               (float)scale);
    mdl_matmul_nn(ws->picked, d, ws->logit, n_vocab, ws->decoder->head, d, n_row, d, n_vocab, 1.0f,
                  0.0f);
    for (int64_t i = 0; i < n_row; i++)
        memcpy(ws->dnormed + position[i] * d, ws->picked + i * d, n_byte);
    return loss;
}

static double score_sample(mdl_workspace_t *ws, const mdl_sample_t *sample, double scale)
{
    int64_t position[MDL_LOGIT_ROWS], n_row = 0;
    int32_t target[MDL_LOGIT_ROWS];
    double loss = 0;
    for (int64_t i = 0; i < sample->n_token; i++) {
        if (!sample->scored[i])
            continue;
        position[n_row] = position_of(sample, i) - 1;
        target[n_row++] = sample->token[i];
        if (n_row == MDL_LOGIT_ROWS) {
            loss += score_rows(ws, position, target, n_row, scale);
            n_row = 0;
        }
    }
    return n_row > 0 ? loss + score_rows(ws, position, target, n_row, scale) : loss;
}

int mdl_sample_loss(mdl_workspace_t *ws, const mdl_sample_t *sample, double *loss_sum,
                    mdl_error_t *err)
{
    *loss_sum = 0;
    int rc = check_sample(ws, sample, 0, err);
    int64_t n_row = n_needed(sample);
    if (rc != MDL_OK || n_row == 0)
        return rc;
    embed(ws, sample);
    mdl_blocks_forward(ws, 0, n_row);
    *loss_sum = score_sample(ws, sample, 0);
    return MDL_OK;
}

int mdl_sample_gradient(mdl_workspace_t *ws, const mdl_sample_t *sample, double scale,
                        double *loss_sum, mdl_error_t *err)
{
    int64_t d = ws->decoder->config.n_feat;
    *loss_sum = 0;
    int rc = check_sample(ws, sample, 0, err);
    int64_t n_row = n_needed(sample);
    if (rc != MDL_OK || n_row == 0)
        return rc;
    embed(ws, sample);
    mdl_blocks_forward(ws, 0, n_row);
    memset(ws->dnormed, 0, (size_t)(n_row * d) * sizeof *ws->dnormed);
    *loss_sum = score_sample(ws, sample, scale);
    mdl_blocks_backward(ws, n_row);
    if (sample->n_visual > 0 && n_row > sample->visual_at)
        mdl_projector_backward(ws, ws->dstream + sample->visual_at * d, sample->feature,
                               sample->n_visual);
    return MDL_OK;
}

int mdl_sample_hidden(mdl_workspace_t *ws, const mdl_sample_t *sample, float *hidden,
                      mdl_error_t *err)
{
    int rc = check_sample(ws, sample, 0, err);
    if (rc != MDL_OK)
        return rc;
    int64_t n_row = sample->n_token + sample->n_visual;
    embed(ws, sample);
    mdl_blocks_forward(ws, 0, n_row);
    memcpy(hidden, ws->normed, (size_t)(n_row * ws->decoder->config.n_feat) * sizeof *hidden);
    return MDL_OK;
}

int mdl_sample_logits(mdl_workspace_t *ws, const mdl_sample_t *sample, float *logits,
                      mdl_error_t *err)
{
    int64_t d = ws->decoder->config.n_feat, n_vocab = ws->decoder->config.n_vocab;
    int rc = check_sample(ws, sample, 0, err);
    if (rc != MDL_OK)
        return rc;
    int64_t n_row = sample->n_token + sample->n_visual;
    embed(ws, sample);
    mdl_blocks_forward(ws, 0, n_row);
    mdl_matmul_nt(logits, n_vocab, ws->normed, d, ws->decoder->head, d, n_row, n_vocab, d, 1.0f,
                  0.0f);
    return MDL_OK;
}

/* The token after position: the highest logit, the lowest id of equals. */
static int32_t best_token(mdl_workspace_t *ws, int64_t position)
{
    int64_t d = ws->decoder->config.n_feat, n_vocab = ws->decoder->config.n_vocab;
    int32_t best = 0;
    mdl_matmul_nt(ws->logit, n_vocab, ws->normed + position * d, d, ws->decoder->head, d, 1,
                  n_vocab, d, 1.0f, 0.0f);
    for (int64_t i = 1; i < n_vocab; i++)
        best = ws->logit[i] > ws->logit[best] ? (int32_t)i : best;
    return best;
}

int mdl_sample_greedy(mdl_workspace_t *ws, const mdl_sample_t *sample, int64_t max_new,
                      int64_t eos_id, int32_t *out, int64_t *n_out, mdl_error_t *err)
{
    int64_t d = ws->decoder->config.n_feat;
    *n_out = 0;
    int rc = check_sample(ws, sample, max_new > 0 ? max_new : 0, err);
    if (rc != MDL_OK)
        return rc;
    int64_t n_row = sample->n_token + sample->n_visual;
    embed(ws, sample);
    mdl_blocks_forward(ws, 0, n_row);
    while (*n_out < max_new) {
        int32_t token = best_token(ws, n_row - 1);
        if (token == eos_id)
            break;
        out[(*n_out)++] = token;
        if (*n_out == max_new)
            break;
        embed_token(ws, ws->block[0].in + n_row * d, token);
        mdl_blocks_forward(ws, n_row++, 1);
    }
    return MDL_OK;
}
