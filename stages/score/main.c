#include "score/score.h"

int main(int argc, char **argv)
{
    mdl_score_options_t options = mdl_score_defaults;
    mdl_stage_t stage;
    int rc = mdl_stage_begin(&stage, &mdl_score_command, argc, argv, &options);
    if (rc == MDL_OK)
        rc = mdl_score_run(&stage, &options, &stage.err);
    return mdl_stage_end(&stage, rc);
}
