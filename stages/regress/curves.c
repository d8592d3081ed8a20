#include "regress/curves.h"

#include "core/log.h"
#include "io/csv.h"
#include "regress/pool_grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Whether the same model's curve before this one, its runs of its own, takes its place. */
static int is_second_kind(const mdl_curve_table_t *table, int64_t task, int64_t c, double at)
{
    if (c == table->first[task])
        return 0;
    const mdl_curve_t *curve = &table->curves[c], *before = &table->curves[c - 1];
    if (strcmp(curve->model, before->model) != 0 || mdl_curve_count(before, at) == 0)
        return 0;
    mdl_log(MDL_LOG_WARN,
            "%s, %s: has runs of its own and checkpoints of one run; the former count", curve->task,
            curve->model);
    return 1;
}

/* Warns of what makes a curve's prediction weaker. */
static void warn_of(const mdl_curve_t *curve, int n, double at)
{
    const double last = curve->points[n - 1].ratio;
    if (last < 0.99 * at)
        mdl_log(MDL_LOG_WARN, "%s, %s: has no point at fraction %g; it is predicted from %g",
                curve->task, curve->model, at, last);
    if (n == 1 && last < 1)
        mdl_log(MDL_LOG_WARN, "%s, %s: has a single point up to fraction %g", curve->task,
                curve->model, at);
}

/* Lists the usable curves of a task; which[*n]: their places in the table. */
static void list_curves(const mdl_curve_table_t *table, int64_t task, double at,
                        mdl_predict_curve_t *curves, int64_t *which, int64_t *n)
{
    *n = 0;
    for (int64_t c = table->first[task]; c < table->first[task + 1]; c++) {
        const mdl_curve_t *curve = &table->curves[c];
        const int count = mdl_curve_count(curve, at);
        if (is_second_kind(table, task, c, at))
            continue;
        if (count == 0) {
            mdl_log(MDL_LOG_WARN,
                    "%s, %s: has no point up to fraction %g; it can't be predicted and is left out",
                    curve->task, curve->model, at);
            continue;
        }
        warn_of(curve, count, at);
        which[*n] = c;
        curves[(*n)++] = (mdl_predict_curve_t){.points = curve->points,
                                               .n_point = count,
                                               .kind = curve->is_checkpoint ? MDL_CURVE_CHECKPOINT
                                                                            : MDL_CURVE_FRESH};
    }
    if (*n == 1)
        mdl_log(MDL_LOG_WARN, "%s: has one model, %s; there is nothing to rank",
                table->curves[which[0]].task, table->curves[which[0]].model);
}

int mdl_curves_print(const mdl_curve_table_t *table, const mdl_predict_settings_t *settings,
                     double at, FILE *out, mdl_error_t *err)
{
    const size_t n_room = (size_t)table->n_curve;
    mdl_predict_curve_t *curves = NULL;
    mdl_prediction_t *predictions = NULL;
    int64_t *which = NULL, n, n_printed = 0;
    int rc;
    MDL_TRY(mdl_alloc(&curves, n_room, sizeof *curves, "curves", err));
    MDL_TRY(mdl_alloc(&predictions, n_room, sizeof *predictions, "predictions", err));
    MDL_TRY(mdl_alloc(&which, n_room, sizeof *which, "curves", err));
    for (int64_t task = 0; task < table->n_task; task++) {
        list_curves(table, task, at, curves, which, &n);
        MDL_TRY(mdl_predict(settings, curves, n, predictions, err));
        if (n_printed == 0 && n > 0)
            fprintf(out, "task,model,predicted,low,high\n");
        n_printed += n;
        for (int64_t i = 0; i < n; i++) {
            const mdl_curve_t *curve = &table->curves[which[i]];
            mdl_csv_put(out, curve->task);
            fputc(',', out);
            mdl_csv_put(out, curve->model);
            fprintf(out, ",%.10g,%.10g,%.10g\n", predictions[i].predicted, predictions[i].low,
                    predictions[i].high);
        }
    }
    if (n_printed == 0)
        rc = mdl_fail(err, MDL_E_INPUT,
                      "no model has a point up to fraction %g; give a larger --at", at);
done:
    free(curves);
    free(predictions);
    free(which);
    return rc;
}

void mdl_curves_warn(const mdl_curve_table_t *table)
{
    int64_t n = 0, n_small = 0;
    for (int64_t c = 0; c < table->n_curve; c++)
        for (int k = 0; k < table->curves[c].n_point; k++) {
            const double error = table->curves[c].points[k].error;
            n++;
            n_small += error > 0 && mdl_log_error(error) > log(error);
        }
    if (n_small > 0)
        mdl_log(MDL_LOG_WARN,
                "%lld of %lld errors are over 0 and below %g, and predictions take them for that; "
                "multiply losses that small by a constant",
                (long long)n_small, (long long)n, exp(mdl_log_error(0)));
}
