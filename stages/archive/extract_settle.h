/* Extraction that goes on only until the clusters of the language models are settled. */
#ifndef MDL_ARCHIVE_EXTRACT_SETTLE_H
#define MDL_ARCHIVE_EXTRACT_SETTLE_H

#include "core/stage.h"
#include "io/clusters_file.h"
#include "kernels/backend.h"

/* For the medoid of each vision cluster: extracts the hidden states of all language models on the
 * same samples in one random order, batch by batch, and stops at the first look that finds their
 * clusters settled, or when all samples are done. The archives are the state: what a run leaves
 * that was killed is gone on with, and the end is the same. They say how many samples they have of
 * how many and why it stopped. Prints the plan under --dry-run. Collective over stage->comm.
 * Returns MDL_E_INPUT for corpora of different samples, and what mdl_extract_states and
 * mdl_enough_ask return. */
int mdl_extract_settle(mdl_stage_t *stage, const mdl_study_t *study, const mdl_backend_t *backend,
                       const mdl_clusters_t *vision, mdl_error_t *err);

#endif
