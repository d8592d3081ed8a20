#include "rung/plan.h"

#include "core/log.h"
#include "core/text.h"
#include "io/path.h"
#include "models/trainer_settings.h"
#include "mpi/agree.h"

#include <stdlib.h>
#include <unistd.h>

mdl_halving_t mdl_rung_halving(const mdl_study_t *study)
{
    return (mdl_halving_t){study->search.start_ratio, study->search.eta, study->search.max_ratio,
                           study->search.keep};
}

static void set(char **text, char *value)
{
    free(*text);
    *text = value;
}

/* Paths of rung plan->number, by hand or of the study. */
static int set_paths(const mdl_study_t *study, const mdl_rung_options_t *options,
                     mdl_rung_plan_t *plan, mdl_error_t *err)
{
    set(&plan->candidates, options->candidates != NULL
                               ? mdl_text("%s", options->candidates)
                               : mdl_study_path(study, "clusters/candidates.h5"));
    set(&plan->previous, options->previous != NULL ? mdl_text("%s", options->previous)
                         : plan->number > 1        ? mdl_study_path(study, "rungs/rung-%lld.h5",
                                                                    (long long)plan->number - 1)
                                                   : NULL);
    set(&plan->output, options->output != NULL
                           ? mdl_text("%s", options->output)
                           : mdl_study_path(study, "rungs/rung-%lld.h5", (long long)plan->number));
    if (plan->candidates == NULL || plan->output == NULL ||
        (plan->previous == NULL && plan->number > 1))
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for paths");
    return MDL_OK;
}

