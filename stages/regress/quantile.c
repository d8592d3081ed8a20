#include "regress/quantile.h"

#include <math.h>

static double normal_below(double x, int dof)
{
    (void)dof;
    return 0.5 * erfc(-x / sqrt(2));
}

/* The continued fraction of the incomplete beta function (modified Lentz). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double value = d;
    for (int m = 1; m <= 500; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        for (int part = 0; part < 2; part++) {
            double term = part == 0 ? even : odd;
            d = 1 + term * d;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = 1 + term / c;
            c = fabs(c) < tiny ? tiny : c;
            value *= d * c;
        }
        if (fabs(d * c - 1) < 1e-15)
            break;
    }
    return value;
}

/* Regularised incomplete beta function I_x(a, b). */
static double beta_share(double a, double b, double x)
{
    if (x <= 0 || x >= 1)
        return x <= 0 ? 0 : 1;
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

static double t_below(double x, int dof)
{
    double tail = 0.5 * beta_share(0.5 * dof, 0.5, dof / (dof + x * x));
    return x > 0 ? 1 - tail : tail;
}

/* Inverts an increasing function. The quantile is looked for below zero, where the tail keeps its
 * digits, and mirrored. */
static double invert(double (*below)(double, int), double q, int dof)
{
    if (q == 0.5)
        return 0;
    if (q > 0.5)
        return -invert(below, 1 - q, dof);
    double low = -1, high = 0;
    while (below(low, dof) > q)
        low *= 2;
    for (int i = 0; i < 200 && high - low > 1e-15 * fabs(low); i++) {
        double middle = 0.5 * (low + high);
        if (below(middle, dof) < q)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

/* Quantiles are asked for again and again with the same q: the last one of each dof is kept. */
enum { MAX_KEPT_DOF = 64 };

static double kept_or_found(double (*below)(double, int), double q, int dof)
{
    static double kept_q[MAX_KEPT_DOF], kept[MAX_KEPT_DOF];
    if (dof >= MAX_KEPT_DOF)
        return invert(below, q, dof);
    if (kept_q[dof] != q) {
        kept[dof] = invert(below, q, dof);
        kept_q[dof] = q;
    }
    return kept[dof];
}

double mdl_quantile_normal(double q)
{
    return kept_or_found(normal_below, q, 0);
}

double mdl_quantile_t(double q, int dof)
{
    return kept_or_found(t_below, q, dof);
}
