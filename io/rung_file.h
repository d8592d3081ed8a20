/* One rung of successive halving: schema "mordal-rung", version 1. One row for each candidate
 * cluster that took part (its medoid candidate trained).
 * /candidate string (N); /cluster int32 (N); /ratio /error /error_stderr /loss /train_seconds
 * float64 (N); /promoted uint8 (N); /failed uint8 (N); /reason string (N). Attributes as of every
 * result, and rung (int, from 1), finished (int: 1 = no further rung), note (text: why finished).
 */
#ifndef MDL_IO_RUNG_FILE_H
#define MDL_IO_RUNG_FILE_H

#include "io/result.h"

typedef struct {
    int64_t rung, n_candidate;
    int finished;
    char *note;
    char **candidate, **reason;
    int32_t *cluster;
    double *ratio, *error, *error_stderr, *loss, *train_seconds;
    uint8_t *promoted, *failed;
} mdl_rung_t;

int mdl_rung_write(const char *path, const mdl_provenance_t *provenance, const mdl_rung_t *rung,
                   mdl_error_t *err);
/* Freed with mdl_rung_free. Not collective. */
int mdl_rung_read(const char *path, mdl_rung_t *rung, mdl_error_t *err);
void mdl_rung_free(mdl_rung_t *rung);

#endif
