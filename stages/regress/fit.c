#include "regress/fit.h"

#include "regress/quantile.h"

#include <math.h>

double mdl_fit_floor(const mdl_point_t *points, int n)
{
    double n_sample = 1000;
    for (int i = 0; i < n; i++) {
        double error = points[i].error, stderr_ = points[i].error_stderr;
        if (error > 0 && error < 1 && stderr_ > 0) {
            n_sample = error * (1 - error) / (stderr_ * stderr_);
            break;
        }
    }
    return 1 / (2 * fmax(n_sample, 1));
}

/* The point's standard error in log error, no smaller than the floor's: 1 (a factor of e) where the
 * error is at the floor, NaN where the trainer gave none. */
static double log_stderr(const mdl_point_t *point, double floor_)
{
    if (point->error < floor_)
        return 1;
    return point->error_stderr < floor_ ? floor_ / point->error
                                        : point->error_stderr / point->error;
}

typedef struct {
    double mean_x, mean_y, sxx, sxy;
    double squares;  /* summed squared residuals */
    double variance; /* mean measured variance of log error, NaN when a point has none */
} sums_t;

static double log_error(const mdl_point_t *point, double floor_)
{
    return log(fmax(point->error, floor_));
}

static sums_t add_up(const mdl_point_t *points, int n, double floor_)
{
    sums_t sums = {0};
    for (int i = 0; i < n; i++) {
        double spread = log_stderr(&points[i], floor_);
        sums.mean_x += log(points[i].ratio) / n;
        sums.mean_y += log_error(&points[i], floor_) / n;
        sums.variance += spread * spread / n;
    }
    for (int i = 0; i < n; i++) {
        double x = log(points[i].ratio) - sums.mean_x;
        sums.sxx += x * x;
        sums.sxy += x * (log_error(&points[i], floor_) - sums.mean_y);
    }
    for (int i = 0; n > 1 && i < n; i++) {
        double x = log(points[i].ratio) - sums.mean_x;
        double r = log_error(&points[i], floor_) - sums.mean_y - sums.sxy / sums.sxx * x;
        sums.squares += r * r;
    }
    return sums;
}

/* The interval of the line at log ratio 0, or of the one point. */
static void set_interval(mdl_fit_t *fit, const sums_t *sums, double confidence)
{
    const int dof = fit->n_point - 2;
    const double q = 0.5 * (1 + confidence);
    double residual = dof > 0 ? sums->squares / dof : NAN;
    double leverage =
        fit->n_point > 1 ? 1.0 / fit->n_point + sums->mean_x * sums->mean_x / sums->sxx : 1;
    fit->low = fit->high = fit->half_width = NAN;
    double half;
    if (sums->variance >= residual || (dof <= 0 && isfinite(sums->variance)))
        half = mdl_quantile_normal(q) * sqrt(sums->variance * leverage);
    else if (dof > 0)
        half = mdl_quantile_t(q, dof) * sqrt(residual * leverage);
    else
        return;
    fit->half_width = half;
    fit->low = fmin(1, fit->predicted * exp(-half));
    fit->high = fmin(1, fit->predicted * exp(half));
}

mdl_fit_t mdl_fit_line(const mdl_point_t *points, int n, double confidence)
{
    const double floor_ = mdl_fit_floor(points, n);
    const sums_t sums = add_up(points, n, floor_);
    mdl_fit_t fit = {.n_point = n, .slope = NAN, .intercept = NAN, .residual = NAN};
    if (n == 1) {
        fit.predicted = exp(sums.mean_y);
    } else {
        fit.slope = sums.sxy / sums.sxx;
        fit.intercept = sums.mean_y - fit.slope * sums.mean_x;
        fit.residual = sums.squares / n;
        fit.predicted = exp(fit.intercept);
    }
    set_interval(&fit, &sums, confidence);
    return fit;
}

int mdl_fit_is_enough(const void *rule_, const mdl_point_t *points, int n)
{
    const mdl_fit_rule_t *rule = rule_;
    return n > rule->points && mdl_fit_line(points, n, rule->confidence).residual < rule->tolerance;
}
