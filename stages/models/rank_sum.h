/* Sums of gradients over the ranks of a group, in one fixed tree, so that 2, 4, 8, ... ranks get
 * the bits that one rank gets by adding its branches. */
#ifndef MDL_MODELS_RANK_SUM_H
#define MDL_MODELS_RANK_SUM_H

#include "kernels/backend.h"

#include <mpi.h>
#include <stdint.h>

typedef struct {
    const mdl_backend_t *backend;
    int64_t n; /* numbers of a sum */
    float
        *host;  /* [2, n] on the way between ranks; NULL where the backend's memory is the host's */
    void *link; /* of the GPUs of the group; NULL: the hosts pass the numbers on */
    int link_tried; /* it was asked for */
} mdl_rank_sum_t;

/* For sums of n numbers on backend. Closed by mdl_rank_sum_close, also after a failure. Not
 * collective. Returns MDL_E_MEMORY. */
int mdl_rank_sum_open(mdl_rank_sum_t *ranks, const mdl_backend_t *backend, int64_t n,
                      mdl_error_t *err);
void mdl_rank_sum_close(mdl_rank_sum_t *ranks);

/* sum [n] becomes the sum over the ranks, on each of them; other [n] is scratch; both are the
 * backend's. group is the same at every call. Collective over group; a failure of one rank is
 * returned there alone. */
int mdl_rank_sum(mdl_rank_sum_t *ranks, MPI_Comm group, float *sum, float *other, mdl_error_t *err);

#endif
