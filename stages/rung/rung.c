#include "rung/rung.h"

#include "core/log.h"
#include "core/text.h"
#include "io/candidates_file.h"
#include "io/path.h"
#include "models/backend_choice.h"
#include "models/sweep_plan.h"
#include "mpi/agree.h"
#include "rung/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What one run of a rung works on. */
typedef struct {
    mdl_stage_t *stage;
    const mdl_study_t *study;
    const mdl_rung_plan_t *plan;
    mdl_halving_t halving;
    mdl_candidates_t zoo;
    mdl_rung_t rung;             /* the one being made */
    int64_t *index;              /* in the zoo, of each row */
    mdl_candidate_t *candidates; /* n_candidate, borrowed from zoo */
    double *from;                /* ratio that each is trained to already */
} run_t;

static int find_candidate(const mdl_candidates_t *zoo, const char *name, int64_t *index,
                          mdl_error_t *err)
{
    for (*index = 0; *index < zoo->n_candidate; (*index)++)
        if (strcmp(zoo->candidate[*index], name) == 0)
            return MDL_OK;
    return mdl_fail(err, MDL_E_INPUT,
                    "the rung before has %s, which the candidate clusters don't; were they made "
                    "again? run rung 1 again",
                    name);
}

/* The rows: every cluster's medoid, or those that the rung before promoted. */
static int choose_rows(run_t *run, const mdl_rung_t *previous, mdl_error_t *err)
{
    int64_t n = 0;
    int64_t n_room = previous != NULL ? previous->n_candidate : run->zoo.n_cluster;
    int rc;
    MDL_TRY(mdl_alloc(&run->index, (size_t)n_room, sizeof *run->index, "a rung", err));
    MDL_TRY(mdl_alloc(&run->from, (size_t)n_room, sizeof *run->from, "a rung", err));
    for (int64_t i = 0; previous == NULL && i < run->zoo.n_cluster; i++)
        run->index[n++] = run->zoo.medoid[i];
    for (int64_t i = 0; previous != NULL && i < previous->n_candidate; i++)
        if (previous->promoted[i]) {
            MDL_TRY(find_candidate(&run->zoo, previous->candidate[i], &run->index[n], err));
            run->from[n++] = previous->ratio[i];
        }
    if (n == 0)
        rc = mdl_fail(err, MDL_E_INPUT, "the rung before promoted nobody");
    run->rung.n_candidate = n;
done:
    return rc;
}

static int make_rung(run_t *run, mdl_error_t *err)
{
    mdl_rung_t *rung = &run->rung;
    size_t n = (size_t)rung->n_candidate;
    const char **names = NULL;
    int rc;
    rung->rung = run->plan->number;
    MDL_TRY(mdl_alloc(&names, n, sizeof *names, "a rung", err));
    MDL_TRY(mdl_alloc(&run->candidates, n, sizeof *run->candidates, "a rung", err));
    MDL_TRY(mdl_alloc(&rung->cluster, n, sizeof *rung->cluster, "a rung", err));
    MDL_TRY(mdl_alloc(&rung->ratio, n, sizeof *rung->ratio, "a rung", err));
    MDL_TRY(mdl_alloc(&rung->error, n, sizeof *rung->error, "a rung", err));
    MDL_TRY(mdl_alloc(&rung->error_stderr, n, sizeof *rung->error_stderr, "a rung", err));
    MDL_TRY(mdl_alloc(&rung->loss, n, sizeof *rung->loss, "a rung", err));
    MDL_TRY(mdl_alloc(&rung->train_seconds, n, sizeof *rung->train_seconds, "a rung", err));
    MDL_TRY(mdl_alloc(&rung->promoted, n, sizeof *rung->promoted, "a rung", err));
    MDL_TRY(mdl_alloc(&rung->failed, n, sizeof *rung->failed, "a rung", err));
    for (size_t i = 0; i < n; i++) {
        int64_t at = run->index[i];
        names[i] = run->zoo.candidate[at];
        run->candidates[i] = (mdl_candidate_t){run->zoo.ve[at], run->zoo.lm[at]};
        rung->cluster[i] = run->zoo.cluster[at];
        rung->error[i] = rung->error_stderr[i] = rung->loss[i] = NAN;
    }
    rung->candidate = mdl_text_block(names, rung->n_candidate);
    if (rung->candidate == NULL)
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for a rung");
done:
    free(names);
    return rc;
}

