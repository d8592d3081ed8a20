/* A sweep: many candidates trained to one ratio, and measured, by groups of ranks at once. */
#ifndef MDL_MODELS_SWEEP_H
#define MDL_MODELS_SWEEP_H

#include "models/trainer.h"

enum { MDL_SWEEP_MAX_POINT = 64, MDL_SWEEP_REASON = 256 };

typedef struct {
    double ratio;        /* train every candidate to this mark */
    const double *marks; /* measure these marks, in this order ... */
    int n_mark;          /* at most MDL_SWEEP_MAX_POINT */
    /* ... until enough says so (NULL: all of them). points: [n_point] in the order of marks. */
    int (*enough)(const void *context, const mdl_point_t *points, int n_point);
    const void *context;
    int64_t ranks_per_candidate; /* 0 = as many as there are to share out */
    int64_t batch;               /* samples a step: no group is larger */
} mdl_sweep_t;

/* What became of one candidate; the same on every rank. */
typedef struct {
    int finished, failed;
    int n_point;
    mdl_point_t points[MDL_SWEEP_MAX_POINT]; /* in the order of marks */
    char reason[MDL_SWEEP_REASON];           /* why it failed */
} mdl_sweep_result_t;

/* Trains and measures n candidates; results: [n]. A candidate that fails doesn't end the others.
 * Collective over comm. Returns MDL_OK, MDL_E_AGAIN when it was stopped before the last one, or the
 * error that isn't about one candidate (all groups then leave after their current candidate). */
int mdl_sweep_run(MPI_Comm comm, mdl_trainer_t *trainer, const mdl_sweep_t *sweep,
                  const mdl_candidate_t *candidates, int64_t n, mdl_sweep_result_t *results,
                  mdl_error_t *err);

#endif
