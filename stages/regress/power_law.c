#include "regress/power_law.h"

#include "regress/pool_grid.h"

#include <cminpack.h>
#include <math.h>

enum { MAX_POINT = 64 };

typedef struct {
    const mdl_point_t *points;
    int weighted;
    double noise; /* mean squared standard error of the log errors */
} data_t;

/* Parameters: logarithms of floor, scale and slope. */
static int residuals(void *data_, int n, int n_parameter, const double *parameters, double *left,
                     int flag)
{
    const data_t *data = data_;
    (void)flag;
    for (int i = 0; i < n; i++) {
        const mdl_point_t *point = &data->points[i];
        double floor_ = n_parameter == 3 ? exp(fmin(parameters[2], 50)) : 0;
        double curve =
            exp(fmin(parameters[0] - exp(fmin(parameters[1], 3)) * log(point->ratio), 50));
        double spread = data->weighted ? mdl_log_stderr(point) : 1;
        left[i] = (mdl_log_error(point->error) - log(floor_ + curve)) /
                  (data->weighted ? sqrt(spread * spread + data->noise) : 1);
    }
    return 0;
}

/* A start on the line through the first and the last point, with half of the last error as floor.
 */
static void start(const mdl_point_t *points, int n, double *parameters)
{
    const mdl_point_t *last = &points[n - 1];
    double floor_ = n >= 4 ? 0.5 * exp(mdl_log_error(last->error)) : 0;
    double y0 = log(fmax(exp(mdl_log_error(points[0].error)) - floor_, 1e-6));
    double y1 = log(exp(mdl_log_error(last->error)) - floor_);
    double slope = fmax((y0 - y1) / (log(last->ratio) - log(points[0].ratio)), 0.01);
    parameters[0] = y1 + slope * log(last->ratio);
    parameters[1] = log(slope);
    parameters[2] = log(floor_ + 1e-6);
}

double mdl_power_law_predict(const mdl_point_t *points, int n)
{
    double left[MAX_POINT], parameters[3], work[MAX_POINT * 3 + 5 * 3 + MAX_POINT];
    int pivots[3];
    if (n > MAX_POINT) {
        points += n - MAX_POINT;
        n = MAX_POINT;
    }
    const double last = exp(mdl_log_error(points[n - 1].error));
    if (n == 1)
        return last;
    data_t data = {.points = points, .weighted = 1};
    for (int i = 0; i < n; i++)
        data.noise += mdl_log_stderr(&points[i]) * mdl_log_stderr(&points[i]) / n;
    data.weighted = data.noise > 0;
    start(points, n, parameters);
    const int n_parameter = n >= 4 ? 3 : 2;
    lmdif1(residuals, &data, n, n_parameter, parameters, left, 1e-10, pivots, work,
           (int)(sizeof work / sizeof work[0]));
    double predicted =
        exp(fmin(parameters[0], 50)) + (n_parameter == 3 ? exp(fmin(parameters[2], 50)) : 0);
    return isfinite(predicted) ? fmin(fmax(predicted, last / 20), last * 20) : last;
}
