#include "cka/cka.h"

int main(int argc, char **argv)
{
    mdl_cka_options_t options = mdl_cka_defaults;
    mdl_stage_t stage;
    int rc = mdl_stage_begin(&stage, &mdl_cka_command, argc, argv, &options);
    if (rc == MDL_OK)
        rc = mdl_cka_run(&stage, &options, &stage.err);
    return mdl_stage_end(&stage, rc);
}
