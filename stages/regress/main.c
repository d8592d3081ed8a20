#include "core/stage.h"
#include "regress/command.h"

int main(int argc, char **argv)
{
    mdl_regress_options_t options = {.at = 0.125, .confidence = 0.9, .simulation.n_seed = 1};
    mdl_stage_t stage;
    int rc = mdl_stage_begin(&stage, &mdl_regress_command, argc, argv, &options);
    if (rc == MDL_OK)
        rc = mdl_regress_main(&stage, &options);
    return mdl_stage_end(&stage, rc);
}
