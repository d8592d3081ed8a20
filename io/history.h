/* What was measured of a candidate: candidates/VE+LM/history.h5, replaced whole at every change.
 *
 * /ratio /error /error_stderr /loss /train_seconds /evaluate_seconds float64 (n_point), ascending
 * in ratio; train_seconds is cumulative from ratio 0, lost work not counted. Root attributes:
 * schema "mordal-history", status (ok | failed), reason (text), lost_seconds (double: training
 * that was repeated or thrown away), configuration (as every result). */
#ifndef MDL_IO_HISTORY_H
#define MDL_IO_HISTORY_H

#include "core/error.h"

#include <stdint.h>

typedef struct {
    double ratio;            /* share of the alignment run, 0 < ratio <= 1 */
    double error;            /* 1 - score on the target task, 0 to 1 */
    double error_stderr;     /* standard error of error; NaN if the trainer gave none */
    double loss;             /* mean evaluation loss a scored token, nats; NaN if none */
    double train_seconds;    /* cumulative */
    double evaluate_seconds; /* of this point */
} mdl_point_t;

typedef struct {
    mdl_point_t *points; /* n_point, ascending in ratio */
    int n_point;
    int failed;
    char reason[512];
    double train_seconds; /* spent so far on the kept run */
    double lost_seconds;
} mdl_history_t;

/* Reads path; an absent file gives an empty history. configuration is the trainer's settings
 * ("key=value\n..."): MDL_E_INPUT names the first that differs from those the history was made
 * with ("rerun with --force, or in a new study folder"). One rank only. */
int mdl_history_read(const char *path, const char *configuration, mdl_history_t *history,
                     mdl_error_t *err);

/* lost_seconds of the history at path, whatever settings it was made with; 0 where there is none
 * that can be read. One rank only. */
double mdl_history_lost(const char *path);

/* Replaces path by history. One rank only. */
int mdl_history_write(const char *path, const char *configuration, const mdl_history_t *history,
                      mdl_error_t *err);

/* The measured point at ratio (to 1e-9), or NULL. */
const mdl_point_t *mdl_history_find(const mdl_history_t *history, double ratio);

/* Adds a point in order. */
int mdl_history_add(mdl_history_t *history, const mdl_point_t *point, mdl_error_t *err);

void mdl_history_free(mdl_history_t *history);

#endif
