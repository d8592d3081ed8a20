#include "models/sweep.h"

#include "core/log.h"
#include "mpi/agree.h"
#include "mpi/group.h"
#include "mpi/progress.h"
#include "mpi/queue.h"
#include "mpi/stop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const stop_text =
    "a signal or the time limit came before all candidates were done";

/* Trains one candidate and measures its marks. The candidate's own failure goes into result.
 * Collective over group. */
static int run_candidate(mdl_trainer_t *trainer, MPI_Comm group, const mdl_sweep_t *sweep,
                         const mdl_candidate_t *candidate, mdl_sweep_result_t *result,
                         mdl_error_t *err)
{
    int rc = mdl_trainer_train(trainer, group, candidate, sweep->ratio, err);
    for (int i = 0; rc == MDL_OK && i < sweep->n_mark; i++) {
        rc = mdl_trainer_measure(trainer, group, candidate, sweep->marks[i], &result->points[i],
                                 err);
        if (rc == MDL_OK)
            result->n_point = i + 1;
        if (rc == MDL_OK && sweep->enough != NULL &&
            sweep->enough(sweep->context, result->points, result->n_point))
            break;
    }
    if (rc == MDL_E_TRAINER) {
        result->failed = 1;
        snprintf(result->reason, sizeof result->reason, "%.*s", (int)sizeof result->reason - 1,
                 err->text);
        rc = MDL_OK;
    }
    if (rc == MDL_OK)
        result->finished = 1;
    return rc;
}

/* The group's next item; -1 when there is none or one of its ranks wants to stop. */
static int64_t next_item(mdl_queue_t *queue, const mdl_group_t *group)
{
    int stop = mdl_stop_wanted();
    int64_t item = -1;
    MPI_Allreduce(MPI_IN_PLACE, &stop, 1, MPI_INT, MPI_MAX, group->comm);
    if (group->rank == 0 && stop)
        mdl_queue_stop(queue);
    else if (group->rank == 0)
        item = mdl_queue_take(queue);
    MPI_Bcast(&item, 1, MPI_INT64_T, 0, group->comm);
    return item;
}

static int work(mdl_trainer_t *trainer, mdl_queue_t *queue, const mdl_group_t *group,
                const mdl_sweep_t *sweep, const mdl_candidate_t *candidates, int64_t n,
                mdl_sweep_result_t *results, mdl_error_t *err)
{
    mdl_progress_t progress;
    mdl_progress_start(&progress, "candidates", (double)n);
    int rc = MDL_OK;
    for (;;) {
        int64_t item = next_item(queue, group);
        if (item < 0)
            return rc;
        const mdl_candidate_t *candidate = &candidates[item];
        mdl_sweep_result_t *result = &results[item];
        rc = run_candidate(trainer, group->comm, sweep, candidate, result, err);
        if (group->rank != 0)
            memset(result, 0, sizeof *result);
        else if (rc == MDL_OK && result->failed)
            mdl_log_rank(MDL_LOG_WARN, "candidate %s+%s failed: %s", candidate->ve, candidate->lm,
                         result->reason);
        else if (rc == MDL_OK)
            mdl_log_rank(MDL_LOG_VERBOSE, "candidate %s+%s: %d points, error %g at ratio %g",
                         candidate->ve, candidate->lm, result->n_point,
                         result->n_point > 0 ? result->points[0].error : NAN, sweep->marks[0]);
        if (rc != MDL_OK && group->rank == 0)
            mdl_queue_stop(queue);
        if (rc != MDL_OK)
            return rc;
        if (group->rank == 0)
            mdl_progress_update(&progress, (double)mdl_queue_done(queue));
    }
}

/* Each result is held by one leader and is all zero bytes elsewhere, so OR gives it to all. */
static int gather(MPI_Comm comm, int64_t n, mdl_sweep_result_t *results, mdl_error_t *err)
{
    int64_t n_finished = 0;
    for (int64_t i = 0; i < n; i++) {
        MPI_Allreduce(MPI_IN_PLACE, &results[i], (int)sizeof results[i], MPI_BYTE, MPI_BOR, comm);
        n_finished += results[i].finished;
    }
    if (n_finished < n)
        return mdl_fail(err, MDL_E_AGAIN, "%s (%lld of %lld)", stop_text, (long long)n_finished,
                        (long long)n);
    return MDL_OK;
}

static int open_queue(MPI_Comm comm, mdl_trainer_t *trainer, const mdl_candidate_t *candidates,
                      int64_t n, mdl_queue_t **queue, mdl_error_t *err)
{
    double *costs = NULL;
    int rc = mdl_alloc(&costs, (size_t)n, sizeof *costs, "predicted costs", err);
    for (int64_t i = 0; rc == MDL_OK && i < n; i++) {
        double cost = mdl_trainer_work(trainer, &candidates[i]);
        costs[i] = isfinite(cost) && cost > 0 ? cost : 0;
    }
    rc = mdl_agree(comm, rc, err);
    if (rc == MDL_OK)
        rc = mdl_queue_open(comm, n, costs, queue, err);
    free(costs);
    return rc;
}

int mdl_sweep_run(MPI_Comm comm, mdl_trainer_t *trainer, const mdl_sweep_t *sweep,
                  const mdl_candidate_t *candidates, int64_t n, mdl_sweep_result_t *results,
                  mdl_error_t *err)
{
    mdl_queue_t *queue = NULL;
    mdl_group_t group;
    int n_rank;
    memset(results, 0, (size_t)n * sizeof *results);
    int rc = open_queue(comm, trainer, candidates, n, &queue, err);
    if (rc != MDL_OK)
        return rc;
    MPI_Comm_size(comm, &n_rank);
    int size = mdl_group_size(n_rank, n, sweep->ranks_per_candidate, sweep->batch);
    mdl_group_split(comm, size, &group);
    mdl_log(MDL_LOG_INFO, "candidates: %lld, to ratio %g; groups: %d, ranks in each: %d",
            (long long)n, sweep->ratio, group.n_group, size);
    if (group.index >= 0) {
        rc = work(trainer, queue, &group, sweep, candidates, n, results, err);
        mdl_trainer_leave(trainer);
    }
    mdl_queue_close(queue);
    mdl_group_free(&group);
    rc = mdl_agree(comm, rc, err);
    return rc == MDL_OK ? gather(comm, n, results, err) : rc;
}
