/* The rounds of a search by intervals as a picture: one row a candidate, one column a round. */
#ifndef MDL_REPORT_ROUNDS_PLOT_H
#define MDL_REPORT_ROUNDS_PLOT_H

#include "io/regress_file.h"
#include "report/svg.h"

/* Draws the decisions of regress (n_round >= 1): a cell for every round in which a candidate was in
 * play, coloured by the error that was expected of it, which is written in it; an empty frame where
 * it was cut. The 48 that stayed longest are shown. Returns MDL_E_MEMORY. Not collective. */
int mdl_rounds_draw(mdl_buffer_t *page, const mdl_regress_t *regress, mdl_error_t *err);

#endif
