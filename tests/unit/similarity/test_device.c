/* CKA on a GPU against the CPU: every route, estimator, kernel and precision, tails, refusals, and
 * bfloat16 by the installed interface.
 * Skipped where there is none; unit.cka_device_on_host is the same program with the CUDA code run
 * on the host (tests/host_cuda). */
#define _DEFAULT_SOURCE /* setenv */
#include "core/log.h"
#include "kernels/device.h"
#include "similarity/mordal_cka.h"
#include "similarity/similarity.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_MODEL = 4 };
static int64_t widths[N_MODEL] = {30, 1, 121, 64}, n_sample = 519;

/* Features in common with model 0, noise of their own, and an offset. */
static double value_of(int model, int64_t row, int64_t column)
{
    uint32_t x = (uint32_t)(row * 1000 + column % 30) * 2654435761u, y = x * 31u;
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

static int similarity_of(MPI_Comm comm, const mdl_cka_settings_t *settings, double *similarity,
                         double *standard_error, mdl_error_t *err)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    mdl_rows_t models[N_MODEL];
    for (int a = 0; a < N_MODEL; a++)
        models[a] = (mdl_rows_t){names[a], widths[a], read_rows, NULL};
    return mdl_cka_similarity(comm, settings, models, N_MODEL, n_sample, similarity, standard_error,
                              NULL, err);
}

/* values: similarities, then their standard errors, NaN for a single batch. */
static void compute(MPI_Comm comm, mdl_cka_settings_t settings, int device, double *values)
{
    mdl_error_t err;
    settings.device = device;
    settings.bfloat16 = device > 0 && settings.bfloat16;
    if (similarity_of(comm, &settings, values, values + N_MODEL * N_MODEL, &err) != MDL_OK)
        fail_msg("%s", err.text);
}

static void compare(mdl_cka_settings_t settings, double tolerance)
{
    enum { N_VALUE = 2 * N_MODEL * N_MODEL };
    double cpu[N_VALUE], device[N_VALUE], alone[N_VALUE];
    compute(MPI_COMM_WORLD, settings, 0, cpu);
    compute(MPI_COMM_WORLD, settings, 1, device);
    for (int k = 0; k < N_VALUE; k++)
        if (!(fabs(device[k] - cpu[k]) <= tolerance || (isnan(device[k]) && isnan(cpu[k]))))
            fail_msg("estimator %d, kernel %d, route %d, precision %d, batch %d, pair %d: %.17g on "
                     "the device, %.17g on the CPU",
                     settings.estimator, settings.kernel, settings.route, settings.precision,
                     (int)settings.batch, k, device[k], cpu[k]);
    int n_rank;
    MPI_Comm_size(MPI_COMM_WORLD, &n_rank);
    if (n_rank == 1)
        return;
    compute(MPI_COMM_SELF, settings, 1, alone);
    assert_memory_equal(alone, device, sizeof alone);
}

static mdl_cka_settings_t settings_of(mdl_cka_estimator_t estimator, mdl_encoding_t precision)
{
    return (mdl_cka_settings_t){
        .estimator = estimator, .precision = precision, .batch = 64, .sigma = 1};
}

static void batches_match_the_cpu(void **state)
{
    (void)state;
    static const int64_t batches[] = {4, 100, 600};
    for (int k = 0; k < 3; k++) {
        for (int wide = 0; wide < 2; wide++) {
            mdl_cka_settings_t settings =
                settings_of(MDL_CKA_MINIBATCH, wide ? MDL_FLOAT64 : MDL_FLOAT32);
            settings.batch = batches[k];
            compare(settings, wide ? 1e-13 : 2e-6);
            settings.kernel = MDL_CKA_RBF;
            compare(settings, wide ? 1e-12 : 2e-5);
        }
    }
}

static void compare_full(mdl_encoding_t precision, int bfloat16, double linear, double rbf)
{
    for (mdl_cka_estimator_t e = MDL_CKA_BIASED; e <= MDL_CKA_UNBIASED; e++) {
        mdl_cka_settings_t settings = settings_of(e, precision);
        settings.bfloat16 = bfloat16;
        compare(settings, linear);
        settings.route = MDL_CKA_FEATURE;
        compare(settings, linear);
        settings.route = MDL_CKA_GRAM;
        settings.kernel = MDL_CKA_RBF;
        compare(settings, rbf);
    }
}

/* 519 rows are two blocks of 256 and one of 7. */
static void all_rows_at_once_match_the_cpu(void **state)
{
    (void)state;
    compare_full(MDL_FLOAT32, 0, 2e-6, 2e-5);
    compare_full(MDL_FLOAT64, 0, 1e-13, 1e-12);
}

/* Covariances of 2100 columns are two blocks, of which the second has columns that count twice. */
static void wide_models_match_the_cpu(void **state)
{
    (void)state;
    widths[2] = 2100;
    n_sample = 50;
    for (mdl_cka_estimator_t e = MDL_CKA_BIASED; e <= MDL_CKA_UNBIASED; e++) {
        mdl_cka_settings_t settings = settings_of(e, MDL_FLOAT64);
        settings.route = MDL_CKA_FEATURE;
        compare(settings, 1e-13);
    }
    widths[2] = 121;
    n_sample = 519;
}

