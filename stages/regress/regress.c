#include "regress/regress.h"

#include "core/log.h"
#include "core/text.h"
#include "models/sweep_plan.h"
#include "models/trainer_settings.h"
#include "mpi/agree.h"
#include "regress/fit.h"
#include "regress/rounds_study.h"
#include "regress/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What one run works on. */
typedef struct {
    mdl_stage_t *stage;
    const mdl_study_t *study;
    mdl_survivors_t survivors;
    char *output, *configuration;
    mdl_provenance_t provenance;
    mdl_predict_settings_t predict;
    int64_t n; /* candidates of the surviving clusters */
    int64_t *index;
    mdl_candidate_t *candidates;
    double *from;
    mdl_sweep_result_t *results;
    mdl_study_rounds_t rounds;
} run_t;

int mdl_regress_is_done(mdl_stage_t *stage, const char *path, const mdl_provenance_t *provenance)
{
    char why[256];
    int done = 0;
    if (stage->rank == 0 && !stage->force) {
        done = mdl_result_is_current(path, provenance, why);
        if (done)
            mdl_log(MDL_LOG_INFO, "up to date: %s", path);
        else if (access(path, F_OK) == 0)
            mdl_log(MDL_LOG_INFO, "%s is made again: %s", path, why);
    }
    MPI_Bcast(&done, 1, MPI_INT, 0, stage->comm);
    return done;
}

/* The settings of rounds; nothing where there are none. New memory. */
static char *round_settings(const mdl_study_t *study)
{
    if (!mdl_study_in_rounds(study))
        return mdl_text("%s", "");
    return mdl_text("search.strategy=%s\nsearch.start_ratio=%.15g\nsearch.confidence=%.15g\n"
                    "search.floor=%.15g\n",
                    study->search.strategy, study->search.start_ratio, study->search.confidence,
                    study->search.floor);
}

