#include "regress/tau.h"

#include <math.h>

/* 1 when i comes before j by first, then by second; equal ones later in the list come first, as
 * SciPy's reversed stable sort has it. */
static int precedes(const double *first, const double *second, int64_t i, int64_t j)
{
    if (first[i] != first[j])
        return first[i] < first[j];
    if (second[i] != second[j])
        return second[i] < second[j];
    return i > j;
}

static void rank_by(const double *first, const double *second, int64_t n, int32_t *rank)
{
    for (int64_t i = 0; i < n; i++)
        rank[i] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++)
            rank[precedes(first, second, i, j) ? j : i]++;
}

static int sign(double value)
{
    return (value > 0) - (value < 0);
}

static double weighted(const double *a, const double *b, int64_t n, const int32_t *rank)
{
    double agreement = 0, weight_a = 0, weight_b = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            double weight = 1.0 / (1 + rank[i]) + 1.0 / (1 + rank[j]);
            int sign_a = sign(a[i] - a[j]), sign_b = sign(b[i] - b[j]);
            agreement += weight * sign_a * sign_b;
            weight_a += weight * (sign_a != 0);
            weight_b += weight * (sign_b != 0);
        }
    return agreement / (sqrt(weight_a) * sqrt(weight_b));
}

double mdl_weighted_tau(const double *a, const double *b, int64_t n, int32_t *rank)
{
    rank_by(a, b, n, rank);
    rank_by(b, a, n, rank + n);
    double tau = 0.5 * (weighted(a, b, n, rank) + weighted(a, b, n, rank + n));
    return isfinite(tau) ? fmax(-1, fmin(1, tau)) : NAN;
}
