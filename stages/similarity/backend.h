/* Where a comparison computes: the CPU, or a GPU for each rank. */
#ifndef MDL_SIMILARITY_BACKEND_H
#define MDL_SIMILARITY_BACKEND_H

#include "similarity/similarity.h"

/* Sets settings->device and n_sharer for backend: "cpu", "cuda", or "auto", which takes GPUs where
 * every rank has one that can run this build. Ranks of a node take its GPUs in turn. bfloat16: as
 * settings->bfloat16. Collective over comm. Returns MDL_E_USAGE when cuda is asked for and can't be
 * had, or bfloat16 without it. */
int mdl_cka_choose_backend(MPI_Comm comm, const char *backend, mdl_cka_settings_t *settings,
                           mdl_error_t *err);

#endif
