#include "core/stage.h"
#include "rung/rung.h"

#include <stddef.h>

static const mdl_option_t table[] = {
    {"rung", 0, MDL_OPTION_INT, "N", "which rung, from 1 (default: the next one)",
     offsetof(mdl_rung_options_t, rung)},
    {"candidates", 0, MDL_OPTION_TEXT, "FILE", "candidate clusters instead of the study's own",
     offsetof(mdl_rung_options_t, candidates)},
    {"previous", 0, MDL_OPTION_TEXT, "RUNG.h5", "the rung before (by hand; default: none, rung 1)",
     offsetof(mdl_rung_options_t, previous)},
    {"backend", 0, MDL_OPTION_CHOICE, "auto|cpu|cuda|strict",
     "where the native trainer computes (default: the study's trainer.backend)",
     offsetof(mdl_rung_options_t, backend)},
    {"output", 'o', MDL_OPTION_TEXT, "OUT.h5", "where the rung goes (by hand)",
     offsetof(mdl_rung_options_t, output)},
};

static const mdl_command_t command = {
    .program = "mordal-rung",
    .usage = "--study STUDY.yaml [--rung N] [OPTION...]",
    .summary =
        "Runs one rung of successive halving: trains every cluster's medoid candidate to the\n"
        "rung's share of the alignment data, measures it and promotes the best 1/eta.",
    .options = table,
    .n_option = sizeof table / sizeof table[0],
};

int main(int argc, char **argv)
{
    mdl_rung_options_t options = {0};
    mdl_stage_t stage;
    int rc = mdl_stage_begin(&stage, &command, argc, argv, &options);
    if (rc == MDL_OK)
        rc = mdl_rung_run(&stage, &options, &stage.err);
    return mdl_stage_end(&stage, rc);
}
