/* What simulated searches leave: lines on stdout, a table, a picture. */
#ifndef MDL_REGRESS_SIMULATE_OUTPUT_H
#define MDL_REGRESS_SIMULATE_OUTPUT_H

#include "io/simulate_file.h"
#include "regress/pool.h"
#include "regress/setting_grid.h"

typedef struct {
    const char *curves; /* path */
    const mdl_setting_grid_t *grid;
    const mdl_pool_t *pools; /* [n_pool] */
    int64_t n_pool, n_seed;
    const double *measure; /* [MDL_N_MEASURE, n_setting, n_pool] */
    const int64_t *choice; /* [n_setting, n_pool] */
} mdl_simulate_result_t;

/* Prints CSV: a line for each task of a single setting, else a line of means for each setting.
 * output: writes the table there and the picture beside it with .svg; NULL = neither.
 * Not collective. Returns MDL_E_IO, MDL_E_MEMORY. */
int mdl_simulate_put_out(const mdl_simulate_result_t *result, const char *output, mdl_error_t *err);

/* Draws cost (logarithmic) against tau, and against the share of searches that chose the best or
 * one within a standard error of it, one point a setting; a line joins those that nothing cheaper
 * beats. Not collective. Returns MDL_E_IO. */
int mdl_simulate_draw(const char *path, const mdl_simulation_t *simulation, mdl_error_t *err);

#endif