static int read_inputs(run_t *run, mdl_error_t *err)
{
    mdl_rung_t previous = {0};
    int rc;
    MDL_TRY(mdl_path_check_readable(run->plan->candidates, "is its folder on all nodes?", 1, err));
    MDL_TRY(mdl_candidates_read(run->plan->candidates, &run->zoo, err));
    if (run->plan->previous != NULL)
        MDL_TRY(
            mdl_path_check_readable(run->plan->previous, "is its folder on all nodes?", 1, err));
    if (run->plan->previous != NULL)
        MDL_TRY(mdl_rung_read(run->plan->previous, &previous, err));
    MDL_TRY(choose_rows(run, run->plan->previous != NULL ? &previous : NULL, err));
    rc = make_rung(run, err);
done:
    mdl_rung_free(&previous);
    return rc;
}

static void take_result(mdl_rung_t *rung, int64_t i, double ratio, const mdl_sweep_result_t *result)
{
    rung->failed[i] = result->failed != 0;
    rung->ratio[i] = ratio;
    if (result->failed || result->n_point == 0)
        return;
    const mdl_point_t *point = &result->points[0];
    rung->error[i] = point->error;
    rung->error_stderr[i] = point->error_stderr;
    rung->loss[i] = point->loss;
    rung->train_seconds[i] = point->train_seconds;
}

static int set_reasons(mdl_rung_t *rung, const mdl_sweep_result_t *results, mdl_error_t *err)
{
    const char **reasons = NULL;
    int rc = mdl_alloc(&reasons, (size_t)rung->n_candidate, sizeof *reasons, "a rung", err);
    for (int64_t i = 0; rc == MDL_OK && i < rung->n_candidate; i++)
        reasons[i] = results != NULL ? results[i].reason : "";
    if (rc == MDL_OK && (rung->reason = mdl_text_block(reasons, rung->n_candidate)) == NULL)
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for a rung");
    free(reasons);
    return rc;
}

/* Trains and measures all rows, or prints what that would take. */
static int measure(run_t *run, mdl_error_t *err)
{
    mdl_rung_t *rung = &run->rung;
    const double ratio = mdl_study_rung_ratio(run->study, rung->rung);
    const mdl_sweep_t sweep = {.ratio = ratio,
                               .marks = &ratio,
                               .n_mark = 1,
                               .ranks_per_candidate = run->study->trainer.ranks_per_candidate,
                               .batch = run->study->trainer.batch};
    mdl_trainer_t *trainer = NULL;
    mdl_sweep_result_t *results = NULL;
    int rc;
    MDL_TRY(mdl_trainer_open(run->stage->comm, run->study, run->stage->dry_run, &trainer, err));
    if (run->stage->force)
        mdl_trainer_force(trainer);
    if (run->stage->dry_run) {
        if (run->stage->rank == 0)
            mdl_sweep_print_plan(run->study, trainer, &sweep, run->candidates, run->from,
                                 rung->n_candidate, run->stage->n_rank);
        goto done;
    }
    rc = mdl_alloc(&results, (size_t)rung->n_candidate, sizeof *results, "results of a rung", err);
    MDL_TRY(mdl_agree(run->stage->comm, rc, err));
    MDL_TRY(mdl_sweep_run(run->stage->comm, trainer, &sweep, run->candidates, rung->n_candidate,
                          results, err));
    for (int64_t i = 0; i < rung->n_candidate; i++)
        take_result(rung, i, ratio, &results[i]);
    rc = set_reasons(rung, results, err);
    if (rc == MDL_OK)
        rc = mdl_halving_promote(&run->halving, rung, err);
done:
    free(results);
    mdl_trainer_free(trainer);
    return rc;
}

