/* When to stop cleanly: a signal (SIGUSR1 from Slurm or SIGTERM), a time limit, the end of the job
 * as Slurm tells it (SLURM_JOB_END_TIME). */
#ifndef MDL_MPI_STOP_H
#define MDL_MPI_STOP_H

/* Catches the signals and starts the clock; time_limit in seconds from now, 0 = none.
 * Not collective. */
void mdl_stop_setup(double time_limit);

/* 1 when this rank should save its state and leave. Ranks that work together must reduce it (MAX)
 * at the same step before they act on it. Not collective. */
int mdl_stop_wanted(void);

#endif
