/* Progress of long work: a line every so many seconds with done of total, rate and time left. */
#ifndef MDL_MPI_PROGRESS_H
#define MDL_MPI_PROGRESS_H

typedef struct {
    const char *what; /* "batches", "candidates" */
    double total, started, last, every;
} mdl_progress_t;

/* total in units of what. Lines come every second on a terminal and every 30 s elsewhere.
 * Not collective. */
void mdl_progress_start(mdl_progress_t *progress, const char *what, double total);

/* done: units finished so far, as rank 0 knows (or estimates from its own share). Prints from rank
 * 0 when a line is due. Not collective. */
void mdl_progress_update(mdl_progress_t *progress, double done);

#endif
