#include "core/stage.h"
#include "regress/regress.h"

#include <stddef.h>

static const mdl_option_t table[] = {
    {"final", 0, MDL_OPTION_FLAG, NULL, "train the choice to ratio 1 and measure it",
     offsetof(mdl_regress_options_t, final)},
};

static const mdl_command_t command = {
    .program = "mordal-regress",
    .usage = "--study STUDY.yaml [--final] [OPTION...]",
    .summary =
        "Trains all candidates of the surviving clusters to ratio R, fits a line through log\n"
        "error and log ratio of each, predicts its error at ratio 1 and chooses.",
    .options = table,
    .n_option = sizeof table / sizeof table[0],
};

static int run(mdl_stage_t *stage, const mdl_regress_options_t *options)
{
    mdl_study_t *study = NULL;
    int rc;
    if (stage->n_argument > 0)
        return mdl_fail(&stage->err, MDL_E_USAGE,
                        "'%s' is no option; inputs and outputs are the study's (--help)",
                        stage->arguments[0]);
    MDL_TRY(mdl_stage_open_study(stage, &study));
    rc = options->final ? mdl_regress_run_final(stage, study, &stage->err)
                        : mdl_regress_run(stage, study, &stage->err);
done:
    mdl_study_free(study);
    return rc;
}

int main(int argc, char **argv)
{
    mdl_regress_options_t options = {0};
    mdl_stage_t stage;
    int rc = mdl_stage_begin(&stage, &command, argc, argv, &options);
    if (rc == MDL_OK)
        rc = run(&stage, &options);
    return mdl_stage_end(&stage, rc);
}
