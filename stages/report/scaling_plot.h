/* Scaling lines: log error against log ratio, with the fit and its extrapolation to ratio 1. */
#ifndef MDL_REPORT_SCALING_PLOT_H
#define MDL_REPORT_SCALING_PLOT_H

#include "report/input.h"
#include "report/svg.h"

/* Draws one panel for each of the best n_panel candidates with a prediction, all on the same axes:
 * the candidate's points with standard errors, its line, the prediction with its interval, the
 * measurement at ratio 1 if there is one, and the lines of other predicted candidates in grey.
 * input has a regress. Not collective. */
void mdl_scaling_draw(mdl_buffer_t *page, const mdl_report_input_t *input, int n_panel);

#endif
