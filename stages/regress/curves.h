/* mordal-regress --curves: predictions from a table of measured curves, without a study. */
#ifndef MDL_REGRESS_CURVES_H
#define MDL_REGRESS_CURVES_H

#include "io/curve_table.h"
#include "regress/predict.h"

#include <stdio.h>

/* Predicts every model of every task from its points at fractions of at most at, and prints
 * task,model,predicted,low,high as CSV to out. A model with points of both kinds counts with its
 * runs of its own; that, and what can't be predicted, is named in warnings. Not collective. Returns
 * MDL_E_MEMORY, or MDL_E_INPUT when nothing can be predicted. */
int mdl_curves_print(const mdl_curve_table_t *table, const mdl_predict_settings_t *settings,
                     double at, FILE *out, mdl_error_t *err);

/* Warns of errors that are too small for predictions to tell apart. Not collective. */
void mdl_curves_warn(const mdl_curve_table_t *table);

#endif