/* Files of rungs behind a finished one are of an earlier search. */
static void remove_later_rungs(const run_t *run)
{
    for (int64_t number = run->rung.rung + 1;; number++) {
        char *path = mdl_study_path(run->study, "rungs/rung-%lld.h5", (long long)number);
        int removed = path != NULL && unlink(path) == 0;
        free(path);
        if (!removed)
            return;
    }
}

static void log_rung(const mdl_rung_t *rung)
{
    for (int64_t i = 0; i < rung->n_candidate; i++) {
        const char *fate = rung->promoted[i] ? ", goes on" : "";
        if (rung->failed[i])
            mdl_log(MDL_LOG_INFO, "%-30s failed: %s", rung->candidate[i], rung->reason[i]);
        else if (isnan(rung->error[i]))
            mdl_log(MDL_LOG_INFO, "%-30s not trained%s", rung->candidate[i], fate);
        else
            mdl_log(MDL_LOG_INFO, "%-30s error %.4f +- %.4f at ratio %g%s", rung->candidate[i],
                    rung->error[i], rung->error_stderr[i], rung->ratio[i], fate);
    }
    mdl_log(MDL_LOG_INFO, "rung %lld%s: %s", (long long)rung->rung,
            rung->finished ? " is the last" : "", rung->note);
}

static int run_rung(run_t *run, int own_files, mdl_error_t *err)
{
    mdl_stage_t *stage = run->stage;
    int rc = mdl_agree(stage->comm, read_inputs(run, err), err);
    if (rc != MDL_OK)
        return rc;
    int halve = run->rung.rung > 1 || run->rung.n_candidate > run->halving.keep;
    if (stage->dry_run && stage->rank == 0)
        printf("rung %lld: %lld candidates -> %s\n", (long long)run->rung.rung,
               (long long)run->rung.n_candidate, run->plan->output);
    if (halve) {
        rc = measure(run, err);
    } else {
        rc = set_reasons(&run->rung, NULL, err);
        if (rc == MDL_OK)
            rc = mdl_halving_pass_all(&run->halving, &run->rung, err);
        if (stage->dry_run && stage->rank == 0)
            printf("%s\ntime: about 0 s\nmemory: below 100 MB a rank\n", run->rung.note);
    }
    rc = mdl_agree(stage->comm, rc, err);
    if (rc != MDL_OK || stage->dry_run)
        return rc;
    rc = mdl_on_root(stage->comm, stage->rank,
                     mdl_rung_write(run->plan->output, &run->plan->provenance, &run->rung, err),
                     err);
    if (rc == MDL_OK && stage->rank == 0 && own_files && run->rung.finished)
        remove_later_rungs(run);
    if (rc == MDL_OK)
        log_rung(&run->rung);
    return rc;
}

int mdl_rung_run(mdl_stage_t *stage, const mdl_rung_options_t *options, mdl_error_t *err)
{
    mdl_study_t *study = NULL;
    mdl_rung_plan_t plan = {0};
    run_t run = {.stage = stage, .plan = &plan};
    int rc;
    MDL_TRY(mdl_stage_open_study(stage, &study));
    MDL_TRY(mdl_agree(stage->comm, mdl_backend_override(study, options->backend, err), err));
    run.study = study;
    run.halving = mdl_rung_halving(study);
    MDL_TRY(mdl_rung_plan(stage, study, options, &plan, err));
    if (plan.nothing_to_do)
        goto done;
    rc = run_rung(&run, options->output == NULL, err);
done:
    mdl_candidates_free(&run.zoo);
    mdl_rung_free(&run.rung);
    free(run.index);
    free(run.candidates);
    free(run.from);
    mdl_rung_plan_free(&plan);
    mdl_study_free(study);
    return rc;
}
