#include "score/logme.h"

#include "score/decompose.h"

#include <math.h>
#include <stdlib.h>

static const double log_two_pi = 1.8378770664093453;

/* The features as one class sees them. */
typedef struct {
    int64_t n_sample, n;  /* n singular values */
    const double *square; /* [n] of the singular values */
    const double *along;  /* [n] square of the target's part along each left singular vector */
    double rest, length;  /* square of the part along none of them, and of the whole */
} target_t;

/* What prior precision alpha and noise precision beta make of each other: ratio is alpha / beta. */
typedef struct {
    double alpha, beta, log_evidence;
} state_t;

/* The evidence when no weight is worth having: targets of a common variance around 0. */
static double evidence_of_noise(const target_t *y)
{
    const double n = (double)y->n_sample;
    return 0.5 * n * (log(n / y->length) - 1 - log_two_pi);
}

/* One round of the fixed point, and the evidence there. A fit that is perfect to ten digits counts
 * as one of ten digits. */
static state_t step(const target_t *y, double ratio)
{
    const double n = (double)y->n_sample;
    double gamma = 0, weights = 0, residual = y->rest, log_det = 0;
    for (int64_t k = 0; k < y->n; k++) {
        double share = y->square[k] / (ratio + y->square[k]), left = 1 - share;
        gamma += share;
        weights += share * y->along[k] / (ratio + y->square[k]);
        residual += left * left * y->along[k];
    }
    residual = fmax(residual, 1e-10 * y->length);
    state_t state = {.alpha = gamma / weights, .beta = (n - gamma) / residual};
    for (int64_t k = 0; k < y->n; k++)
        log_det += log1p(state.beta / state.alpha * y->square[k]);
    state.log_evidence = 0.5 * (n * (log(state.beta) - log_two_pi) - log_det -
                                state.beta * residual - state.alpha * weights);
    return state;
}

static double log_evidence(const target_t *y)
{
    double ratio = 1, before = -INFINITY, noise = evidence_of_noise(y);
    state_t state = {0};
    for (int round = 0; round < 10000; round++) {
        state = step(y, ratio);
        double next = state.alpha / state.beta;
        if (!(next < 1e15 * (y->n > 0 ? y->square[0] : 0)) || !isfinite(state.log_evidence))
            return noise;
        int stands = fabs(next - ratio) <= 1e-9 * ratio &&
                     fabs(state.log_evidence - before) <= 1e-12 * fabs(state.log_evidence);
        if (stands || next < 1e-15 * y->square[y->n - 1])
            break;
        ratio = next;
        before = state.log_evidence;
    }
    return fmax(state.log_evidence, noise);
}

/* The parts of the class's target. */
static target_t project(const mdl_decomposition_t *d, const double *square, int64_t n_sample,
                        const int32_t *class_of, int32_t class, double *along)
{
    target_t y = {.n_sample = n_sample, .n = d->n, .square = square, .along = along};
    for (int64_t k = 0; k < d->n; k++)
        along[k] = 0;
    for (int64_t i = 0; i < n_sample; i++)
        if (class_of[i] == class) {
            y.length++;
            for (int64_t k = 0; k < d->n; k++)
                along[k] += d->left[i * d->n_all + k];
        }
    y.rest = y.length;
    for (int64_t k = 0; k < d->n; k++) {
        along[k] *= along[k];
        y.rest -= along[k];
    }
    y.rest = fmax(y.rest, 0);
    return y;
}

int mdl_logme(double *features, int64_t n_sample, int64_t n_feat, const int32_t *class_of,
              int64_t n_class, double *score, mdl_error_t *err)
{
    mdl_decomposition_t d = {0};
    double *square = NULL;
    int rc;
    MDL_TRY(mdl_decompose(features, n_sample, n_feat, &d, err));
    MDL_TRY(mdl_alloc(&square, 2 * (size_t)d.n + 1, sizeof *square, "a score", err));
    for (int64_t k = 0; k < d.n; k++)
        square[k] = d.value[k] * d.value[k];
    *score = 0;
    for (int32_t c = 0; c < n_class; c++) {
        target_t y = project(&d, square, n_sample, class_of, c, square + d.n);
        *score += log_evidence(&y) / (double)n_sample / (double)n_class;
    }
done:
    mdl_decomposition_free(&d);
    free(square);
    return rc;
}