/* docs/numerics.md derives the bound of the linear kernel. */
static void bfloat16_is_as_near_as_is_said(void **state)
{
    (void)state;
    mdl_cka_settings_t settings = settings_of(MDL_CKA_MINIBATCH, MDL_FLOAT32);
    settings.bfloat16 = 1;
    compare(settings, 5e-3);
    compare_full(MDL_FLOAT32, 1, 5e-3, 5e-3);
}

static int read_doubles(void *data, int64_t first, int64_t n_row, double *out)
{
    mdl_error_t err;
    return read_rows(data, first, n_row, MDL_FLOAT64, out, &err);
}

/* The same bits as the suite's own function: every value of the models is a float32. */
static void the_library_takes_bfloat16(void **state)
{
    (void)state;
    enum { N_PAIR = N_MODEL * N_MODEL };
    static const char *const names[] = {"a", "b", "c", "d"};
    static const char *const routes[] = {"gram", "feature"};
    for (int route = 0; route < 2; route++) {
        mordal_cka_options options = {.estimator = "unbiased",
                                      .route = routes[route],
                                      .precision = "bfloat16",
                                      .backend = "cuda"};
        mdl_cka_settings_t settings = settings_of(MDL_CKA_UNBIASED, MDL_FLOAT32);
        settings.route = route == 0 ? MDL_CKA_GRAM : MDL_CKA_FEATURE;
        settings.bfloat16 = 1;
        double expected[2 * N_PAIR], found[2 * N_PAIR];
        char error[MORDAL_ERROR_SIZE];
        mdl_rows_t rows[N_MODEL];
        mordal_cka_model models[N_MODEL];
        for (int a = 0; a < N_MODEL; a++) {
            rows[a] = (mdl_rows_t){names[a], widths[a], read_rows, NULL};
            models[a] = (mordal_cka_model){
                .name = names[a], .n_feat = widths[a], .read = read_doubles, .data = &rows[a]};
        }
        compute(MPI_COMM_WORLD, settings, 1, expected);
        if (mordal_cka(MPI_COMM_WORLD, &options, models, N_MODEL, n_sample, found, found + N_PAIR,
                       NULL, error) != MORDAL_OK)
            fail_msg("%s", error);
        assert_memory_equal(found, expected, sizeof found);
    }
}

static void expect_refusal(mdl_cka_settings_t settings, int code, const char *words)
{
    double similarity[N_MODEL * N_MODEL];
    mdl_error_t err;
    settings.device = 1;
    assert_int_equal(similarity_of(MPI_COMM_WORLD, &settings, similarity, NULL, &err), code);
    if (strstr(err.text, words) == NULL)
        fail_msg("'%s' doesn't say '%s'", err.text, words);
}

static void a_value_that_is_not_finite_is_named(void **state)
{
    (void)state;
    poison = NAN;
    expect_refusal(settings_of(MDL_CKA_MINIBATCH, MDL_FLOAT32), MDL_E_INPUT,
                   "model c: the value in row 300, column 5");
    expect_refusal(settings_of(MDL_CKA_BIASED, MDL_FLOAT32), MDL_E_INPUT,
                   "model c: the value in row 300, column 5");
    poison = 0;
}

/* On the host, where the device's memory can be chosen. */
static void little_memory_is_made_do_with_or_said(void **state)
{
    (void)state;
    mdl_device_t found;
    mdl_error_t err;
    assert_int_equal(mdl_device_describe(0, &found, &err), MDL_OK);
    if (strcmp(found.name, "CUDA on the host") != 0)
        skip();
    /* For two of the three blocks of rows, beside tiles or covariances, and the RBF kernel's
     * sample.
     */
    mdl_cka_settings_t settings = settings_of(MDL_CKA_UNBIASED, MDL_FLOAT64);
    setenv("HOST_CUDA_MEMORY", "4940000", 1);
    compare(settings, 1e-13);
    settings.route = MDL_CKA_FEATURE;
    setenv("HOST_CUDA_MEMORY", "2700000", 1);
    compare(settings, 1e-13);
    settings.route = MDL_CKA_GRAM;
    settings.kernel = MDL_CKA_RBF;
    setenv("HOST_CUDA_MEMORY", "4450000", 1);
    compare(settings, 1e-12);
    setenv("HOST_CUDA_MEMORY", "100000", 1);
    expect_refusal(settings_of(MDL_CKA_MINIBATCH, MDL_FLOAT32), MDL_E_MEMORY, "smaller --batch");
    expect_refusal(settings_of(MDL_CKA_BIASED, MDL_FLOAT32), MDL_E_MEMORY, "fewer models");
    unsetenv("HOST_CUDA_MEMORY");
}

int main(void)
{
    const char *why;
    MPI_Init(NULL, NULL);
    mdl_log_setup("test", 0, MDL_LOG_ERROR);
    int n_device = mdl_device_count(&why);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_match_the_cpu),
        cmocka_unit_test(all_rows_at_once_match_the_cpu),
        cmocka_unit_test(wide_models_match_the_cpu),
        cmocka_unit_test(bfloat16_is_as_near_as_is_said),
        cmocka_unit_test(the_library_takes_bfloat16),
        cmocka_unit_test(a_value_that_is_not_finite_is_named),
        cmocka_unit_test(little_memory_is_made_do_with_or_said),
    };
    if (n_device == 0)
        printf("skipped: %s\n", why);
    int failed = n_device > 0 && cmocka_run_group_tests(tests, NULL, NULL) != 0;
    MPI_Finalize();
    return n_device > 0 ? failed : 77;
}
