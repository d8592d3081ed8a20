#include "regress/rounds_study.h"

#include "core/log.h"
#include "core/text.h"
#include "models/sweep_plan.h"
#include "mpi/agree.h"
#include "regress/pool_distance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    mdl_stage_t *stage;
    const mdl_study_t *study;
    const mdl_candidates_t *zoo;
    mdl_trainer_t *trainer;
    double *marks; /* of the trainer, ascending */
    int n_mark;
    mdl_candidate_t *candidates; /* [n_candidate], those of a sweep */
    int64_t *index;              /* [n_candidate], the same in the zoo */
    mdl_sweep_result_t *results; /* [n_candidate] */
    int swept;                   /* what the last sweep returned, on all ranks */
    /* on rank 0 */
    mdl_study_rounds_t *rounds;
    int64_t n_room;    /* for decisions */
    mdl_error_t *lost; /* why a decision couldn't be noted */
    mdl_pool_t pool;
    mdl_alike_t alike;
    double *work;   /* [n_candidate] */
    uint8_t *first; /* [n_candidate] */
} run_t;

static void name_candidates(run_t *run, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        run->candidates[k] =
            (mdl_candidate_t){run->zoo->ve[run->index[k]], run->zoo->lm[run->index[k]]};
}

/* Trains the candidates run->index[n] to ratio and measures all marks up to there. Collective. */
static int sweep(run_t *run, int64_t n, double ratio, mdl_error_t *err)
{
    double marks[MDL_SWEEP_MAX_POINT];
    mdl_sweep_result_t *results = NULL;
    mdl_sweep_t wanted = {.ratio = ratio,
                          .marks = marks,
                          .ranks_per_candidate = run->study->trainer.ranks_per_candidate,
                          .batch = run->study->trainer.batch};
    for (int k = run->n_mark - 1; k >= 0 && wanted.n_mark < MDL_SWEEP_MAX_POINT; k--)
        if (run->marks[k] <= ratio * (1 + 1e-9))
            marks[wanted.n_mark++] = run->marks[k];
    name_candidates(run, n);
    int rc = mdl_alloc(&results, (size_t)n, sizeof *results, "results of a round", err);
    MDL_TRY(mdl_agree(run->stage->comm, rc, err));
    MDL_TRY(
        mdl_sweep_run(run->stage->comm, run->trainer, &wanted, run->candidates, n, results, err));
    for (int64_t k = 0; k < n; k++)
        run->results[run->index[k]] = results[k];
done:
    free(results);
    run->swept = rc;
    return rc;
}

/* A dry run ends with its first round. */
static int print_first(run_t *run, int64_t n, double ratio, mdl_error_t *err)
{
    const mdl_sweep_t first = {.ratio = ratio,
                               .ranks_per_candidate = run->study->trainer.ranks_per_candidate,
                               .batch = run->study->trainer.batch};
    double *from = NULL;
    int rc = mdl_alloc(&from, (size_t)n, sizeof *from, "ratios", err);
    if (rc != MDL_OK)
        return rc;
    printf("strategy %s, first round: %lld of %lld candidates to ratio %g; who goes on depends on "
           "what they score\n",
           run->study->search.strategy, (long long)n, (long long)run->zoo->n_candidate, ratio);
    mdl_sweep_print_plan(run->study, run->trainer, &first, run->candidates, from, n,
                         run->stage->n_rank);
    free(from);
    return mdl_fail(err, MDL_E_AGAIN, "a dry run");
}

/* On rank 0, as mdl_rounds_t wants it: has all ranks train. */
static int train(void *context, const int64_t *index, int64_t n, double ratio, mdl_error_t *err)
{
    run_t *run = context;
    memcpy(run->index, index, (size_t)n * sizeof *index);
    if (run->stage->dry_run) {
        name_candidates(run, n);
        return print_first(run, n, ratio, err);
    }
    MPI_Bcast(&n, 1, MPI_INT64_T, 0, run->stage->comm);
    MPI_Bcast(&ratio, 1, MPI_DOUBLE, 0, run->stage->comm);
    MPI_Bcast(run->index, (int)n, MPI_INT64_T, 0, run->stage->comm);
    return sweep(run, n, ratio, err);
}

