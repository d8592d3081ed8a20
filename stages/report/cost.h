/* What the search cost in training seconds, against training every pair of the zoo. */
#ifndef MDL_REPORT_COST_H
#define MDL_REPORT_COST_H

#include "report/buffer.h"
#include "report/input.h"

typedef struct {
    double *rung; /* n_rung: seconds that each rung added */
    int n_rung;
    double regress, final, lost; /* seconds; lost: repeated or thrown away */
    double total;
    double grid; /* seconds of the full grid, 0 while nothing is known of it */
    int64_t n_pair, n_trained;
} mdl_cost_t;

/* Adds up the cumulative seconds of every candidate by the stage that spent them. The full grid is
 * estimated as the mean over the trained candidates of (seconds / ratio reached), times the number
 * of pairs. Freed with mdl_cost_free. Returns MDL_E_MEMORY. Not collective. */
int mdl_cost_of(const mdl_report_input_t *input, mdl_cost_t *cost, mdl_error_t *err);
void mdl_cost_free(mdl_cost_t *cost);

/* Draws the bars and the table. Returns MDL_E_MEMORY. Not collective. */
int mdl_cost_draw(mdl_buffer_t *page, const mdl_cost_t *cost, const mdl_report_input_t *input,
                  mdl_error_t *err);

#endif
