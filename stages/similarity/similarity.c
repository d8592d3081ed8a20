#include "similarity/similarity.h"

#include "core/log.h"
#include "similarity/estimate.h"

#include <math.h>
#include <stdlib.h>

int64_t mdl_cka_max_feat(const mdl_cka_task_t *task)
{
    int64_t largest = 0;
    for (int a = 0; a < task->n_model; a++)
        if (task->models[a].n_feat > largest)
            largest = task->models[a].n_feat;
    return largest;
}

int mdl_cka_refuse_value(const mdl_rows_t *rows, int64_t first, int64_t index, mdl_error_t *err)
{
    return mdl_fail(err, MDL_E_INPUT,
                    "model %s: the value in row %lld, column %lld (from 0) is NaN, infinite or too "
                    "large to subtract from; make its activations again",
                    rows->model, (long long)(first + index / rows->n_feat),
                    (long long)(index % rows->n_feat));
}

int mdl_cka_check(const mdl_cka_settings_t *settings, int n_model, int64_t n_sample,
                  mdl_error_t *err)
{
    if (n_model < 1)
        return mdl_fail(err, MDL_E_INPUT, "CKA compares models, and there is none");
    if (n_sample < MDL_CKA_MIN_ROWS)
        return mdl_fail(err, MDL_E_INPUT,
                        "the models have %lld samples in common; CKA is undefined for fewer than "
                        "%d: archive more samples",
                        (long long)n_sample, MDL_CKA_MIN_ROWS);
    if (settings->estimator == MDL_CKA_MINIBATCH && settings->batch < MDL_CKA_MIN_ROWS)
        return mdl_fail(err, MDL_E_USAGE,
                        "a batch of %lld rows: HSIC_1 is undefined for fewer than %d; 64 is usual",
                        (long long)settings->batch, MDL_CKA_MIN_ROWS);
    if (settings->kernel == MDL_CKA_RBF && !(settings->sigma > 0))
        return mdl_fail(err, MDL_E_USAGE, "sigma %g: the RBF bandwidth must be above 0",
                        settings->sigma);
    if (settings->kernel == MDL_CKA_RBF && settings->route == MDL_CKA_FEATURE &&
        settings->estimator != MDL_CKA_MINIBATCH)
        return mdl_fail(err, MDL_E_USAGE,
                        "the feature route has no RBF kernel; give --route gram or auto");
    return MDL_OK;
}

static int estimate(MPI_Comm comm, mdl_cka_task_t *task, mdl_error_t *err)
{
    if (task->settings->kernel == MDL_CKA_RBF) {
        int rc = mdl_cka_bandwidths(comm, task, err);
        if (rc != MDL_OK)
            return rc;
    }
    if (task->settings->estimator == MDL_CKA_MINIBATCH)
        return mdl_cka_minibatch(comm, task, err);
    return task->settings->route == MDL_CKA_FEATURE ? mdl_cka_feature(comm, task, err)
                                                    : mdl_cka_gram(comm, task, err);
}

int mdl_cka_hsic(MPI_Comm comm, const mdl_cka_settings_t *settings, const mdl_rows_t *models,
                 int n_model, int64_t n_sample, mdl_cka_sums_t *sums, mdl_error_t *err)
{
    *sums = (mdl_cka_sums_t){0};
    mdl_cka_task_t task = {.settings = settings,
                           .real = mdl_real(settings->precision),
                           .models = models,
                           .n_model = n_model,
                           .n_sample = n_sample,
                           .n_pair = mdl_cka_pair(n_model, 0),
                           .sums = sums};
    int rc;
    MDL_TRY(mdl_cka_check(settings, n_model, n_sample, err));
    MDL_TRY(mdl_alloc(&sums->hsic, (size_t)task.n_pair, sizeof(double), "pairwise HSIC", err));
    MDL_TRY(mdl_alloc(&sums->power, (size_t)n_model, sizeof(double), "powers", err));
    MDL_TRY(mdl_alloc(&sums->status, (size_t)n_model, sizeof(uint8_t), "states of models", err));
    if (settings->kernel == MDL_CKA_RBF) {
        MDL_TRY(mdl_alloc(&task.exponent, (size_t)n_model, sizeof(int), "exponents", err));
        MDL_TRY(mdl_alloc(&task.gamma, (size_t)n_model, sizeof(double), "bandwidths", err));
    }
    rc = estimate(comm, &task, err);
    if (rc == MDL_OK)
        mdl_cka_judge(&task);
done:
    free(task.exponent);
    free(task.gamma);
    if (rc != MDL_OK)
        mdl_cka_sums_free(sums);
    return rc;
}

void mdl_cka_sums_free(mdl_cka_sums_t *sums)
{
    free(sums->hsic);
    free(sums->power);
    free(sums->status);
    free(sums->unit);
    *sums = (mdl_cka_sums_t){0};
}

