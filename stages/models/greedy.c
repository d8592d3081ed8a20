#include "models/greedy.h"

#include "models/blocks.h"
#include "models/pass.h"
#include "models/workspace_memory.h"

#include <stdlib.h>

/* Packs whose answers are being made. */
typedef struct {
    int64_t n, max_new, eos_id;
    mdl_workspace_t *const *workspaces;  /* [n] */
    mdl_next_t *next[MDL_MOST_TOGETHER]; /* [n][n_next] the samples that go on */
    int64_t n_next[MDL_MOST_TOGETHER];   /* [n] */
    int32_t *out[MDL_MOST_TOGETHER];     /* [n][n_sample, max_new] */
    int64_t *n_out[MDL_MOST_TOGETHER];   /* [n][n_sample] */
} answers_t;

/* The whole samples through the blocks. */
static int begin(answers_t *answers, const mdl_pack_t *packs, mdl_error_t *err)
{
    mdl_pass_t pass[MDL_MOST_TOGETHER];
    int64_t n_row[MDL_MOST_TOGETHER];
    int rc = MDL_OK;
    for (int64_t i = 0; i < answers->n; i++) {
        pass[i] = (mdl_pass_t){.sample = packs[i].sample,
                               .n_sample = packs[i].n_sample,
                               .whole = 1,
                               .n_new = answers->max_new};
        MDL_TRY(mdl_pass_check_kept(answers->workspaces[i], MDL_KEEP_KEYS, err));
        MDL_TRY(mdl_pass_begin(answers->workspaces[i], &pass[i], err));
        n_row[i] = pass[i].n_row;
    }
    mdl_blocks_forward_each(answers->workspaces, n_row, answers->n, MDL_ROWS_WHOLE);
    for (int64_t i = 0; i < answers->n; i++)
        MDL_TRY(mdl_pass_keep(answers->workspaces[i], &pass[i], answers->next[i], err));
done:
    return rc;
}

/* The token behind each of n rows of the last pass: the highest logit, the lowest id of equals. */
static int choose_tokens(mdl_workspace_t *ws, mdl_next_t *next, int64_t n, mdl_error_t *err)
{
    const mdl_backend_t *be = ws->backend;
    int64_t d = ws->decoder->config.n_feat, n_most = be->room->n_logit_row;
    int rc;
    for (int64_t i = 0; i < n; i++)
        ws->list[i] = (int32_t)next[i].row;
    MDL_TRY(be->upload(ws->target_at, ws->list, (size_t)n * sizeof *ws->list, err));
    for (int64_t first = 0; first < n; first += n_most) {
        int64_t n_row = n - first < n_most ? n - first : n_most;
        be->rows_move(ws->picked, NULL, ws->normed, ws->target_at + first, n_row, d, 1.0f);
        mdl_head_forward(ws, ws->picked, n_row);
        be->rows_largest(ws->best, ws->logit, n_row, ws->decoder->config.n_vocab);
        MDL_TRY(be->download(ws->list + first, ws->best, (size_t)n_row * sizeof *ws->list, err));
    }
    for (int64_t i = 0; i < n; i++)
        next[i].token = ws->list[i];
done:
    return rc;
}

/* Adds a token to each answer of pack i that isn't over, and lays the pass for those that go on. */
static int extend(answers_t *answers, int64_t i, mdl_error_t *err)
{
    mdl_next_t *next = answers->next[i];
    int64_t n = 0, max_new = answers->max_new;
    int rc;
    MDL_TRY(choose_tokens(answers->workspaces[i], next, answers->n_next[i], err));
    for (int64_t k = 0; k < answers->n_next[i]; k++) {
        int64_t sample = next[k].sample, *n_out = &answers->n_out[i][sample];
        if (next[k].token == answers->eos_id)
            continue;
        answers->out[i][sample * max_new + (*n_out)++] = next[k].token;
        if (*n_out == max_new)
            continue;
        next[n] = next[k];
        next[n].position++;
        next[n++].kept_row++;
    }
    answers->n_next[i] = n;
    if (n > 0)
        rc = mdl_pass_continue(answers->workspaces[i], next, n, err);
done:
    return rc;
}

static int finish(answers_t *answers, mdl_error_t *err)
{
    int rc = MDL_OK;
    for (;;) {
        mdl_workspace_t *ws[MDL_MOST_TOGETHER];
        int64_t n_row[MDL_MOST_TOGETHER], n = 0;
        for (int64_t i = 0; i < answers->n; i++) {
            if (answers->n_next[i] > 0)
                MDL_TRY(extend(answers, i, err));
            if (answers->n_next[i] == 0)
                continue;
            ws[n] = answers->workspaces[i];
            n_row[n++] = answers->n_next[i];
        }
        if (n == 0)
            break;
        mdl_blocks_forward_each(ws, n_row, n, MDL_ROWS_NEXT);
    }
done:
    return rc;
}

int mdl_pack_greedy_each(mdl_workspace_t *const *workspaces, const mdl_pack_t *packs, int64_t n,
                         int64_t max_new, int64_t eos_id, int32_t *out, int64_t *n_out,
                         mdl_error_t *err)
{
    answers_t answers = {
        .n = n, .max_new = max_new > 0 ? max_new : 0, .eos_id = eos_id, .workspaces = workspaces};
    mdl_next_t *next = NULL;
    int64_t n_sample = 0;
    int rc;
    for (int64_t i = 0; i < n; i++)
        n_sample += packs[i].n_sample;
    MDL_TRY(mdl_alloc(&next, (size_t)n_sample, sizeof *next, "answers", err));
    for (int64_t i = 0, first = 0; i < n; first += packs[i++].n_sample) {
        answers.next[i] = next + first;
        answers.n_next[i] = packs[i].n_sample;
        answers.out[i] = out + first * answers.max_new;
        answers.n_out[i] = n_out + first;
    }
    for (int64_t i = 0; i < n_sample; i++)
        n_out[i] = 0;
    MDL_TRY(begin(&answers, packs, err));
    if (max_new > 0)
        rc = finish(&answers, err);
done:
    free(next);
    return rc;
}

int mdl_sample_greedy(mdl_workspace_t *ws, const mdl_sample_t *sample, int64_t max_new,
                      int64_t eos_id, int32_t *out, int64_t *n_out, mdl_error_t *err)
{
    const mdl_pack_t pack = {sample, 1};
    return mdl_pack_greedy_each(&ws, &pack, 1, max_new, eos_id, out, n_out, err);
}
