#include "regress/command.h"

#include "models/backend_choice.h"
#include "mpi/agree.h"
#include "regress/curves.h"
#include "regress/forecast.h"

#include <stddef.h>

static const mdl_option_t table[] = {
    {"final", 0, MDL_OPTION_FLAG, NULL, "train the choice to ratio 1 and measure it",
     offsetof(mdl_regress_options_t, final)},
    {"plan", 0, MDL_OPTION_FLAG, NULL, "print what the whole search costs and what it has used",
     offsetof(mdl_regress_options_t, plan)},
    {"full-seconds", 0, MDL_OPTION_DOUBLE, "S",
     "--plan: seconds of one candidate to ratio 1; default: measured speed",
     offsetof(mdl_regress_options_t, full_seconds)},
    {"backend", 0, MDL_OPTION_CHOICE, "auto|cpu|cuda|strict",
     "where the native trainer computes; default: the study's trainer.backend",
     offsetof(mdl_regress_options_t, backend)},
    {"curves", 0, MDL_OPTION_TEXT, "FILE.csv",
     "predict from measured learning curves instead of a study",
     offsetof(mdl_regress_options_t, curves)},
    {"at", 0, MDL_OPTION_DOUBLE, "FRACTION",
     "--curves: use points up to this fraction; default: 0.125",
     offsetof(mdl_regress_options_t, at)},
    {"method", 0, MDL_OPTION_CHOICE, "pooled|calibrated-slope|last-value|log-linear|power-law",
     "--curves: how errors at fraction 1 are predicted; default: pooled",
     offsetof(mdl_regress_options_t, method)},
    {"confidence", 0, MDL_OPTION_DOUBLE, "P",
     "--curves: probability of the intervals; default: 0.9",
     offsetof(mdl_regress_options_t, confidence)},
    {"print", 0, MDL_OPTION_CHOICE, "csv", "--curves: print the predictions as CSV",
     offsetof(mdl_regress_options_t, print)},
    {"simulate", 0, MDL_OPTION_FLAG, NULL, "--curves: run whole searches on the curves",
     offsetof(mdl_regress_options_t, simulate)},
    {"strategy", 0, MDL_OPTION_CHOICE, "paper|interval|cross|halving|additive|score|random|grid",
     "--simulate: how the search goes about it; default: paper",
     offsetof(mdl_regress_options_t, simulation.strategy)},
    {"similarity", 0, MDL_OPTION_TEXT, "CKA.h5 ...",
     "--simulate: similarities to cluster by, vision and language",
     offsetof(mdl_regress_options_t, simulation.similarity)},
    {"scores", 0, MDL_OPTION_TEXT, "FILE",
     "--simulate: scores for the strategy score, of mordal-score or a CSV",
     offsetof(mdl_regress_options_t, simulation.scores)},
    {"sweep", 0, MDL_OPTION_TEXT, "KEY=VALUES,...",
     "--simulate: every combination of t_ve=0.5:0.9:0.05,eta=2,3,...",
     offsetof(mdl_regress_options_t, simulation.sweep)},
    {"seeds", 0, MDL_OPTION_INT, "N", "--simulate: repeat what is drawn; default: 1",
     offsetof(mdl_regress_options_t, simulation.n_seed)},
    {"output", 'o', MDL_OPTION_TEXT, "OUT.h5", "--simulate: write the table, and OUT.svg",
     offsetof(mdl_regress_options_t, simulation.output)},
};

const mdl_command_t mdl_regress_command = {
    .program = "mordal-regress",
    .usage = "--study STUDY.yaml [--final | --plan] [OPTION...]\n"
             "       mordal-regress --curves FILE.csv [--print csv | --simulate] [OPTION...]",
    .summary =
        "Trains candidates in rounds that cut those out of the leader's reach, or (strategy "
        "paper)\n"
        "all candidates of the surviving clusters to ratio R, predicts errors at ratio 1, chooses.",
    .options = table,
    .n_option = sizeof table / sizeof table[0],
};

static int print_curves(const mdl_regress_options_t *options, mdl_error_t *err)
{
    mdl_method_t method;
    mdl_curve_table_t curves;
    int rc;
    if (!(options->at > 0 && options->at <= 1))
        return mdl_fail(err, MDL_E_USAGE, "--at must be over 0 to 1, not %g", options->at);
    if (!(options->confidence > 0 && options->confidence < 1))
        return mdl_fail(err, MDL_E_USAGE, "--confidence must be between 0 and 1, not %g",
                        options->confidence);
    MDL_TRY(mdl_method_parse(options->method != NULL ? options->method : "pooled", &method, err));
    mdl_predict_settings_t settings = mdl_predict_defaults(method);
    settings.confidence = options->confidence;
    MDL_TRY(mdl_curve_table_read(options->curves, &curves, err));
    mdl_curves_warn(&curves);
    rc = mdl_curves_print(&curves, &settings, options->at, stdout, err);
    mdl_curve_table_free(&curves);
done:
    return rc;
}

int mdl_regress_main(mdl_stage_t *stage, const mdl_regress_options_t *options)
{
    mdl_study_t *study = NULL;
    int rc;
    if (options->simulate && options->curves == NULL)
        return mdl_fail(&stage->err, MDL_E_USAGE, "--simulate needs --curves FILE.csv");
    if (options->simulate)
        return mdl_simulate_run(stage, &options->simulation, options->curves, options->method,
                                &stage->err);
    if (stage->n_argument > 0)
        return mdl_fail(&stage->err, MDL_E_USAGE,
                        "'%s' is not an option; inputs and outputs are the study's (--help)",
                        stage->arguments[0]);
    if (options->curves != NULL)
        return mdl_on_root(stage->comm, stage->rank, print_curves(options, &stage->err),
                           &stage->err);
    stage->dry_run |= options->plan;
    MDL_TRY(mdl_stage_open_study(stage, &study));
    MDL_TRY(mdl_agree(stage->comm, mdl_backend_override(study, options->backend, &stage->err),
                      &stage->err));
    if (options->plan)
        rc = mdl_forecast_print(stage, study, options->full_seconds, &stage->err);
    else
        rc = options->final ? mdl_regress_run_final(stage, study, &stage->err)
                            : mdl_regress_run(stage, study, &stage->err);
done:
    mdl_study_free(study);
    return rc;
}
