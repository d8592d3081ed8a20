#include "models/native_score.h"

#include "models/greedy.h"
#include "models/packs.h"
#include "models/pass.h"
#include "models/workspace_memory.h"
#include "mpi/agree.h"
#include "mpi/stop.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    mdl_packs_t packs;     /* of the eval samples */
    int64_t n_most;        /* samples that pass together, at most */
    mdl_sample_t *samples; /* [n_most] */
    int32_t *ids;          /* [n_most, max_answer_tokens] */
    int64_t *n_id;         /* [n_most] */
    char *text;            /* what the ids of one sample stand for */
    double *wrong; /* [n_eval] 0 or 1, then [n_eval] losses, those of packs; 0 for samples and
                      packs of other ranks */
} answers_t;

double mdl_native_stderr(int64_t n_wrong, int64_t n)
{
    double p = (double)n_wrong / (double)n;
    if (n_wrong == 0 || n_wrong == n)
        p = (double)(n_wrong + 1) / (double)(n + 2);
    return sqrt(p * (1 - p) / (double)n);
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Packs the eval samples, a function of them alone: each takes the positions that its loss needs or
 * those of its prompt and an answer, whichever are more. */
static int make_packs(const mdl_native_run_t *run, answers_t *answers, mdl_error_t *err)
{
    const mdl_corpus_t *corpus = run->inputs->corpus;
    int64_t capacity = run->study->trainer.pack_length, room = run->workspace->max_length;
    int64_t *length = NULL;
    int rc;
    MDL_TRY(mdl_alloc(&length, (size_t)corpus->n_eval, sizeof *length, "packs", err));
    for (int64_t i = 0; i < corpus->n_eval; i++) {
        int64_t at = corpus->eval[i];
        mdl_sample_t sample = mdl_training_sample(corpus, run->inputs->features, at);
        length[i] =
            larger(mdl_pass_n_needed(&sample), mdl_corpus_prompt(corpus, at) + sample.n_visual +
                                                   run->study->trainer.max_answer_tokens);
    }
    MDL_TRY(mdl_packs_new(&answers->packs, corpus->n_eval, err));
    mdl_packs_fill(&answers->packs, length, capacity < room ? capacity : room);
    for (int64_t pack = 0; pack < answers->packs.n_pack; pack++)
        answers->n_most =
            larger(answers->n_most,
                   run->n_together * (answers->packs.begin[pack + 1] - answers->packs.begin[pack]));
done:
    free(length);
    return rc;
}

static int make_room(const mdl_native_run_t *run, answers_t *answers, mdl_error_t *err)
{
    const mdl_corpus_t *corpus = run->inputs->corpus;
    size_t n_new = (size_t)run->study->trainer.max_answer_tokens;
    int rc;
    MDL_TRY(make_packs(run, answers, err));
    size_t n_most = (size_t)answers->n_most;
    MDL_TRY(mdl_alloc(&answers->samples, n_most, sizeof *answers->samples, "answers", err));
    MDL_TRY(mdl_alloc(&answers->ids, n_most, n_new * sizeof *answers->ids, "answers", err));
    MDL_TRY(mdl_alloc(&answers->n_id, n_most, sizeof *answers->n_id, "answers", err));
    MDL_TRY(
        mdl_alloc(&answers->text, n_new * (size_t)corpus->max_token_bytes + 1, 1, "answers", err));
    rc = mdl_alloc(&answers->wrong, 2 * (size_t)corpus->n_eval, sizeof *answers->wrong, "answers",
                   err);
done:
    return rc;
}

static void free_answers(answers_t *answers)
{
    mdl_packs_free(&answers->packs);
    free(answers->samples);
    free(answers->ids);
    free(answers->n_id);
    free(answers->text);
    free(answers->wrong);
}

/* The samples of n packs from pack on, every step-th, one behind the other into answers->samples;
 * prompts: without what is to be answered. */
static void gather(const mdl_native_run_t *run, answers_t *answers, int64_t pack, int64_t step,
                   int64_t n, int prompts, mdl_pack_t packs[MDL_MOST_TOGETHER])
{
    const mdl_corpus_t *corpus = run->inputs->corpus;
    mdl_sample_t *next = answers->samples;
    for (int64_t i = 0; i < n; i++, pack += step) {
        packs[i].sample = next;
        for (int64_t k = answers->packs.begin[pack]; k < answers->packs.begin[pack + 1]; k++) {
            int64_t at = corpus->eval[answers->packs.member[k]];
            mdl_sample_t sample = mdl_training_sample(corpus, run->inputs->features, at);
            if (prompts) {
                sample.n_token = mdl_corpus_prompt(corpus, at);
                sample.scored = NULL;
            }
            *next++ = sample;
        }
        packs[i].n_sample = next - packs[i].sample;
    }
}

/* Keeps what was measured of the packs of gather; loss: [n]. */
static void take_answers(const mdl_native_run_t *run, answers_t *answers, int64_t pack,
                         int64_t step, int64_t n, const double *loss)
{
    const mdl_corpus_t *corpus = run->inputs->corpus;
    int64_t max_new = run->study->trainer.max_answer_tokens, number = 0;
    for (int64_t i = 0; i < n; i++, pack += step) {
        answers->wrong[corpus->n_eval + pack] = loss[i];
        for (int64_t k = answers->packs.begin[pack]; k < answers->packs.begin[pack + 1]; k++) {
            int64_t member = answers->packs.member[k];
            mdl_corpus_text(corpus, answers->ids + number * max_new, answers->n_id[number],
                            answers->text);
            answers->wrong[member] =
                !mdl_corpus_same_answer(answers->text, corpus->answer[corpus->eval[member]]);
            number++;
        }
    }
}

/* The n packs pack, pack + step, ... */
static int score_packs(mdl_native_run_t *run, answers_t *answers, int64_t pack, int64_t step,
                       int64_t n, mdl_error_t *err)
{
    const mdl_corpus_t *corpus = run->inputs->corpus;
    mdl_pack_t packs[MDL_MOST_TOGETHER];
    double loss[MDL_MOST_TOGETHER];
    int rc;
    gather(run, answers, pack, step, n, 0, packs);
    MDL_TRY(mdl_pack_loss_each(run->together, packs, n, loss, err));
    gather(run, answers, pack, step, n, 1, packs);
    MDL_TRY(mdl_pack_greedy_each(run->together, packs, n, run->study->trainer.max_answer_tokens,
                                 corpus->eos_id, answers->ids, answers->n_id, err));
    take_answers(run, answers, pack, step, n, loss);
done:
    if (rc != MDL_OK)
        mdl_error_prefix(
            err, "%s: %s %lld", corpus->path,
            n > 1 || packs[0].n_sample > 1 ? "one of some samples from" : "sample",
            (long long)corpus->eval[answers->packs.member[answers->packs.begin[pack]]]);
    return rc;
}

static int score_share(mdl_native_run_t *run, answers_t *answers, mdl_error_t *err)
{
    int64_t n;
    int n_rank;
    MPI_Comm_size(run->group, &n_rank);
    int rc = make_room(run, answers, err);
    for (int64_t i = run->rank; rc == MDL_OK && i < answers->packs.n_pack; i += n * n_rank) {
        int64_t n_left = (answers->packs.n_pack - i + n_rank - 1) / n_rank;
        n = run->n_together < n_left ? run->n_together : n_left;
        rc = score_packs(run, answers, i, n_rank, n, err);
        if (rc == MDL_OK && mdl_stop_wanted())
            rc = mdl_fail(err, MDL_E_AGAIN,
                          "%s: stopped while it was measured; run the same command again to go on",
                          run->name);
    }
    return rc;
}

int mdl_native_score(mdl_native_run_t *run, mdl_point_t *point, mdl_error_t *err)
{
    const mdl_corpus_t *corpus = run->inputs->corpus;
    answers_t answers = {0};
    int64_t n_wrong = 0, n_scored = 0;
    double loss = 0;
    int rc;
    MDL_TRY(mdl_agree(run->group, score_share(run, &answers, err), err));
    /* Each entry is 0 on all ranks but one, so that the sums are exact in any order. */
    MPI_Allreduce(MPI_IN_PLACE, answers.wrong, (int)(2 * corpus->n_eval), MPI_DOUBLE, MPI_SUM,
                  run->group);
    for (int64_t i = 0; i < corpus->n_eval; i++) {
        n_wrong += answers.wrong[i] > 0;
        loss += answers.wrong[corpus->n_eval + i];
        n_scored += mdl_corpus_n_scored(corpus, corpus->eval[i]);
    }
    if (!isfinite(loss)) {
        rc = mdl_fail(err, MDL_E_TRAINER,
                      "%s: the evaluation loss at step %lld is %g: training diverged; lower "
                      "trainer.learning_rate",
                      run->name, (long long)run->training->step, loss);
        goto done;
    }
    point->error = (double)n_wrong / (double)corpus->n_eval;
    point->error_stderr = mdl_native_stderr(n_wrong, corpus->n_eval);
    point->loss = loss / (double)n_scored;
done:
    free_answers(&answers);
    return rc;
}
