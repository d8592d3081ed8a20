/* The forecast of a search's cost, added up by hand. */
#include "regress/forecast.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_near(double value, double expected)
{
    if (!(fabs(value - expected) < 1e-9))
        fail_msg("%.12g, expected %.12g", value, expected);
}

/* 16 candidates of 10 s, 8 clusters, K = 2, b = 1/16, eta = 2, R = 1/4. Rung 1: 8 x 10/16 = 5;
 * rung 2 (4 left): 2.5; rung 3 (2 left): none, K is reached. Two clusters of mean size 2: 4 x 10/4
 * less the two medoids' 10/8 = 7.5. Dearest: 6 singletons dropped, 10 members: 25 - 2.5. */
static void known_clusters(void **state)
{
    (void)state;
    const mdl_halving_t halving = {1.0 / 16, 2, 0.25, 2};
    mdl_forecast_t forecast;
    double seconds[16];
    for (int i = 0; i < 16; i++)
        seconds[i] = 10;
    assert_int_equal(mdl_forecast(seconds, 1, 16, 8, &halving, 1, &forecast, NULL), 0);
    assert_int_equal(forecast.n_rung, 2);
    assert_near(forecast.rung[0].expected, 5);
    assert_near(forecast.rung[1].expected, 2.5);
    assert_near(forecast.regress.expected, 7.5);
    assert_near(forecast.regress.high, 22.5);
    assert_near(forecast.final.expected, 7.5);
    assert_near(forecast.total.expected, 22.5);
    assert_near(forecast.total.low, 22.5);
    assert_near(forecast.total.high, 37.5);
    assert_near(forecast.grid, 160);
}

/* Nothing known: bounds hold every number of clusters, and the given spread. */
static void unknown_clusters(void **state)
{
    (void)state;
    const mdl_halving_t halving = {1.0 / 16, 2, 0.25, 2};
    mdl_forecast_t forecast, one;
    double seconds[16];
    for (int i = 0; i < 16; i++)
        seconds[i] = 1 + i;
    assert_int_equal(mdl_forecast(seconds, 2, 16, 0, &halving, 0, &forecast, NULL), 0);
    assert_near(forecast.final.high, 0);
    for (int n_cluster = 2; n_cluster <= 16; n_cluster++) {
        assert_int_equal(mdl_forecast(seconds, 1, 16, n_cluster, &halving, 0, &one, NULL), 0);
        assert_true(one.total.expected <= forecast.total.high);
        assert_true(2 * one.total.high <= forecast.total.high + 1e-9);
        assert_true(one.total.low <= one.total.expected && one.total.expected <= one.total.high);
    }
    assert_near(forecast.grid, 136);
}

/* Six candidates of 1, 2, 3, 4, 5, 9 s (mean 4), four in play, from 1/16 to 1: at least 10 / 16 s;
 * expected 16 / 16 (1 + .75 + .5625 x 2 + .4219 x 4 + .3164 x 8) = 7.09375 s; at most 21 s. */
static void rounds(void **state)
{
    (void)state;
    const double seconds[] = {3, 1, 9, 2, 5, 4};
    mdl_forecast_t forecast;
    mdl_error_t err = {0};
    assert_int_equal(mdl_forecast_rounds(seconds, 1, 6, 4, 0.0625, 1, 1, &forecast, &err), MDL_OK);
    assert_int_equal(forecast.n_rung, 0);
    assert_true(fabs(forecast.regress.low - 0.625) < 1e-12);
    assert_true(fabs(forecast.regress.expected - 7.09375) < 1e-12);
    assert_true(fabs(forecast.regress.high - 21) < 1e-12);
    assert_true(forecast.final.expected == 0 && forecast.grid == 24);
    assert_true(fabs(forecast.total.high - 24) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounds),
        cmocka_unit_test(known_clusters),
        cmocka_unit_test(unknown_clusters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
