/* Which GPU a rank computes on. */
#ifndef MDL_KERNELS_RANK_DEVICE_H
#define MDL_KERNELS_RANK_DEVICE_H

#include "kernels/device.h"

#include <mpi.h>

typedef struct {
    int number;           /* for mdl_device_describe and the like, or -1: there is none */
    int n_sharer;         /* ranks of the node that have the same device, this one included */
    mdl_device_t device;  /* with a number */
    mdl_error_t why_none; /* else: the sentence */
} mdl_rank_device_t;

/* Gives every rank of comm a GPU that can run this build, or none to all. The ranks of a node take
 * its GPUs in turn; what identifies a GPU tells which ranks share one, as launchers that show each
 * rank its own GPU number all of them 0. The log says which. Collective over comm. Returns
 * MDL_E_USAGE when required and some rank has none, MDL_E_MEMORY. */
int mdl_rank_device(MPI_Comm comm, int required, mdl_rank_device_t *found, mdl_error_t *err);

#endif
