/* Against NumPy and SciPy (tests/reference/make_prediction_reference.py), and on real curves. */
#include "io/curve_table.h"
#include "regress/predict.h"
#include "regress/tau.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const table_path = MORDAL_SOURCE_DIR "/tests/reference/lcdb_subset.csv";
static const char *const case_path = MORDAL_SOURCE_DIR "/tests/reference/prediction_cases.csv";

enum { MAX_MODEL = 64, MAX_POINT = 64 };

/* One task's curves up to a fraction. */
typedef struct {
    int64_t n;
    mdl_predict_curve_t curves[MAX_MODEL];
    mdl_point_t points[MAX_MODEL][MAX_POINT];
    const mdl_curve_t *from[MAX_MODEL];
    mdl_prediction_t predictions[MAX_MODEL];
} pool_t;

static mdl_curve_table_t table;
static pool_t pool;

static int read_table(void **state)
{
    (void)state;
    mdl_error_t err;
    return mdl_curve_table_read(table_path, &table, &err);
}

static int free_table(void **state)
{
    (void)state;
    mdl_curve_table_free(&table);
    return 0;
}

/* Takes out what make_prediction_reference.py takes out; model: its place in the task. */
static int is_taken_out(const char *how, int64_t model, const mdl_curve_t *curve, int point)
{
    if (strcmp(how, "bare") == 0) {
        double octave = log2(curve->points[point].ratio);
        return fabs(octave - round(octave)) >= 0.01;
    }
    if (strcmp(how, "gaps") != 0)
        return 0;
    if (model % 2 == 0)
        return point < model % 7;
    return point >= model % 5 && (point - model % 5) % 3 == 0;
}

static void take_pool(int64_t task, const char *how, double at)
{
    pool.n = 0;
    for (int64_t c = table.first[task]; c < table.first[task + 1]; c++) {
        const mdl_curve_t *curve = &table.curves[c];
        mdl_point_t *points = pool.points[pool.n];
        int n = 0;
        for (int k = 0; k < mdl_curve_count(curve, at); k++) {
            if (is_taken_out(how, c - table.first[task], curve, k))
                continue;
            points[n] = curve->points[k];
            if (strcmp(how, "bare") == 0)
                points[n].error_stderr = NAN;
            n++;
        }
        if (n == 0)
            continue;
        pool.from[pool.n] = curve;
        pool.curves[pool.n++] = (mdl_predict_curve_t){points, n, MDL_CURVE_FRESH};
    }
}

static void predict(mdl_method_t method)
{
    mdl_error_t err;
    const mdl_predict_settings_t settings = mdl_predict_defaults(method);
    if (mdl_predict(&settings, pool.curves, pool.n, pool.predictions, &err) != MDL_OK)
        fail_msg("%s", err.text);
}

static int64_t find_task(const char *name)
{
    for (int64_t t = 0; t < table.n_task; t++)
        if (strcmp(table.curves[table.first[t]].task, name) == 0)
            return t;
    fail_msg("no task %s", name);
    return -1;
}

static void assert_close(double value, double expected, double tolerance, const char *what)
{
    if (!(fabs(value - expected) <= tolerance * fabs(expected)))
        fail_msg("%s: %.10g, expected %.10g", what, value, expected);
}

/* The optimiser of power-law stops elsewhere than SciPy's: 2 %. */
static void check_case(const char *line)
{
    char method_name[32], task[64], model[64], how[8] = "", before[160] = "";
    double at, expected[3];
    mdl_method_t method;
    mdl_error_t err;
    assert_int_equal(sscanf(line, "%31[^,],%lf,%63[^,],%63[^,],%lf,%lf,%lf", method_name, &at, task,
                            model, &expected[0], &expected[1], &expected[2]),
                     7);
    static char last[160];
    static int64_t next;
    snprintf(before, sizeof before, "%s,%g,%s", method_name, at, task);
    char *slash = strchr(task, '/');
    if (slash != NULL)
        snprintf(how, sizeof how, "%.*s", (int)(slash - task), task);
    if (strcmp(before, last) != 0) {
        assert_int_equal(mdl_method_parse(method_name, &method, &err), MDL_OK);
        take_pool(find_task(slash == NULL ? task : slash + 1), how, at);
        predict(method);
        strcpy(last, before);
        next = 0;
    }
    assert_string_equal(pool.from[next]->model, model);
    const mdl_prediction_t *prediction = &pool.predictions[next++];
    const double tolerance = strcmp(method_name, "power-law") == 0 ? 0.02 : 1e-8;
    assert_close(prediction->predicted, expected[0], tolerance, line);
    assert_close(prediction->low, expected[1], tolerance, line);
    assert_close(prediction->high, expected[2], tolerance, line);
}

