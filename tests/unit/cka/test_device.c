/* The minibatch estimator on a GPU against the CPU: every kernel and precision, tails, refusals.
 * Skipped where there is none. */
#include "cka/similarity.h"
#include "core/log.h"
#include "kernels/device.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_MODEL = 4, N_SAMPLE = 519 };
static const int64_t widths[N_MODEL] = {70, 1, 333, 128};

/* Features in common with model 0, noise of their own, and an offset. */
static double value_of(int model, int64_t row, int64_t column)
{
    uint32_t x = (uint32_t)(row * 1000 + column % 70) * 2654435761u, y = x * 31u;
    y = (y + (uint32_t)(model * 977 + column)) * 2246822519u;
    x ^= x >> 15;
    y ^= y >> 13;
    return (double)(x % 2048) / 1024 + (double)(y % 2048) / 1024 + 100 * model;
}

static double poison; /* replaces one value of model 2 when it isn't finite */

static int read_rows(const mdl_rows_t *rows, int64_t first, int64_t n_row, mdl_encoding_t encoding,
                     void *out, mdl_error_t *err)
{
    int model = (int)(rows->model[0] - 'a');
    (void)err;
    for (int64_t k = 0; k < n_row * rows->n_feat; k++) {
        double value = value_of(model, first + k / rows->n_feat, k % rows->n_feat);
        if (!isfinite(poison) && model == 2 && first + k / rows->n_feat == 300 &&
            k % rows->n_feat == 5)
            value = poison;
        if (encoding == MDL_FLOAT32)
            ((float *)out)[k] = (float)value;
        else
            ((double *)out)[k] = value;
    }
    return MDL_OK;
}

static int similarity_of(mdl_cka_settings_t settings, double *similarity, mdl_error_t *err)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    mdl_rows_t models[N_MODEL];
    for (int a = 0; a < N_MODEL; a++)
        models[a] = (mdl_rows_t){names[a], widths[a], read_rows, NULL};
    return mdl_cka_similarity(MPI_COMM_WORLD, &settings, models, N_MODEL, N_SAMPLE, similarity,
                              NULL, NULL, err);
}

static void compare(mdl_cka_kernel_t kernel, mdl_encoding_t precision, int bfloat16, int64_t batch,
                    double tolerance)
{
    double cpu[N_MODEL * N_MODEL], device[N_MODEL * N_MODEL];
    mdl_error_t err;
    mdl_cka_settings_t settings = {.estimator = MDL_CKA_MINIBATCH,
                                   .kernel = kernel,
                                   .precision = precision,
                                   .batch = batch,
                                   .sigma = 1};
    assert_int_equal(similarity_of(settings, cpu, &err), MDL_OK);
    settings.device = 1;
    settings.bfloat16 = bfloat16;
    if (similarity_of(settings, device, &err) != MDL_OK)
        fail_msg("%s", err.text);
    for (int k = 0; k < N_MODEL * N_MODEL; k++)
        if (!(fabs(device[k] - cpu[k]) <= tolerance))
            fail_msg("pair %d: %.17g on the device, %.17g on the CPU", k, device[k], cpu[k]);
}

static void every_precision_matches_the_cpu(void **state)
{
    (void)state;
    static const int64_t batches[] = {4, 64, 100, 256, 600};
    for (int k = 0; k < 5; k++) {
        compare(MDL_CKA_LINEAR, MDL_FLOAT32, 0, batches[k], 2e-6);
        compare(MDL_CKA_LINEAR, MDL_FLOAT64, 0, batches[k], 1e-13);
        compare(MDL_CKA_RBF, MDL_FLOAT32, 0, batches[k], 2e-5);
        compare(MDL_CKA_RBF, MDL_FLOAT64, 0, batches[k], 1e-12);
    }
    compare(MDL_CKA_LINEAR, MDL_FLOAT32, 1, 64, 5e-3);
}

static void a_value_that_is_not_finite_is_named(void **state)
{
    double similarity[N_MODEL * N_MODEL];
    mdl_error_t err;
    mdl_cka_settings_t settings = {.estimator = MDL_CKA_MINIBATCH,
                                   .precision = MDL_FLOAT32,
                                   .batch = 64,
                                   .sigma = 1,
                                   .device = 1};
    (void)state;
    poison = NAN;
    assert_int_equal(similarity_of(settings, similarity, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "model c: the value in row 300, column 5"));
    poison = 0;
}

int main(void)
{
    const char *why;
    MPI_Init(NULL, NULL);
    mdl_log_setup("test", 0, MDL_LOG_ERROR);
    int n_device = mdl_device_count(&why);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_precision_matches_the_cpu),
        cmocka_unit_test(a_value_that_is_not_finite_is_named),
    };
    if (n_device == 0)
        printf("skipped: %s\n", why);
    int failed = n_device > 0 && cmocka_run_group_tests(tests, NULL, NULL) != 0;
    MPI_Finalize();
    return n_device > 0 ? failed : 77;
}
