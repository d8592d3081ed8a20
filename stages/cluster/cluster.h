/* The stage: similarity files to clusters, clusters of both sides to candidate clusters. */
#ifndef MDL_CLUSTER_CLUSTER_H
#define MDL_CLUSTER_CLUSTER_H

#include "core/stage.h"

typedef struct {
    const char *linkage, *vision, *side, *output;
    double threshold;
} mdl_cluster_options_t;

extern const mdl_cluster_options_t mdl_cluster_defaults;
extern const mdl_command_t mdl_cluster_command;

/* Works on the files of the arguments or on the study's side; rank 0 alone computes. Collective
 * over stage->comm. */
int mdl_cluster_run(mdl_stage_t *stage, const mdl_cluster_options_t *options, mdl_error_t *err);

#endif