static void agrees_with_numpy_and_scipy(void **state)
{
    (void)state;
    char line[256];
    int n_case = 0;
    FILE *file = fopen(case_path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    while (fgets(line, sizeof line, file) != NULL) {
        check_case(line);
        n_case++;
    }
    fclose(file);
    assert_true(n_case > 1000);
}

typedef struct {
    double tau, coverage; /* means over tasks */
} quality_t;

/* How well a method ranks at fraction 1 and covers it, over the tasks of the table. */
static quality_t measure(mdl_method_t method, double at)
{
    quality_t quality = {0};
    for (int64_t t = 0; t < table.n_task; t++) {
        double predicted[MAX_MODEL], final[MAX_MODEL];
        int32_t rank[2 * MAX_MODEL];
        int64_t n = 0, covered = 0;
        take_pool(t, "", at);
        predict(method);
        for (int64_t i = 0; i < pool.n; i++) {
            const mdl_point_t *end = mdl_curve_find(pool.from[i], 1);
            if (end == NULL || pool.curves[i].n_point < 4)
                continue;
            predicted[n] = pool.predictions[i].predicted;
            final[n++] = end->error;
            double error = fmax(end->error, 5e-4);
            covered += error >= pool.predictions[i].low && error <= pool.predictions[i].high;
        }
        quality.tau += mdl_weighted_tau(predicted, final, n, rank) / (double)table.n_task;
        quality.coverage += (double)covered / (double)n / (double)table.n_task;
    }
    return quality;
}

/* On data sets of LCDB 1.1: with points up to 1/8 as good as the better of the paper's line and the
 * last value, to a hundredth; up to 1/4 never more than .03 below it. */
static void ranks_real_curves(void **state)
{
    (void)state;
    const struct {
        double at, below;
    } bounds[] = {{0.125, 0.01}, {0.25, 0.03}};
    for (int i = 0; i < 2; i++) {
        const double tau = measure(MDL_METHOD_POOLED, bounds[i].at).tau;
        const double line = measure(MDL_METHOD_LOG_LINEAR, bounds[i].at).tau;
        const double last = measure(MDL_METHOD_LAST_VALUE, bounds[i].at).tau;
        print_message("at %g: tau: pooled %.3f, last value %.3f, log-linear %.3f\n", bounds[i].at,
                      tau, last, line);
        assert_true(tau >= fmax(line, last) - bounds[i].below);
    }
}

static void intervals_cover_real_curves(void **state)
{
    (void)state;
    const double at[] = {0.125, 0.25, 0.5};
    for (int i = 0; i < 3; i++) {
        double coverage = measure(MDL_METHOD_POOLED, at[i]).coverage;
        print_message("at %g: nominal 0.9 covers %.3f\n", at[i], coverage);
        assert_true(coverage >= 0.85 && coverage <= 0.95);
    }
}

enum { N_LINE = 8, N_LINE_POINT = 6 };

/* Lines with a zigzag of 2 %, each line its own or all the same; their slopes step apart. *width:
 * of the first one's interval; *spread: of the predictions around the middle one's. */
static void predict_lines(double step, int own, double noise, double *width, double *spread)
{
    mdl_error_t err;
    mdl_point_t points[N_LINE][N_LINE_POINT];
    mdl_predict_curve_t curves[N_LINE];
    mdl_prediction_t predictions[N_LINE];
    const mdl_predict_settings_t settings = mdl_predict_defaults(MDL_METHOD_POOLED);
    for (int i = 0; i < N_LINE; i++) {
        for (int j = 0; j < N_LINE_POINT; j++) {
            double ratio = ldexp(1, j - N_LINE_POINT - 2), zigzag = ((own ? i : 0) + j * j) % 3 - 1;
            double error = 0.2 * pow(ratio, -0.1 - step * i) * (1 + 0.02 * zigzag);
            points[i][j] =
                (mdl_point_t){.ratio = ratio, .error = error, .error_stderr = noise * error};
        }
        curves[i] = (mdl_predict_curve_t){points[i], N_LINE_POINT, MDL_CURVE_FRESH};
    }
    assert_int_equal(mdl_predict(&settings, curves, N_LINE, predictions, &err), MDL_OK);
    *width = log(predictions[0].high / predictions[0].low);
    *spread = 0;
    for (int i = 0; i < N_LINE; i++)
        *spread += fabs(log(predictions[i].predicted / predictions[N_LINE / 2].predicted));
}

/* Where scores say that they are noisy, lines that differ by noise alone are predicted more alike
 * by a tenth than where they claim to be exact, and slopes that do differ give intervals that are
 * wider by four tenths. */
static void takes_standard_errors(void **state)
{
    (void)state;
    double width[2], spread[2], unused;
    predict_lines(0, 1, 1e-4, &unused, &spread[0]);
    predict_lines(0, 1, 0.03, &unused, &spread[1]);
    assert_true(spread[1] < 0.9 * spread[0]);
    predict_lines(0.02, 0, 1e-4, &width[0], &unused);
    predict_lines(0.02, 0, 0.03, &width[1], &unused);
    assert_true(width[1] > 1.4 * width[0]);
}

/* Curves of other kinds don't change a prediction; a measured end is its own prediction; zero and
 * rising errors and single points give finite numbers. */
static void takes_odd_curves(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_prediction_t alone[2], mixed[5];
    const mdl_point_t falling[] = {{.ratio = 0.0625, .error = 0.4, .error_stderr = NAN},
                                   {.ratio = 0.125, .error = 0.3, .error_stderr = NAN}};
    const mdl_point_t zero[] = {{.ratio = 0.0625, .error = 0.1, .error_stderr = 0.01},
                                {.ratio = 0.125, .error = 0, .error_stderr = 0}};
    const mdl_point_t rising[] = {{.ratio = 0.01, .error = 0.2, .error_stderr = NAN},
                                  {.ratio = 0.03, .error = 0.5, .error_stderr = NAN},
                                  {.ratio = 0.125, .error = 2.5, .error_stderr = NAN}};
    const mdl_point_t ended[] = {{.ratio = 0.5, .error = 0.3, .error_stderr = NAN},
                                 {.ratio = 1, .error = 0.25, .error_stderr = 0.01}};
    const mdl_predict_curve_t curves[] = {{falling, 2, MDL_CURVE_FRESH},
                                          {zero, 2, MDL_CURVE_FRESH},
                                          {rising, 3, MDL_CURVE_CHECKPOINT},
                                          {ended, 2, MDL_CURVE_CHECKPOINT},
                                          {falling, 1, MDL_CURVE_CHECKPOINT}};
    for (int method = MDL_METHOD_LOG_LINEAR; method <= MDL_METHOD_POOLED; method++) {
        const mdl_predict_settings_t settings = mdl_predict_defaults((mdl_method_t)method);
        assert_int_equal(mdl_predict(&settings, curves, 2, alone, &err), MDL_OK);
        assert_int_equal(mdl_predict(&settings, curves, 5, mixed, &err), MDL_OK);
        assert_memory_equal(&alone[0].predicted, &mixed[0].predicted, 4 * sizeof(double));
        for (int i = 0; i < 5; i++) {
            assert_true(isfinite(mixed[i].predicted) && mixed[i].predicted > 0);
            assert_true(isfinite(mixed[i].low) && mixed[i].low <= mixed[i].predicted);
            assert_true(isfinite(mixed[i].high) && mixed[i].high >= mixed[i].predicted);
        }
        assert_true(fabs(mixed[3].predicted - 0.25) < 1e-12);
    }
}

static void refuses_unusable_curves(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_prediction_t prediction;
    const mdl_point_t nan_error[] = {{.ratio = 0.125, .error = NAN}};
    const mdl_point_t negative[] = {{.ratio = 0.125, .error = -0.1}};
    const mdl_point_t twice[] = {{.ratio = 0.125, .error = 0.1}, {.ratio = 0.125, .error = 0.1}};
    const mdl_predict_curve_t curves[] = {{nan_error, 1, MDL_CURVE_FRESH},
                                          {negative, 1, MDL_CURVE_FRESH},
                                          {twice, 2, MDL_CURVE_FRESH},
                                          {twice, 0, MDL_CURVE_FRESH}};
    const mdl_predict_settings_t settings = mdl_predict_defaults(MDL_METHOD_POOLED);
    for (int i = 0; i < 4; i++)
        assert_int_equal(mdl_predict(&settings, &curves[i], 1, &prediction, &err), MDL_E_INPUT);
    assert_int_equal(mdl_predict(&settings, curves, 0, &prediction, &err), MDL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_numpy_and_scipy),
        cmocka_unit_test(ranks_real_curves),
        cmocka_unit_test(intervals_cover_real_curves),
        cmocka_unit_test(takes_standard_errors),
        cmocka_unit_test(takes_odd_curves),
        cmocka_unit_test(refuses_unusable_curves),
    };
    return cmocka_run_group_tests(tests, read_table, free_table);
}
