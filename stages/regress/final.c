#include "regress/regress.h"

#include "core/log.h"
#include "core/text.h"
#include "io/path.h"
#include "io/regress_file.h"
#include "models/sweep_plan.h"
#include "models/trainer_settings.h"
#include "mpi/agree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one run works on. */
typedef struct {
    mdl_stage_t *stage;
    const mdl_study_t *study;
    char *input, *output, *settings;
    mdl_provenance_t provenance;
    mdl_regress_t regress;
    int64_t row; /* of the choice */
} run_t;

static int prepare(run_t *run, mdl_error_t *err)
{
    int rc;
    run->input = mdl_study_path(run->study, "regress/regress.h5");
    run->output = mdl_study_path(run->study, "regress/final.h5");
    if (run->input == NULL || run->output == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory for paths"));
    MDL_TRY(
        mdl_path_check_readable(run->input, "run mordal-regress --study STUDY.yaml first", 1, err));
    MDL_TRY(mdl_regress_read(run->input, &run->regress, err));
    while (strcmp(run->regress.candidate[run->row], run->regress.choice) != 0)
        run->row++;
    MDL_TRY(mdl_trainer_settings(run->study, &run->settings, err));
    run->provenance =
        (mdl_provenance_t){.schema = "mordal-final", .version = 1, .configuration = run->settings};
    const char *const inputs[] = {run->input};
    rc = mdl_result_inputs_digest(inputs, 1, run->provenance.inputs_digest, err);
done:
    return rc;
}

static int train_and_measure(run_t *run, mdl_sweep_result_t *result, mdl_error_t *err)
{
    const double one = 1;
    const double from = run->regress.ratio_trained[run->row];
    const mdl_candidate_t choice = {run->regress.ve[run->row], run->regress.lm[run->row]};
    const mdl_sweep_t sweep = {.ratio = 1,
                               .marks = &one,
                               .n_mark = 1,
                               .ranks_per_candidate = run->study->trainer.ranks_per_candidate,
                               .batch = run->study->trainer.batch};
    mdl_trainer_t *trainer = NULL;
    int rc = mdl_trainer_open(run->stage->comm, run->study, run->stage->dry_run, &trainer, err);
    if (rc != MDL_OK)
        return rc;
    if (run->stage->force)
        mdl_trainer_force(trainer);
    if (!run->stage->dry_run)
        rc = mdl_sweep_run(run->stage->comm, trainer, &sweep, &choice, 1, result, err);
    else if (run->stage->rank == 0) {
        printf("the choice to ratio 1 -> %s\n", run->output);
        mdl_sweep_print_plan(run->study, trainer, &sweep, &choice, &from, 1, run->stage->n_rank);
    }
    mdl_trainer_free(trainer);
    if (rc == MDL_OK && result->failed)
        rc = mdl_fail(err, MDL_E_TRAINER, "the choice %s failed on its way to ratio 1: %s",
                      run->regress.choice, result->reason);
    return rc;
}

int mdl_regress_run_final(mdl_stage_t *stage, const mdl_study_t *study, mdl_error_t *err)
{
    run_t run = {.stage = stage, .study = study};
    mdl_sweep_result_t result = {0};
    int rc;
    MDL_TRY(mdl_agree(stage->comm, prepare(&run, err), err));
    if (mdl_regress_is_done(stage, run.output, &run.provenance))
        goto done;
    MDL_TRY(train_and_measure(&run, &result, err));
    if (stage->dry_run)
        goto done;
    const mdl_point_t *point = &result.points[0];
    MDL_TRY(mdl_on_root(
        stage->comm, stage->rank,
        mdl_final_write(run.output, &run.provenance, run.regress.choice, point, err), err));
    mdl_log(MDL_LOG_INFO, "%s at ratio 1: error %.4f +- %.4f, predicted %.4f (%.4f to %.4f)",
            run.regress.choice, point->error, point->error_stderr, run.regress.predicted[run.row],
            run.regress.low[run.row], run.regress.high[run.row]);
done:
    mdl_regress_free(&run.regress);
    free(run.input);
    free(run.output);
    free(run.settings);
    return rc;
}
