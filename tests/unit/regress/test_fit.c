/* Against NumPy and SciPy: tests/reference/make_fit_reference.py. */
#include "regress/fit.h"
#include "regress/quantile.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const cases = MORDAL_SOURCE_DIR "/tests/reference/fit_cases.txt";

/* The next word of the file as a number; nan is one. */
static double number(FILE *file)
{
    char word[64];
    assert_int_equal(fscanf(file, "%63s", word), 1);
    return strtod(word, NULL);
}

static void assert_near(double value, double expected, double tolerance, const char *what)
{
    if (isnan(value) && isnan(expected))
        return;
    if (!(fabs(value - expected) <= tolerance * fmax(1e-3, fabs(expected))))
        fail_msg("%s: %.17g, expected %.17g", what, value, expected);
}

static void check_fit(FILE *file)
{
    static const char *const names[] = {"slope",     "intercept", "residual",
                                        "predicted", "low",       "high"};
    char word[64];
    mdl_point_t points[64];
    double confidence = number(file);
    int n = (int)number(file);
    assert_in_range(n, 1, 64);
    for (int i = 0; i < n; i++) {
        points[i] = (mdl_point_t){.ratio = number(file)};
        points[i].error = number(file);
        points[i].error_stderr = number(file);
    }
    assert_int_equal(fscanf(file, "%63s", word), 1);
    assert_string_equal(word, "expect");
    mdl_fit_t fit = mdl_fit_line(points, n, confidence);
    const double values[] = {fit.slope,     fit.intercept, fit.residual,
                             fit.predicted, fit.low,       fit.high};
    for (int i = 0; i < 6; i++)
        assert_near(values[i], number(file), 1e-9, names[i]);
}

static void agrees_with_numpy_and_scipy(void **state)
{
    (void)state;
    char word[64];
    int n_fit = 0, n_quantile = 0;
    FILE *file = fopen(cases, "r");
    assert_non_null(file);
    while (fscanf(file, "%63s", word) == 1) {
        if (strcmp(word, "fit") == 0) {
            check_fit(file);
            n_fit++;
            continue;
        }
        double q = number(file);
        if (strcmp(word, "t") == 0) {
            int dof = (int)number(file);
            assert_near(mdl_quantile_t(q, dof), number(file), 1e-9, "t");
        } else {
            assert_near(mdl_quantile_normal(q), number(file), 1e-9, "normal");
        }
        n_quantile++;
    }
    fclose(file);
    assert_int_equal(n_fit, 18);
    assert_int_equal(n_quantile, 72);
}

/* Four points on a line to rounding are enough for p = 3; three are not; a bend isn't. */
static void enough_points(void **state)
{
    (void)state;
    const mdl_fit_rule_t rule = {3, 5e-5, 0.9};
    mdl_point_t points[4];
    for (int i = 0; i < 4; i++)
        points[i] =
            (mdl_point_t){.ratio = 0.125 / (1 << i), .error = 0.3 * pow(1.1, i), .loss = NAN};
    assert_false(mdl_fit_is_enough(&rule, points, 3));
    assert_true(mdl_fit_is_enough(&rule, points, 4));
    points[1].error *= 1.05;
    assert_false(mdl_fit_is_enough(&rule, points, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_numpy_and_scipy),
        cmocka_unit_test(enough_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