static int set_provenance(const mdl_study_t *study, mdl_rung_plan_t *plan, mdl_error_t *err)
{
    char *settings = NULL;
    const char *const inputs[] = {plan->candidates, plan->previous};
    int rc;
    MDL_TRY(mdl_path_check_readable(
        plan->candidates, "run mordal-cluster --study STUDY.yaml --side language first", 1, err));
    if (plan->previous != NULL)
        MDL_TRY(mdl_path_check_readable(plan->previous,
                                        "run mordal-rung for the rung before it first", 1, err));
    MDL_TRY(mdl_trainer_settings(study, &settings, err));
    set(&plan->configuration,
        mdl_text("rung=%lld\nsearch.start_ratio=%.15g\nsearch.eta=%.15g\nsearch.max_ratio=%.15g\n"
                 "search.keep=%lld\n%s",
                 (long long)plan->number, study->search.start_ratio, study->search.eta,
                 study->search.max_ratio, (long long)study->search.keep, settings));
    if (plan->configuration == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory for the configuration"));
    plan->provenance = (mdl_provenance_t){
        .schema = "mordal-rung", .version = 1, .configuration = plan->configuration};
    rc = mdl_result_inputs_digest(inputs, plan->previous != NULL ? 2 : 1,
                                  plan->provenance.inputs_digest, err);
done:
    free(settings);
    return rc;
}

/* 1 when there is no rung behind this one. */
static int is_newest(const mdl_study_t *study, const mdl_rung_t *rung)
{
    char *next = mdl_study_path(study, "rungs/rung-%lld.h5", (long long)rung->rung + 1);
    int newest = rung->finished || next == NULL || access(next, F_OK) != 0;
    free(next);
    return newest;
}

/* Looks at rung plan->number; *run is 1 when it is the one to run. Sets nothing_to_do when the
 * search for a rung ends here otherwise. */
static int consider(const mdl_study_t *study, int64_t wanted, int force, mdl_rung_plan_t *plan,
                    int *run, mdl_error_t *err)
{
    char why[256];
    mdl_rung_t rung;
    *run = !mdl_result_is_current(plan->output, &plan->provenance, why);
    if (*run && wanted > plan->number)
        return mdl_fail(err, MDL_E_MISSING,
                        "%s: %s; run mordal-rung --study STUDY.yaml --rung %lld first",
                        plan->output, why, (long long)plan->number);
    if (*run) {
        if (access(plan->output, F_OK) == 0)
            mdl_log(MDL_LOG_INFO, "%s is made again: %s", plan->output, why);
        return MDL_OK;
    }
    int rc = mdl_rung_read(plan->output, &rung, err);
    if (rc != MDL_OK)
        return rc;
    if (force && (wanted == plan->number || (wanted == 0 && is_newest(study, &rung))))
        *run = 1;
    else if (rung.finished)
        mdl_log(MDL_LOG_INFO, "halving has finished with rung %lld: %s", (long long)rung.rung,
                rung.note);
    else if (wanted == plan->number)
        mdl_log(MDL_LOG_INFO, "up to date: %s", plan->output);
    plan->nothing_to_do = !*run && (rung.finished || wanted == plan->number);
    mdl_rung_free(&rung);
    return MDL_OK;
}

/* The wanted rung of the study, or (0) the first that isn't there or isn't current. */
static int choose(const mdl_study_t *study, const mdl_rung_options_t *options, int force,
                  mdl_rung_plan_t *plan, mdl_error_t *err)
{
    for (plan->number = 1;; plan->number++) {
        int run, rc;
        if ((rc = set_paths(study, options, plan, err)) != MDL_OK ||
            (rc = set_provenance(study, plan, err)) != MDL_OK ||
            (rc = consider(study, options->rung, force, plan, &run, err)) != MDL_OK)
            return rc;
        if (run || plan->nothing_to_do)
            return MDL_OK;
    }
}

/* The rung that the files on the command line make. */
static int by_hand(const mdl_study_t *study, const mdl_rung_options_t *options, int force,
                   mdl_rung_plan_t *plan, mdl_error_t *err)
{
    mdl_rung_t previous = {0};
    char why[256];
    int rc;
    if (options->output == NULL || options->rung != 0)
        return mdl_fail(err, MDL_E_USAGE,
                        "--candidates and --previous go with -o OUT.h5 and without --rung");
    plan->number = 1;
    if (options->previous != NULL) {
        MDL_TRY(mdl_rung_read(options->previous, &previous, err));
        plan->number = previous.rung + 1;
    }
    MDL_TRY(set_paths(study, options, plan, err));
    if (previous.finished) {
        mdl_log(MDL_LOG_INFO, "halving has finished with rung %lld: %s", (long long)previous.rung,
                previous.note);
        plan->nothing_to_do = 1;
        goto done;
    }
    MDL_TRY(set_provenance(study, plan, err));
    plan->nothing_to_do = !force && mdl_result_is_current(plan->output, &plan->provenance, why);
    if (plan->nothing_to_do)
        mdl_log(MDL_LOG_INFO, "up to date: %s", plan->output);
done:
    mdl_rung_free(&previous);
    return rc;
}

int mdl_rung_plan(mdl_stage_t *stage, const mdl_study_t *study, const mdl_rung_options_t *options,
                  mdl_rung_plan_t *plan, mdl_error_t *err)
{
    *plan = (mdl_rung_plan_t){0};
    int hand = options->candidates != NULL || options->previous != NULL || options->output != NULL;
    int rc = MDL_OK;
    if (stage->n_argument > 0)
        rc = mdl_fail(err, MDL_E_USAGE,
                      "'%s' is not an option; inputs are named by options (--help)",
                      stage->arguments[0]);
    else if (mdl_study_in_rounds(study))
        rc = mdl_fail(err, MDL_E_USAGE,
                      "search.strategy is %s, which has no rungs: run mordal-regress, or set it to "
                      "paper",
                      study->search.strategy);
    else if (options->rung < 0)
        rc = mdl_fail(err, MDL_E_USAGE, "--rung counts from 1");
    else if (stage->rank == 0)
        rc = hand ? by_hand(study, options, stage->force, plan, err)
                  : choose(study, options, stage->force, plan, err);
    rc = mdl_agree(stage->comm, rc, err);
    if (rc != MDL_OK)
        return rc;
    int64_t decision[] = {plan->number, plan->nothing_to_do};
    MPI_Bcast(decision, 2, MPI_INT64_T, 0, stage->comm);
    plan->number = decision[0];
    plan->nothing_to_do = (int)decision[1];
    rc = stage->rank == 0 ? MDL_OK : set_paths(study, options, plan, err);
    return mdl_agree(stage->comm, rc, err);
}

void mdl_rung_plan_free(mdl_rung_plan_t *plan)
{
    free(plan->candidates);
    free(plan->previous);
    free(plan->output);
    free(plan->configuration);
    *plan = (mdl_rung_plan_t){0};
}