/* On the other ranks: trains what rank 0 decides, until it sends them home or training fails. */
static int serve(run_t *run, mdl_error_t *err)
{
    for (;;) {
        int64_t n;
        double ratio;
        MPI_Bcast(&n, 1, MPI_INT64_T, 0, run->stage->comm);
        if (n == 0)
            return MDL_OK;
        MPI_Bcast(&ratio, 1, MPI_DOUBLE, 0, run->stage->comm);
        MPI_Bcast(run->index, (int)n, MPI_INT64_T, 0, run->stage->comm);
        int rc = sweep(run, n, ratio, err);
        if (rc != MDL_OK)
            return rc;
    }
}

static int list(void *context, int64_t candidate, double ratio, mdl_point_t *points)
{
    const run_t *run = context;
    const mdl_sweep_result_t *result = &run->results[candidate];
    int n = 0;
    for (int k = result->n_point - 1; k >= 0 && !result->failed; k--)
        if (result->points[k].ratio <= ratio * (1 + 1e-9))
            points[n++] = result->points[k];
    return n;
}

static void note(void *context, const mdl_decision_t *decision)
{
    run_t *run = context;
    mdl_study_rounds_t *rounds = run->rounds;
    if (rounds->n_decision == run->n_room) {
        const int64_t n = 2 * run->n_room + 64;
        mdl_decision_t *longer = realloc(rounds->decisions, (size_t)n * sizeof *longer);
        if (longer == NULL) {
            mdl_fail(run->lost, MDL_E_MEMORY, "out of memory for decisions");
            return;
        }
        rounds->decisions = longer;
        run->n_room = n;
    }
    rounds->decisions[rounds->n_decision++] = *decision;
    if (decision->keep != MDL_KEEP_NOT)
        mdl_log(MDL_LOG_INFO, "round %d: %s goes on at ratio %g, %.4f expected at 1",
                decision->round, run->zoo->candidate[decision->candidate], decision->mark,
                exp(decision->belief.log_error));
}

/* The number of a name among those seen so far; a new one is added. */
static int64_t number_of(const char *name, const char **names, int64_t *n)
{
    for (int64_t k = 0; k < *n; k++)
        if (strcmp(names[k], name) == 0)
            return k;
    names[*n] = name;
    return (*n)++;
}

/* Encoders and language models of the candidates. */
static int number_sides(run_t *run, mdl_error_t *err)
{
    const size_t n = (size_t)run->zoo->n_candidate;
    mdl_pool_t *pool = &run->pool;
    int rc;
    pool->n = run->zoo->n_candidate;
    MDL_TRY(mdl_alloc(&pool->ve, n, sizeof *pool->ve, "encoders", err));
    MDL_TRY(mdl_alloc(&pool->llm, n, sizeof *pool->llm, "language models", err));
    MDL_TRY(mdl_alloc(&pool->ve_name, n, sizeof *pool->ve_name, "encoders", err));
    MDL_TRY(mdl_alloc(&pool->llm_name, n, sizeof *pool->llm_name, "language models", err));
    for (int64_t i = 0; i < pool->n; i++) {
        pool->ve[i] = number_of(run->zoo->ve[i], pool->ve_name, &pool->n_ve);
        pool->llm[i] = number_of(run->zoo->lm[i], pool->llm_name, &pool->n_llm);
    }
done:
    return rc;
}

/* cka/vision.h5 and the language side as seen through the clusters' medoids, as far as they are
 * there. */
