/* Which backend the ranks compute on. */
#ifndef MDL_MODELS_BACKEND_CHOICE_H
#define MDL_MODELS_BACKEND_CHOICE_H

#include "io/study.h"
#include "kernels/backend.h"

#include <mpi.h>

/* The backend called name, with precision float32 or bfloat16 (frozen matrices are kept so, and the
 * factors of their products are rounded so): cpu, strict, cuda, or auto, which is cuda where every
 * rank has a GPU (kernels/rank_device.h) and cpu elsewhere. Collective over comm. Returns
 * MDL_E_USAGE when there is no GPU, saying why, or for strict with bfloat16, and what
 * mdl_backend_cuda returns. */
int mdl_backend_choose(MPI_Comm comm, const char *name, const char *precision,
                       const mdl_backend_t **backend, mdl_error_t *err);

/* Puts name, unless it is NULL, in the place of the study's trainer.backend. Not collective.
 * Returns MDL_E_MEMORY. */
int mdl_backend_override(mdl_study_t *study, const char *name, mdl_error_t *err);

#endif
