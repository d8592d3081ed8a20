/* The prediction and the choice: schema "mordal-regress", version 1. One row for each candidate of
 * the whole zoo, best predicted first.
 * /candidate /ve /lm string (N); /cluster int32 (N); /status string (N): predicted, failed, or
 * the rung that its cluster was dropped in ("dropped in rung 2"); /predicted /low /high /slope
 * /intercept float64 (N), NaN where there is no fit: log(error) = intercept + slope log(ratio),
 * natural logarithms; /ratio_trained /train_seconds float64 (N);
 * /point_candidate int32 (P) row of each point, /point_ratio /point_error /point_stderr float64
 * (P); /point_used uint8 (P): 1 = in the fit; where candidates were trained in rounds, one line for
 * each decision: /round int32 (D) from 1, /round_candidate int32 (D) row, /round_mark
 * /round_ratio /round_error /round_predicted /round_sigma float64 (D), /round_kept string (D) why
 * it was kept, empty when it was cut; D = 0 after halving. Attributes as of every result, and
 * choice (text "VE+LM"), confidence (double), lost_seconds (double).
 *
 * The chosen candidate at ratio 1: schema "mordal-final", version 1: /candidate string (1),
 * /ratio /error /error_stderr /loss /train_seconds float64 (1). */
#ifndef MDL_IO_REGRESS_FILE_H
#define MDL_IO_REGRESS_FILE_H

#include "io/history.h"
#include "io/result.h"

typedef struct {
    int64_t n_candidate, n_point;
    char **candidate, **ve, **lm, **status;
    int32_t *cluster;
    double *predicted, *low, *high, *slope, *intercept, *ratio_trained, *train_seconds;
    int32_t *point_candidate;
    double *point_ratio, *point_error, *point_stderr;
    uint8_t *point_used;
    int64_t n_round; /* decisions */
    int32_t *round, *round_candidate;
    double *round_mark, *round_ratio, *round_error, *round_predicted, *round_sigma;
    char **round_kept;
    char *choice;
    double confidence, lost_seconds;
} mdl_regress_t;

int mdl_regress_write(const char *path, const mdl_provenance_t *provenance,
                      const mdl_regress_t *regress, mdl_error_t *err);
/* Freed with mdl_regress_free. Not collective. */
int mdl_regress_read(const char *path, mdl_regress_t *regress, mdl_error_t *err);
void mdl_regress_free(mdl_regress_t *regress);

int mdl_final_write(const char *path, const mdl_provenance_t *provenance, const char *candidate,
                    const mdl_point_t *point, mdl_error_t *err);
/* *candidate is new memory, freed by the caller. */
int mdl_final_read(const char *path, char **candidate, mdl_point_t *point, mdl_error_t *err);

#endif