static int list_similarities(const run_t *run, char **paths, int *n, mdl_error_t *err)
{
    const mdl_candidates_t *zoo = run->zoo;
    *n = 0;
    for (int64_t k = -1; k < zoo->n_cluster; k++) {
        char *path =
            k < 0 ? mdl_study_path(run->study, "cka/vision.h5")
                  : mdl_study_path(run->study, "cka/language-%s.h5", zoo->ve[zoo->medoid[k]]);
        int seen = 0;
        if (path == NULL)
            return mdl_fail(err, MDL_E_MEMORY, "out of memory for paths");
        for (int j = 0; j < *n; j++)
            seen |= strcmp(paths[j], path) == 0;
        if (!seen && access(path, R_OK) == 0)
            paths[(*n)++] = path;
        else
            free(path);
        if (*n == 0)
            return MDL_OK;
    }
    return MDL_OK;
}

static int read_similarities(run_t *run, mdl_error_t *err)
{
    char **paths = NULL;
    int n = 0, rc;
    MDL_TRY(mdl_alloc(&paths, (size_t)run->zoo->n_cluster + 1, sizeof *paths, "paths", err));
    MDL_TRY(list_similarities(run, paths, &n, err));
    MDL_TRY(mdl_alike_read((const char *const *)paths, n, &run->alike, err));
    run->pool.alike = &run->alike;
    rc = mdl_pool_measure_distance(&run->pool, err);
done:
    for (int k = 0; k < n; k++)
        free(paths[k]);
    free(paths);
    return rc;
}

/* What the decisions go by, on rank 0. */
static int prepare(run_t *run, mdl_error_t *err)
{
    const mdl_candidates_t *zoo = run->zoo;
    const size_t n = (size_t)zoo->n_candidate;
    int rc;
    MDL_TRY(number_sides(run, err));
    MDL_TRY(read_similarities(run, err));
    MDL_TRY(mdl_alloc(&run->work, n, sizeof *run->work, "costs", err));
    MDL_TRY(mdl_alloc(&run->first, n, sizeof *run->first, "flags", err));
    MDL_TRY(mdl_alloc(&run->rounds->score, n, sizeof *run->rounds->score, "scores", err));
    for (size_t i = 0; i < n; i++) {
        const mdl_candidate_t candidate = {zoo->ve[i], zoo->lm[i]};
        const double work = mdl_trainer_work(run->trainer, &candidate);
        run->work[i] = isfinite(work) && work > 0 ? work : 1;
    }
    for (int64_t k = 0; k < zoo->n_cluster; k++)
        run->first[zoo->medoid[k]] = 1;
done:
    return rc;
}

/* Adds why the first one failed, where all have. */
static void name_reason(const run_t *run, mdl_error_t *err)
{
    for (int64_t i = 0; i < run->zoo->n_candidate; i++)
        if (run->results[i].failed) {
            mdl_fail(
                err, MDL_E_TRAINER,
                "all candidates that were trained failed; %s: %s (when that is mended, --force "
                "or `mordal rerun regress` starts them afresh)",
                run->zoo->candidate[i], run->results[i].reason);
            return;
        }
}

static int decide(run_t *run, const mdl_predict_settings_t *predict, mdl_error_t *err)
{
    const mdl_study_t *study = run->study;
    const mdl_pool_t *pool = &run->pool;
    const double *marks = run->marks;
    mdl_error_t lost = {.code = MDL_OK};
    int n_mark = run->n_mark, rc;
    while (n_mark > 1 && marks[0] < study->search.start_ratio * (1 - 1e-6)) {
        marks++;
        n_mark--;
    }
    while (n_mark > 1 && marks[n_mark - 1] > study->search.max_ratio * (1 + 1e-6))
        n_mark--;
    const mdl_rounds_t search = {
        .n = pool->n,
        .n_ve = pool->n_ve,
        .n_llm = pool->n_llm,
        .ve = pool->ve,
        .llm = pool->llm,
        .work = run->work,
        .first = pool->distance != NULL ? run->first : NULL,
        .interval = {marks, n_mark, study->search.confidence, pool->distance, study->search.floor},
        .predict = *predict,
        .kind = MDL_CURVE_CHECKPOINT,
        .context = run,
        .train = train,
        .list = list,
        .decided = note};
    mdl_rounds_space_t *space;
    run->lost = &lost;
    MDL_TRY(mdl_rounds_space_new(pool->n, &space, err));
    rc = strcmp(study->search.strategy, "cross") == 0
             ? mdl_rounds_cross(&search, space, run->rounds->score, &run->rounds->choice, err)
             : mdl_rounds_interval(&search, space, run->rounds->score, &run->rounds->choice, err);
    mdl_rounds_space_free(space);
    if (rc == MDL_E_TRAINER)
        name_reason(run, err);
    if (rc == MDL_OK && lost.code != MDL_OK) {
        *err = lost;
        rc = lost.code;
    }
done:
    return rc;
}

