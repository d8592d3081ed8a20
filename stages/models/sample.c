#include "models/sample.h"

#include "models/blocks.h"
#include "models/pass.h"
#include "models/workspace_memory.h"

/* The last hidden states of whole samples into normed, n_row of them. */
static int run_forward(mdl_workspace_t *ws, const mdl_sample_t *sample, int64_t n_sample,
                       int64_t *n_row, mdl_error_t *err)
{
    mdl_pass_t pass = {.sample = sample, .n_sample = n_sample, .whole = 1};
    int rc = mdl_pass_begin(ws, &pass, err);
    *n_row = pass.n_row;
    if (rc == MDL_OK)
        mdl_blocks_forward(ws, pass.n_row);
    return rc;
}

/* Adds the loss of the scored tokens first .. first + n_row - 1 to the workspace's; with scale != 0
 * puts its gradient for the last hidden states into dnormed. */
static void score_rows(mdl_workspace_t *ws, int64_t first, int64_t n_row, float scale)
{
    const mdl_backend_t *be = ws->backend;
    int64_t d = ws->decoder->config.n_feat, n_vocab = ws->decoder->config.n_vocab;
    const int32_t *target = ws->target + first, *at = ws->target_at + first;
    be->rows_move(ws->picked, NULL, ws->normed, at, n_row, d, 1.0f);
    mdl_head_forward(ws, ws->picked, n_row);
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

int mdl_pack_loss_each(mdl_workspace_t *const *workspaces, const mdl_pack_t *packs, int64_t n,
                       double *loss_sum, mdl_error_t *err)
{
    mdl_pass_t pass[MDL_MOST_TOGETHER];
    mdl_workspace_t *ws[MDL_MOST_TOGETHER];
    int64_t n_row[MDL_MOST_TOGETHER], n_passing = 0;
    int rc = MDL_OK;
    for (int64_t i = 0; i < n; i++) {
        loss_sum[i] = 0;
        pass[i] = (mdl_pass_t){.sample = packs[i].sample, .n_sample = packs[i].n_sample};
        MDL_TRY(mdl_pass_begin(workspaces[i], &pass[i], err));
        if (pass[i].n_row == 0)
            continue;
        ws[n_passing] = workspaces[i];
        n_row[n_passing++] = pass[i].n_row;
    }
    if (n_passing > 0)
        mdl_blocks_forward_each(ws, n_row, n_passing, MDL_ROWS_WHOLE);
    for (int64_t i = 0; i < n; i++) {
        mdl_workspace_t *one = workspaces[i];
        if (pass[i].n_row == 0)
            continue;
        MDL_TRY(score_pass(one, &pass[i], 0, err));
        MDL_TRY(one->backend->download(&loss_sum[i], one->loss, sizeof *loss_sum, err));
    }
done:
    return rc;
}

int mdl_sample_loss(mdl_workspace_t *ws, const mdl_sample_t *sample, double *loss_sum,
                    mdl_error_t *err)
{
    const mdl_pack_t pack = {sample, 1};
    return mdl_pack_loss_each(&ws, &pack, 1, loss_sum, err);
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
    int rc = mdl_pass_check_kept(ws, MDL_KEEP_INPUTS, err);
    if (rc == MDL_OK)
        rc = mdl_pass_begin(ws, &pass, err);
    if (rc != MDL_OK || pass.n_row == 0)
        return rc;
    mdl_blocks_forward(ws, pass.n_row);
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
    return mdl_pack_hidden(ws, sample, 1, hidden, err);
}

int mdl_pack_hidden(mdl_workspace_t *ws, const mdl_sample_t *sample, int64_t n_sample,
                    float *hidden, mdl_error_t *err)
{
    int64_t n_row;
    int rc;
    MDL_TRY(run_forward(ws, sample, n_sample, &n_row, err));
    rc = ws->backend->download(hidden, ws->normed,
                               (size_t)(n_row * ws->decoder->config.n_feat) * sizeof *hidden, err);
done:
    return rc;
}

int mdl_sample_logits(mdl_workspace_t *ws, const mdl_sample_t *sample, float *logits,
                      mdl_error_t *err)
{
    int64_t d = ws->decoder->config.n_feat, n_vocab = ws->decoder->config.n_vocab;
    int64_t n_row, n_most = ws->backend->room->n_logit_row;
    int rc;
    MDL_TRY(run_forward(ws, sample, 1, &n_row, err));
    for (int64_t row = 0; row < n_row; row += n_most) {
        int64_t n = n_row - row < n_most ? n_row - row : n_most;
        mdl_head_forward(ws, ws->normed + row * d, n);
        MDL_TRY(ws->backend->download(logits + row * n_vocab, ws->logit,
                                      (size_t)(n * n_vocab) * sizeof *logits, err));
    }
done:
    return rc;
}
