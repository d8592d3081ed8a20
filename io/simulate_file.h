/* Simulated searches: schema "mordal-simulation", version 1: docs/formats/simulation.md.
 * /setting string (S) "key=value,..." of what was swept; /key string (K); /value float64 (S, K),
 * the number behind each (strategies and methods by their place in the list of names); /task string
 * (T); /tau /top1 /within_stderr /regret /relative_regret /cost float64 (S, T): means over the
 * seeds, tau NaN where a task has no ranking; mean_tau ... mean_cost float64 (S): means over the
 * tasks. Attributes as of every result, and n_seed (int). */
#ifndef MDL_IO_SIMULATE_FILE_H
#define MDL_IO_SIMULATE_FILE_H

#include "io/result.h"

typedef enum {
    MDL_MEASURE_TAU,
    MDL_MEASURE_TOP1,
    MDL_MEASURE_WITHIN_STDERR,
    MDL_MEASURE_REGRET,
    MDL_MEASURE_RELATIVE_REGRET,
    MDL_MEASURE_COST,
    MDL_N_MEASURE
} mdl_measure_t;

typedef struct {
    int64_t n_setting, n_key, n_task, n_seed;
    char **setting, **key, **task;
    double *value;                  /* [n_setting, n_key] */
    double *measure[MDL_N_MEASURE]; /* [n_setting, n_task] */
    double *mean[MDL_N_MEASURE];    /* [n_setting] */
} mdl_simulation_t;

/* "tau", "top1" ... */
const char *mdl_measure_name(mdl_measure_t measure);

int mdl_simulation_write(const char *path, const mdl_provenance_t *provenance,
                         const mdl_simulation_t *simulation, mdl_error_t *err);
void mdl_simulation_free(mdl_simulation_t *simulation);

#endif
