#include "models/native_score.h"

#include "mpi/agree.h"
#include "mpi/stop.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    int32_t *ids;  /* [max_answer_tokens] */
    char *text;    /* what they stand for */
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
    int rc;
    MDL_TRY(mdl_alloc(&answers->ids, n_new, sizeof *answers->ids, "answers", err));
    MDL_TRY(
        mdl_alloc(&answers->text, n_new * (size_t)corpus->max_token_bytes + 1, 1, "answers", err));
    rc = mdl_alloc(&answers->wrong, 2 * (size_t)corpus->n_eval, sizeof *answers->wrong, "answers",
                   err);
done:
    return rc;
}

static int score_sample(mdl_native_run_t *run, answers_t *answers, int64_t index, mdl_error_t *err)
{
    const mdl_corpus_t *corpus = run->inputs->corpus;
    int64_t sample = corpus->eval[index], n_id;
    mdl_sample_t one = mdl_training_sample(corpus, run->inputs->features, sample);
    int rc;
    MDL_TRY(mdl_sample_loss(run->workspace, &one, &answers->wrong[corpus->n_eval + index], err));
    one.n_token = mdl_corpus_prompt(corpus, sample);
    one.scored = NULL;
    MDL_TRY(mdl_sample_greedy(run->workspace, &one, run->study->trainer.max_answer_tokens,
                              corpus->eos_id, answers->ids, &n_id, err));
    mdl_corpus_text(corpus, answers->ids, n_id, answers->text);
    answers->wrong[index] = !mdl_corpus_same_answer(answers->text, corpus->answer[sample]);
done:
    if (rc != MDL_OK)
        mdl_error_prefix(err, "%s: sample %lld", corpus->path, (long long)sample);
    return rc;
}

static int score_share(mdl_native_run_t *run, answers_t *answers, mdl_error_t *err)
{
    int n_rank;
    MPI_Comm_size(run->group, &n_rank);
    int rc = make_room(run, answers, err);
    for (int64_t i = run->rank; rc == MDL_OK && i < run->inputs->corpus->n_eval; i += n_rank) {
        rc = score_sample(run, answers, i, err);
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
