#include "models/sample.h"

#include "models/blocks.h"
#include "models/pass.h"
#include "models/workspace_memory.h"

/* Fails where the workspace doesn't keep what a pass reads again: all, or one thing. */
static int check_kept(const mdl_workspace_t *ws, mdl_workspace_keep_t keep, mdl_error_t *err)
{
    if (ws->keep != MDL_KEEP_ALL && ws->keep != keep)
        return mdl_fail(err, MDL_E_INTERNAL, "a workspace was made for other passes than this one");
    return MDL_OK;
}

/* The last hidden states of the whole sample into normed. */
static int run_forward(mdl_workspace_t *ws, const mdl_sample_t *sample, mdl_error_t *err)
{
    mdl_pass_t pass = {.sample = sample, .n_sample = 1, .whole = 1};
    int rc = mdl_pass_begin(ws, &pass, err);
    if (rc == MDL_OK)
        mdl_blocks_forward(ws, 0, pass.n_row);
    return rc;
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
static int score_pass(mdl_workspace_t *ws, const mdl_pass_t *pass, double scale, mdl_error_t *err)
{
    int64_t n_scored, n_most = ws->backend->room->n_logit_row;
    int rc = mdl_pass_targets(ws, pass, &n_scored, err);
    if (rc != MDL_OK)
        return rc;
    ws->backend->zero(ws->loss, sizeof *ws->loss);
    for (int64_t first = 0; first < n_scored; first += n_most)
        score_rows(ws, first, n_scored - first < n_most ? n_scored - first : n_most, (float)scale);
    return MDL_OK;
}

/* The workspaces that pass the blocks together next, and the rows in each. */
typedef struct {
    int64_t n;
    mdl_workspace_t *ws[MDL_MOST_TOGETHER];
    int64_t first[MDL_MOST_TOGETHER], n_row[MDL_MOST_TOGETHER];
} together_t;

static void join(together_t *together, mdl_workspace_t *ws, int64_t first, int64_t n_row)
{
    together->ws[together->n] = ws;
    together->first[together->n] = first;
    together->n_row[together->n++] = n_row;
}

static void pass_blocks(const together_t *together)
{
    if (together->n > 0)
        mdl_blocks_forward_each(together->ws, together->first, together->n_row, together->n);
}

int mdl_sample_loss_each(mdl_workspace_t *const *ws, const mdl_sample_t *samples, int64_t n,
                         double *loss_sum, mdl_error_t *err)
{
    mdl_pass_t pass[MDL_MOST_TOGETHER];
    together_t together = {0};
    int rc = MDL_OK;
    for (int64_t i = 0; i < n; i++) {
        loss_sum[i] = 0;
        pass[i] = (mdl_pass_t){.sample = &samples[i], .n_sample = 1};
        MDL_TRY(mdl_pass_begin(ws[i], &pass[i], err));
        if (pass[i].n_row > 0)
            join(&together, ws[i], 0, pass[i].n_row);
    }
    pass_blocks(&together);
    for (int64_t i = 0; i < n; i++) {
        if (pass[i].n_row == 0)
            continue;
        MDL_TRY(score_pass(ws[i], &pass[i], 0, err));
        MDL_TRY(ws[i]->backend->download(&loss_sum[i], ws[i]->loss, sizeof *loss_sum, err));
    }
done:
    return rc;
}

int mdl_sample_loss(mdl_workspace_t *ws, const mdl_sample_t *sample, double *loss_sum,
                    mdl_error_t *err)
{
    return mdl_sample_loss_each(&ws, sample, 1, loss_sum, err);
}

int mdl_sample_gradient(mdl_workspace_t *ws, const mdl_sample_t *sample, double scale,
                        double *loss_sum, mdl_error_t *err)
{
    return mdl_pack_gradient(ws, sample, 1, scale, loss_sum, err);
}

int mdl_pack_gradient(mdl_workspace_t *ws, const mdl_sample_t *sample, int64_t n_sample,
                      double scale, double *loss_sum, mdl_error_t *err)
{
    mdl_pass_t pass = {.sample = sample, .n_sample = n_sample};
    *loss_sum = 0;
    int rc = check_kept(ws, MDL_KEEP_INPUTS, err);
    if (rc == MDL_OK)
        rc = mdl_pass_begin(ws, &pass, err);
    if (rc != MDL_OK || pass.n_row == 0)
        return rc;
    mdl_blocks_forward(ws, 0, pass.n_row);
    ws->backend->zero(ws->dnormed,
                      (size_t)(pass.n_row * ws->decoder->config.n_feat) * sizeof *ws->dnormed);
    MDL_TRY(score_pass(ws, &pass, scale, err));
    mdl_blocks_backward(ws, pass.n_row);
    mdl_pass_visual_backward(ws, &pass);
    rc = ws->backend->download(loss_sum, ws->loss, sizeof *loss_sum, err);
done:
    return rc;
}

int mdl_sample_hidden(mdl_workspace_t *ws, const mdl_sample_t *sample, float *hidden,
                      mdl_error_t *err)
{
    int64_t n_value = (sample->n_token + sample->n_visual) * ws->decoder->config.n_feat;
    int rc;
    MDL_TRY(run_forward(ws, sample, err));
    rc = ws->backend->download(hidden, ws->normed, (size_t)n_value * sizeof *hidden, err);
done:
    return rc;
}

int mdl_sample_logits(mdl_workspace_t *ws, const mdl_sample_t *sample, float *logits,
                      mdl_error_t *err)
{
    int64_t d = ws->decoder->config.n_feat, n_vocab = ws->decoder->config.n_vocab;
    int64_t n_row = sample->n_token + sample->n_visual, n_most = ws->backend->room->n_logit_row;
    int rc;
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

/* Adds a token to an answer; *length counts the positions of its sample with those of the answer
 * that have passed. Joins the next pass unless the answer is over. */
static int extend(mdl_workspace_t *ws, int64_t max_new, int64_t eos_id, int32_t *out,
                  int64_t *n_out, int64_t *length, together_t *next, mdl_error_t *err)
{
    int32_t token;
    int rc;
    MDL_TRY(best_token(ws, *length - 1, &token, err));
    if (token == eos_id)
        return MDL_OK;
    out[(*n_out)++] = token;
    if (*n_out == max_new)
        return MDL_OK;
    MDL_TRY(mdl_pass_embed_token(ws, token, *length, err));
    join(next, ws, (*length)++, 1);
done:
    return rc;
}

int mdl_sample_greedy_each(mdl_workspace_t *const *ws, const mdl_sample_t *samples, int64_t n,
                           int64_t max_new, int64_t eos_id, int32_t *out, int64_t *n_out,
                           mdl_error_t *err)
{
    int64_t length[MDL_MOST_TOGETHER];
    together_t together = {0};
    int rc = MDL_OK;
    for (int64_t i = 0; i < n; i++) {
        mdl_pass_t pass = {.sample = &samples[i], .n_sample = 1, .whole = 1};
        n_out[i] = 0;
        MDL_TRY(check_kept(ws[i], MDL_KEEP_KEYS, err));
        MDL_TRY(mdl_pass_check(ws[i], &samples[i], max_new > 0 ? max_new : 0, err));
        MDL_TRY(mdl_pass_begin(ws[i], &pass, err));
        length[i] = pass.n_row;
        join(&together, ws[i], 0, pass.n_row);
    }
    pass_blocks(&together);
    while (max_new > 0 && together.n > 0) {
        together_t next = {0};
        for (int64_t i = 0, k = 0; i < n && k < together.n; i++) {
            if (together.ws[k] != ws[i])
                continue;
            k++;
            MDL_TRY(extend(ws[i], max_new, eos_id, out + i * max_new, &n_out[i], &length[i], &next,
                           err));
        }
        together = next;
        pass_blocks(&together);
    }
done:
    return rc;
}

int mdl_sample_greedy(mdl_workspace_t *ws, const mdl_sample_t *sample, int64_t max_new,
                      int64_t eos_id, int32_t *out, int64_t *n_out, mdl_error_t *err)
{
    return mdl_sample_greedy_each(&ws, sample, 1, max_new, eos_id, out, n_out, err);
}