/* Share of its power that rounding may leave of an HSIC that is really zero. */
static double rounding_of(const mdl_cka_settings_t *settings)
{
    if (settings->precision == MDL_FLOAT64)
        return 1e-12;
    return settings->estimator == MDL_CKA_UNBIASED ? 1e-6 : 1e-10;
}

void mdl_cka_judge(const mdl_cka_task_t *task)
{
    mdl_cka_sums_t *sums = task->sums;
    double rounding = rounding_of(task->settings);
    for (int a = 0; a < task->n_model; a++) {
        double own = sums->hsic[mdl_cka_pair(a, a)], power = sums->power[a];
        sums->status[a] = task->gamma != NULL && task->gamma[a] == 0 ? MDL_SIMILARITY_BANDWIDTH
                          : !isfinite(own) || !isfinite(power)       ? MDL_SIMILARITY_OVERFLOW
                          : power == 0                               ? MDL_SIMILARITY_CONSTANT
                          : !(own > rounding * power)                ? MDL_SIMILARITY_ZERO
                                                                     : MDL_SIMILARITY_DEFINED;
    }
}

/* Delta method: the ratio's change with each unit, own HSICs aa and bb given as square roots. */
static double error_of(const mdl_cka_sums_t *sums, int64_t n_pair, int a, int b, double ratio)
{
    int64_t ab = mdl_cka_pair(a, b), aa = mdl_cka_pair(a, a), bb = mdl_cka_pair(b, b);
    double own_a = sums->hsic[aa], own_b = sums->hsic[bb], n = (double)sums->n_unit, squares = 0;
    if (sums->n_unit < 2)
        return NAN;
    for (int64_t k = 0; k < sums->n_unit; k++) {
        const double *unit = sums->unit + k * n_pair;
        double change = unit[ab] / (sqrt(own_a) * sqrt(own_b)) -
                        ratio / 2 * (unit[aa] / own_a + unit[bb] / own_b);
        squares += change * change;
    }
    return sqrt(squares * n / (n - 1));
}

/* What is undefined has no number, but a reason. */
static void leave_undefined(int64_t at, uint8_t why, double *similarity, double *standard_error,
                            uint8_t *status)
{
    similarity[at] = NAN;
    if (standard_error != NULL)
        standard_error[at] = NAN;
    if (status != NULL)
        status[at] = why;
}

void mdl_cka_ratios(int n_model, const mdl_cka_sums_t *sums, double *similarity,
                    double *standard_error, uint8_t *status)
{
    for (int a = 0; a < n_model; a++) {
        for (int b = 0; b <= a; b++) {
            int64_t ab = (int64_t)a * n_model + b, ba = (int64_t)b * n_model + a;
            uint8_t why = sums->status[a] > sums->status[b] ? sums->status[a] : sums->status[b];
            if (why != MDL_SIMILARITY_DEFINED) {
                leave_undefined(ab, why, similarity, standard_error, status);
                leave_undefined(ba, why, similarity, standard_error, status);
                continue;
            }
            double own_a = sums->hsic[mdl_cka_pair(a, a)], own_b = sums->hsic[mdl_cka_pair(b, b)];
            double cka = sums->hsic[mdl_cka_pair(a, b)] / (sqrt(own_a) * sqrt(own_b));
            similarity[ab] = similarity[ba] = a == b ? 1 : cka;
            if (status != NULL)
                status[ab] = status[ba] = MDL_SIMILARITY_DEFINED;
            if (standard_error != NULL)
                standard_error[ab] = standard_error[ba] =
                    a == b ? 0 : error_of(sums, mdl_cka_pair(n_model, 0), a, b, cka);
        }
    }
}

void mdl_cka_warn_of_undefined(const mdl_rows_t *models, int n_model, const uint8_t *status)
{
    for (int a = 0; a < n_model; a++) {
        int why = status[(int64_t)a * (n_model + 1)];
        if (why != MDL_SIMILARITY_DEFINED)
            mdl_log(MDL_LOG_WARN,
                    "model %s: %s, so its similarity with every model is undefined; leave it out "
                    "or make its activations again",
                    models[a].model, mdl_similarity_why(why));
    }
}

int mdl_cka_similarity(MPI_Comm comm, const mdl_cka_settings_t *settings, const mdl_rows_t *models,
                       int n_model, int64_t n_sample, double *similarity, double *standard_error,
                       uint8_t *status, mdl_error_t *err)
{
    mdl_cka_sums_t sums;
    int rc = mdl_cka_hsic(comm, settings, models, n_model, n_sample, &sums, err);
    if (rc == MDL_OK)
        mdl_cka_ratios(n_model, &sums, similarity, standard_error, status);
    mdl_cka_sums_free(&sums);
    return rc;
}