/* Rank 0 decides and the others serve; all come home together. */
static int run_all(run_t *run, const mdl_predict_settings_t *predict, mdl_error_t *err)
{
    int rc;
    if (run->stage->rank != 0) {
        rc = serve(run, err);
    } else {
        rc = prepare(run, err);
        if (rc == MDL_OK)
            rc = decide(run, predict, err);
        int64_t nobody = 0; /* sends the others home, who have left already when training failed */
        if (run->swept == MDL_OK)
            MPI_Bcast(&nobody, 1, MPI_INT64_T, 0, run->stage->comm);
        if (run->stage->dry_run && rc == MDL_E_AGAIN)
            rc = MDL_OK;
    }
    return mdl_agree(run->stage->comm, rc, err);
}

static int check_marks(const run_t *run, mdl_error_t *err)
{
    if (run->n_mark <= MDL_SWEEP_MAX_POINT)
        return MDL_OK;
    return mdl_fail(
        err, MDL_E_INPUT,
        "search.start_ratio %g and regress.divisor %g make %d points of a curve, of which "
        "at most %d are possible; take a larger divisor or a larger start_ratio",
        run->study->search.start_ratio, run->study->regress.divisor, run->n_mark,
        MDL_SWEEP_MAX_POINT);
}

static int open_run(run_t *run, mdl_error_t *err)
{
    const size_t n = (size_t)run->zoo->n_candidate;
    int rc;
    MDL_TRY(
        mdl_trainer_open(run->stage->comm, run->study, run->stage->dry_run, &run->trainer, err));
    if (run->stage->force)
        mdl_trainer_force(run->trainer);
    if ((rc = mdl_trainer_marks(run->study, &run->marks, &run->n_mark, err)) == MDL_OK &&
        (rc = check_marks(run, err)) == MDL_OK &&
        (rc = mdl_alloc(&run->candidates, n, sizeof *run->candidates, "candidates", err)) == MDL_OK)
        rc = mdl_alloc(&run->index, n, sizeof *run->index, "candidates", err);
    rc = mdl_agree(run->stage->comm, rc, err);
done:
    return rc;
}

static void close_run(run_t *run)
{
    mdl_trainer_free(run->trainer);
    free(run->marks);
    free(run->candidates);
    free(run->index);
    mdl_pool_free(&run->pool);
    mdl_alike_free(&run->alike);
    free(run->work);
    free(run->first);
}

int mdl_study_rounds_run(mdl_stage_t *stage, const mdl_study_t *study, const mdl_candidates_t *zoo,
                         const mdl_predict_settings_t *predict, mdl_sweep_result_t *results,
                         mdl_study_rounds_t *rounds, mdl_error_t *err)
{
    run_t run = {.stage = stage, .study = study, .zoo = zoo, .results = results, .rounds = rounds};
    int rc;
    *rounds = (mdl_study_rounds_t){0};
    MDL_TRY(open_run(&run, err));
    rc = run_all(&run, predict, err);
done:
    close_run(&run);
    if (rc != MDL_OK)
        mdl_study_rounds_free(rounds);
    return rc;
}

void mdl_study_rounds_free(mdl_study_rounds_t *rounds)
{
    free(rounds->score);
    free(rounds->decisions);
    *rounds = (mdl_study_rounds_t){0};
}
