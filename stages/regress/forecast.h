/* What a search will cost before it has begun, and what it has cost. */
#ifndef MDL_REGRESS_FORECAST_H
#define MDL_REGRESS_FORECAST_H

#include "core/stage.h"
#include "models/halving.h"

enum { MDL_FORECAST_MAX_RUNG = 64 };

/* Training seconds. low: few clusters, the cheapest candidates; expected: a quarter as many
 * clusters as candidates, mean candidates; high: the dearest number of clusters and candidates. */
typedef struct {
    double low, expected, high;
} mdl_range_t;

typedef struct {
    int n_rung;
    mdl_range_t rung[MDL_FORECAST_MAX_RUNG], regress, final, total;
    double grid; /* all candidates to ratio 1 */
} mdl_forecast_t;

/* seconds: [n] that each candidate takes to ratio 1, right within a factor spread >= 1. n_cluster:
 * 0 = not known yet. train_choice: 1 = the choice goes on to ratio 1. Not collective.
 * Returns MDL_E_MEMORY. */
int mdl_forecast(const double *seconds, double spread, int64_t n, int64_t n_cluster,
                 const mdl_halving_t *halving, int train_choice, mdl_forecast_t *forecast,
                 mdl_error_t *err);

/* The same of a search in rounds, all of it by mordal-regress: n_play candidates to start_ratio at
 * least and to max_ratio at most; of every doubling of the ratio three quarters are expected to go
 * on. Not collective. Returns MDL_E_MEMORY. */
int mdl_forecast_rounds(const double *seconds, double spread, int64_t n, int64_t n_play,
                        double start_ratio, double max_ratio, int train_choice,
                        mdl_forecast_t *forecast, mdl_error_t *err);

/* Prints the forecast for the study, with what each stage has really used so far beside it, lost
 * work included. full_seconds: of a candidate to ratio 1 where it is given by hand, 0 = measured
 * speed. Touches nothing. Collective over stage->comm. */
int mdl_forecast_print(mdl_stage_t *stage, const mdl_study_t *study, double full_seconds,
                       mdl_error_t *err);

#endif
