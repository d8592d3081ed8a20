#include "mpi/stop.h"

#include <mpi.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

/* Left for the last checkpoint before Slurm ends the job. */
enum { MARGIN_SECONDS = 60 };

static volatile sig_atomic_t signalled;
static double end_monotonic, end_wall;

static void on_signal(int number)
{
    (void)number;
    signalled = 1;
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void mdl_stop_setup(double time_limit)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a file over its limit is a write error to report */
    end_monotonic = time_limit > 0 ? seconds(CLOCK_MONOTONIC) + time_limit : 0;
    const char *end = getenv("SLURM_JOB_END_TIME");
    end_wall = end != NULL && atof(end) > 0 ? atof(end) - MARGIN_SECONDS : 0;
}

/* One-sided requests of other ranks (mpi/queue.h) wait, on some networks, for a call into MPI. */
static void let_others_through(void)
{
    int started, ended, flag;
    MPI_Initialized(&started);
    MPI_Finalized(&ended);
    if (started && !ended)
        MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_SELF, &flag, MPI_STATUS_IGNORE);
}

int mdl_stop_wanted(void)
{
    let_others_through();
    if (signalled)
        return 1;
    if (end_monotonic > 0 && seconds(CLOCK_MONOTONIC) >= end_monotonic)
        return 1;
    return end_wall > 0 && seconds(CLOCK_REALTIME) >= end_wall;
}
