/* Successive halving as a picture: one row a candidate cluster, one column a rung. */
#ifndef MDL_REPORT_HALVING_PLOT_H
#define MDL_REPORT_HALVING_PLOT_H

#include "io/rung_file.h"
#include "report/svg.h"

/* Draws rungs (n_rung >= 1 of them, ascending) as figures of at most 48 rows each: a bar for each
 * candidate as long as it lived, a cell at each rung coloured by the error measured there, which is
 * written in it. Those who lived longest come first, then the smaller last error. Returns
 * MDL_E_MEMORY. Not collective. */
int mdl_halving_draw(mdl_buffer_t *page, const mdl_rung_t *rungs, int n_rung, mdl_error_t *err);

#endif
