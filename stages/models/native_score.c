#include "models/native_score.h"

#include "mpi/agree.h"
#include "mpi/stop.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    int32_t *ids;  /* [n_together, max_answer_tokens] */
    char *text;    /* what those of one sample stand for */
    double *wrong; /* [n_eval] 0 or 1, then [n_eval] losses; 0 for samples of other ranks */
} answers_t;

double mdl_native_stderr(int64_t n_wrong, int64_t n)
{
    double p = (double)n_wrong / (double)n;
    if (n_wrong == 0 || n_wrong == n)
        p = (double)(n_wrong + 1) / (double)(n + 2);
    return sqrt(p * (1 - p) / (double)n);
}

static int make_room(const mdl_native_run_t *run, answers_t *answers, mdl_error_t *err)
{
    const mdl_corpus_t *corpus = run->inputs->corpus;
    size_t n_new = (size_t)run->study->trainer.max_answer_tokens;
    size_t n_together = (size_t)run->n_together;
    int rc;
    MDL_TRY(mdl_alloc(&answers->ids, n_together, n_new * sizeof *answers->ids, "answers", err));
    MDL_TRY(
        mdl_alloc(&answers->text, n_new * (size_t)corpus->max_token_bytes + 1, 1, "answers", err));
    rc = mdl_alloc(&answers->wrong, 2 * (size_t)corpus->n_eval, sizeof *answers->wrong, "answers",
                   err);
done:
    return rc;
}

/* The n samples index, index + step, ... of the eval samples. */
static int score_samples(mdl_native_run_t *run, answers_t *answers, int64_t index, int64_t step,
                         int64_t n, mdl_error_t *err)
{
    const mdl_corpus_t *corpus = run->inputs->corpus;
    int64_t max_new = run->study->trainer.max_answer_tokens, n_id[MDL_MOST_TOGETHER];
    mdl_sample_t samples[MDL_MOST_TOGETHER] = {{0}};
    double loss[MDL_MOST_TOGETHER];
    int rc;
    for (int64_t i = 0; i < n; i++)
        samples[i] =
            mdl_training_sample(corpus, run->inputs->features, corpus->eval[index + i * step]);
    MDL_TRY(mdl_sample_loss_each(run->together, samples, n, loss, err));
    for (int64_t i = 0; i < n; i++) {
        samples[i].n_token = mdl_corpus_prompt(corpus, corpus->eval[index + i * step]);
        samples[i].scored = NULL;
    }
    MDL_TRY(mdl_sample_greedy_each(run->together, samples, n, max_new, corpus->eos_id, answers->ids,
                                   n_id, err));
    for (int64_t i = 0; i < n; i++) {
        int64_t at = index + i * step;
        mdl_corpus_text(corpus, answers->ids + i * max_new, n_id[i], answers->text);
        answers->wrong[at] =
            !mdl_corpus_same_answer(answers->text, corpus->answer[corpus->eval[at]]);
        answers->wrong[corpus->n_eval + at] = loss[i];
    }
done:
    if (rc != MDL_OK)
        mdl_error_prefix(err, "%s: %s %lld", corpus->path,
                         n > 1 ? "one of some samples from" : "sample",
                         (long long)corpus->eval[index]);
    return rc;
}

static int score_share(mdl_native_run_t *run, answers_t *answers, mdl_error_t *err)
{
    int64_t n_eval = run->inputs->corpus->n_eval, n;
    int n_rank;
    MPI_Comm_size(run->group, &n_rank);
    int rc = make_room(run, answers, err);
    for (int64_t i = run->rank; rc == MDL_OK && i < n_eval; i += n * n_rank) {
        int64_t n_left = (n_eval - i + n_rank - 1) / n_rank;
        n = run->n_together < n_left ? run->n_together : n_left;
        rc = score_samples(run, answers, i, n_rank, n, err);
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
    free(answers.ids);
    free(answers.text);
    free(answers.wrong);
    return rc;
}
