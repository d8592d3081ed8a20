#include "cka/similarity.h"

#include "cka/block.h"
#include "cka/estimate.h"

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
    return MDL_OK;
}

static int estimate(MPI_Comm comm, mdl_cka_task_t *task, mdl_error_t *err)
{
    if (task->settings->kernel == MDL_CKA_RBF) {
        int rc = mdl_cka_bandwidths(comm, task, err);
        if (rc != MDL_OK)
            return rc;
    }
    return task->settings->estimator == MDL_CKA_MINIBATCH ? mdl_cka_minibatch(comm, task, err)
                                                          : mdl_cka_full(comm, task, err);
}

int mdl_cka_hsic(MPI_Comm comm, const mdl_cka_settings_t *settings, const mdl_rows_t *models,
                 int n_model, int64_t n_sample, double *hsic, double *power, mdl_error_t *err)
{
    mdl_cka_task_t task = {.settings = settings,
                           .models = models,
                           .n_model = n_model,
                           .n_sample = n_sample,
                           .hsic = hsic,
                           .power = power};
    int rc;
    MDL_TRY(mdl_cka_check(settings, n_model, n_sample, err));
    MDL_TRY(mdl_alloc(&task.exponent, (size_t)n_model, sizeof *task.exponent, "exponents", err));
    if (settings->kernel == MDL_CKA_RBF)
        MDL_TRY(mdl_alloc(&task.gamma, (size_t)n_model, sizeof *task.gamma, "bandwidths", err));
    for (int64_t pair = 0; pair < mdl_cka_pair(n_model, 0); pair++)
        hsic[pair] = 0;
    for (int a = 0; a < n_model; a++)
        power[a] = 0;
    mdl_block_setup();
    rc = estimate(comm, &task, err);
done:
    free(task.exponent);
    free(task.gamma);
    return rc;
}

/* A model's own HSIC that is within rounding of zero leaves CKA undefined. */
static int check_own(const mdl_cka_settings_t *settings, const mdl_rows_t *model, double own,
                     double power, mdl_error_t *err)
{
    if (!isfinite(own))
        return mdl_fail(err, MDL_E_INPUT,
                        "model %s: its HSIC overflows, its values span too many orders of "
                        "magnitude; make its activations again",
                        model->model);
    if (own > 1e-12 * power)
        return MDL_OK;
    return mdl_fail(err, MDL_E_INPUT,
                    "model %s: its activations do not vary %s, so CKA with it is undefined; leave "
                    "it out or make its activations again",
                    model->model,
                    settings->estimator == MDL_CKA_MINIBATCH ? "within any batch"
                                                             : "from sample to sample");
}

int mdl_cka_similarity(MPI_Comm comm, const mdl_cka_settings_t *settings, const mdl_rows_t *models,
                       int n_model, int64_t n_sample, double *similarity, mdl_error_t *err)
{
    double *hsic = NULL, *power = NULL;
    size_t n = n_model > 0 ? (size_t)n_model : 1;
    int rc;
    MDL_TRY(mdl_alloc(&hsic, n * (n + 1) / 2, sizeof *hsic, "pairwise HSIC", err));
    MDL_TRY(mdl_alloc(&power, n, sizeof *power, "powers", err));
    MDL_TRY(mdl_cka_hsic(comm, settings, models, n_model, n_sample, hsic, power, err));
    for (int a = 0; a < n_model; a++) {
        double own_a = hsic[mdl_cka_pair(a, a)];
        MDL_TRY(check_own(settings, &models[a], own_a, power[a], err));
        similarity[a * n_model + a] = 1;
        for (int b = 0; b < a; b++) {
            double own_b = hsic[mdl_cka_pair(b, b)];
            double cka = hsic[mdl_cka_pair(a, b)] / (sqrt(own_a) * sqrt(own_b));
            similarity[a * n_model + b] = similarity[b * n_model + a] = cka;
        }
    }
done:
    free(hsic);
    free(power);
    return rc;
}
