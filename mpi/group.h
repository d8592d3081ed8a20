/* Groups of ranks that each work on one candidate at a time. */
#ifndef MDL_MPI_GROUP_H
#define MDL_MPI_GROUP_H

#include "core/error.h"

#include <mpi.h>
#include <stdint.h>

typedef struct {
    MPI_Comm comm; /* this rank's group; MPI_COMM_NULL on a rank that is left over */
    int index;     /* of the group, -1 on a left-over rank */
    int rank;      /* within the group; 0 leads */
    int n_group;
} mdl_group_t;

/* Ranks of a group: asked, at most n_rank; with asked = 0 the largest power of two that is at most
 * n_rank / n_item and at most batch, and at least 1. Not collective. */
int mdl_group_size(int n_rank, int64_t n_item, int64_t asked, int64_t batch);

/* Splits comm into groups of size neighbouring ranks. Collective over comm. */
void mdl_group_split(MPI_Comm comm, int size, mdl_group_t *group);
void mdl_group_free(mdl_group_t *group);

/* Waits until every rank of comm has come here, without keeping a core busy.
 * Collective over comm. */
void mdl_group_meet(MPI_Comm comm);

#endif
