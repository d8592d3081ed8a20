#include "cluster/cluster.h"

int main(int argc, char **argv)
{
    mdl_cluster_options_t options = mdl_cluster_defaults;
    mdl_stage_t stage;
    int rc = mdl_stage_begin(&stage, &mdl_cluster_command, argc, argv, &options);
    if (rc == MDL_OK)
        rc = mdl_cluster_run(&stage, &options, &stage.err);
    return mdl_stage_end(&stage, rc);
}