static int set_provenance(run_t *run, mdl_error_t *err)
{
    const mdl_study_t *study = run->study;
    char *settings = NULL, *rounds = round_settings(study);
    int rc;
    MDL_TRY(mdl_trainer_settings(study, &settings, err));
    run->output = mdl_study_path(study, "regress/regress.h5");
    run->configuration = mdl_text(
        "%ssearch.max_ratio=%.15g\nregress.method=%s\nregress.divisor=%.15g\nregress.points=%lld\n"
        "regress.tolerance=%.15g\nregress.max_points=%lld\nregress.confidence=%.15g\n%s",
        rounds, study->search.max_ratio, study->regress.method, study->regress.divisor,
        (long long)study->regress.points, study->regress.tolerance,
        (long long)study->regress.max_points, study->regress.confidence, settings);
    if (run->output == NULL || rounds == NULL || run->configuration == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory for the configuration"));
    run->provenance = (mdl_provenance_t){
        .schema = "mordal-regress", .version = 1, .configuration = run->configuration};
    snprintf(run->provenance.inputs_digest, sizeof run->provenance.inputs_digest, "%s",
             run->survivors.inputs_digest);
done:
    free(settings);
    free(rounds);
    return rc;
}

/* The ratio that halving has trained a candidate to already. */
static double trained_to(const mdl_survivors_t *survivors, const char *name)
{
    double ratio = 0;
    for (int64_t k = 0; k < survivors->n_rung; k++)
        for (int64_t i = 0; i < survivors->rungs[k].n_candidate; i++)
            if (strcmp(survivors->rungs[k].candidate[i], name) == 0)
                ratio = survivors->rungs[k].ratio[i];
    return ratio;
}

static int list_candidates(run_t *run, mdl_error_t *err)
{
    const mdl_candidates_t *zoo = &run->survivors.zoo;
    size_t n = (size_t)zoo->n_candidate;
    int rc;
    MDL_TRY(mdl_alloc(&run->index, n, sizeof *run->index, "candidates", err));
    MDL_TRY(mdl_alloc(&run->candidates, n, sizeof *run->candidates, "candidates", err));
    MDL_TRY(mdl_alloc(&run->from, n, sizeof *run->from, "candidates", err));
    MDL_TRY(mdl_alloc(&run->results, n, sizeof *run->results, "results", err));
    for (int64_t i = 0; i < zoo->n_candidate; i++) {
        if (run->survivors.dropped_in[zoo->cluster[i]] != 0)
            continue;
        run->index[run->n] = i;
        run->candidates[run->n] = (mdl_candidate_t){zoo->ve[i], zoo->lm[i]};
        run->from[run->n] = trained_to(&run->survivors, zoo->candidate[i]);
        run->n++;
    }
done:
    return rc;
}

static int prepare(run_t *run, mdl_error_t *err)
{
    mdl_method_t method;
    int rc;
    MDL_TRY(mdl_method_parse(run->study->regress.method, &method, err));
    run->predict = mdl_predict_defaults(method);
    run->predict.confidence = run->study->regress.confidence;
    run->predict.divisor = run->study->regress.divisor;
    run->predict.min_points = run->study->regress.points;
    run->predict.max_points = run->study->regress.max_points;
    run->predict.tolerance = run->study->regress.tolerance;
    MDL_TRY(mdl_survivors_read(run->study, &run->survivors, err));
    MDL_TRY(set_provenance(run, err));
    rc = list_candidates(run, err);
done:
    return rc;
}

/* Seconds that restarts and failures cost, as the candidates' histories tell; what isn't there
 * doesn't count. */
static double lost_seconds(const mdl_study_t *study, const mdl_candidates_t *zoo)
{
    double sum = 0;
    for (int64_t i = 0; i < zoo->n_candidate; i++) {
        char *path = mdl_study_path(study, "candidates/%s/history.h5", zoo->candidate[i]);
        if (path != NULL)
            sum += mdl_history_lost(path);
        free(path);
    }
    return sum;
}

/* Trains the survivors of halving to R and measures them, or prints what that would take. */
static int measure_survivors(run_t *run, mdl_error_t *err)
{
    const mdl_study_t *study = run->study;
    const mdl_fit_rule_t rule = {study->regress.points, study->regress.tolerance,
                                 study->regress.confidence};
    double marks[MDL_SWEEP_MAX_POINT];
    const int is_line = run->predict.method == MDL_METHOD_LOG_LINEAR;
    mdl_sweep_t sweep = {.ratio = study->search.max_ratio,
                         .marks = marks,
                         .enough = is_line ? mdl_fit_is_enough : NULL,
                         .context = &rule,
                         .ranks_per_candidate = study->trainer.ranks_per_candidate,
                         .batch = study->trainer.batch};
    double ratio = sweep.ratio;
    while (sweep.n_mark < MDL_SWEEP_MAX_POINT && sweep.n_mark < study->regress.max_points) {
        marks[sweep.n_mark++] = ratio;
        ratio /= study->regress.divisor;
    }
    mdl_trainer_t *trainer = NULL;
    int rc = mdl_trainer_open(run->stage->comm, study, run->stage->dry_run, &trainer, err);
    if (rc != MDL_OK)
        return rc;
    if (run->stage->force)
        mdl_trainer_force(trainer);
    if (!run->stage->dry_run)
        rc = mdl_sweep_run(run->stage->comm, trainer, &sweep, run->candidates, run->n, run->results,
                           err);
    else if (run->stage->rank == 0) {
        printf("%lld candidates, %lld to %d points each from ratio %g down -> %s\n",
               (long long)run->n, is_line ? (long long)study->regress.points + 1 : sweep.n_mark,
               sweep.n_mark, marks[0], run->output);
        mdl_sweep_print_plan(study, trainer, &sweep, run->candidates, run->from, run->n,
                             run->stage->n_rank);
    }
    mdl_trainer_free(trainer);
    return rc;
}

static int measure(run_t *run, mdl_error_t *err)
{
    return mdl_study_in_rounds(run->study)
               ? mdl_study_rounds_run(run->stage, run->study, &run->survivors.zoo, &run->predict,
                                      run->results, &run->rounds, err)
               : measure_survivors(run, err);
}

static void log_table(const mdl_regress_t *regress)
{
    for (int64_t i = 0; i < regress->n_candidate && i < 10; i++) {
        if (isfinite(regress->low[i]))
            mdl_log(MDL_LOG_INFO, "%2lld. %-30s predicted error %.4f (%.4f to %.4f)",
                    (long long)i + 1, regress->candidate[i], regress->predicted[i], regress->low[i],
                    regress->high[i]);
        else if (regress->predicted[i] >= 0)
            mdl_log(MDL_LOG_INFO, "%2lld. %-30s predicted error %.4f (%s)", (long long)i + 1,
                    regress->candidate[i], regress->predicted[i], regress->status[i]);
    }
    mdl_log(MDL_LOG_INFO, "the choice is %s", regress->choice);
}

/* Fits, ranks and writes. On rank 0 alone. */
static int conclude(run_t *run, mdl_error_t *err)
{
    mdl_regress_t regress;
    const mdl_table_input_t input = {.survivors = &run->survivors,
                                     .results = run->results,
                                     .index = run->index,
                                     .n_result = run->n,
                                     .rounds =
                                         mdl_study_in_rounds(run->study) ? &run->rounds : NULL,
                                     .predict = run->predict,
                                     .lost_seconds = lost_seconds(run->study, &run->survivors.zoo)};
    int rc = mdl_table_make(&input, &regress, err);
    if (rc != MDL_OK)
        return rc;
    rc = mdl_regress_write(run->output, &run->provenance, &regress, err);
    if (rc == MDL_OK)
        log_table(&regress);
    mdl_regress_free(&regress);
    return rc;
}

int mdl_regress_run(mdl_stage_t *stage, const mdl_study_t *study, mdl_error_t *err)
{
    run_t run = {.stage = stage, .study = study};
    int rc;
    MDL_TRY(mdl_agree(stage->comm, prepare(&run, err), err));
    if (mdl_regress_is_done(stage, run.output, &run.provenance))
        goto done;
    MDL_TRY(measure(&run, err));
    if (!stage->dry_run)
        rc = mdl_on_root(stage->comm, stage->rank, conclude(&run, err), err);
done:
    mdl_survivors_free(&run.survivors);
    mdl_study_rounds_free(&run.rounds);
    free(run.output);
    free(run.configuration);
    free(run.index);
    free(run.candidates);
    free(run.from);
    free(run.results);
    return rc;
}
