/* Scores of cases that can be worked out by hand. */
#include "score/decompose.h"
#include "score/emms.h"
#include "score/leep.h"
#include "score/logme.h"
#include "score/mixture.h"
#include "score/nleep.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const double two_pi = 6.283185307179586;

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%.12g, expected %.12g", value, expected);
}

/* P(0 | z) = 1, 0.2 and P(1 | z) = 0, 0.8. */
static void leep_by_hand(void **state)
{
    (void)state;
    const double theta[] = {1, 0, 0.5, 0.5, 0, 1, 0, 1};
    const int32_t class_of[] = {0, 0, 1, 1};
    double score;
    assert_int_equal(mdl_leep(theta, 4, 2, class_of, 2, &score, NULL), 0);
    assert_near(score, (log(0.6) + 2 * log(0.8)) / 4, 1e-15);
}

static void leep_refuses(void **state)
{
    (void)state;
    double rounded[] = {0.5, 0.505}, negative[] = {1.2, -0.2}, half[] = {0.2, 0.3};
    assert_int_equal(mdl_leep_normalise(rounded, 1, 2, NULL), 0);
    assert_near(rounded[0] + rounded[1], 1, 1e-15);
    assert_int_equal(mdl_leep_normalise(negative, 1, 2, NULL), MDL_E_INPUT);
    assert_int_equal(mdl_leep_normalise(half, 1, 2, NULL), MDL_E_INPUT);
}

/* Features of zeros leave targets of a common variance. */
static void logme_without_features(void **state)
{
    (void)state;
    double features[4] = {0}, score;
    const int32_t class_of[] = {0, 1, 0, 1};
    assert_int_equal(mdl_logme(features, 4, 1, class_of, 2, &score, NULL), 0);
    assert_near(score, 0.5 * (log(2) - 1 - log(two_pi)), 1e-14);
}

/* One feature: the evidence has a closed form in the ratio of both precisions, tried one by one. */
static double best_evidence(const double *f, int n, const int32_t *class_of, int class)
{
    double square = 0, product = 0, length = 0, best = -INFINITY;
    for (int i = 0; i < n; i++) {
        square += f[i] * f[i];
        product += class_of[i] == class ? f[i] : 0;
        length += class_of[i] == class;
    }
    for (double log_ratio = -15; log_ratio < 25; log_ratio += 1e-4) {
        double ratio = exp(log_ratio), rest = length - product * product / (ratio + square);
        best = fmax(best, -0.5 * (log1p(square / ratio) + n * log(two_pi * rest / n) + n) / n);
    }
    return best;
}

static void logme_of_one_feature(void **state)
{
    (void)state;
    const double f[] = {1, 1.5, 0.7, -2, -1.2, -0.1};
    const int32_t class_of[] = {0, 0, 0, 1, 1, 2};
    double features[6], score, expected = 0;
    for (int i = 0; i < 6; i++)
        features[i] = f[i];
    for (int c = 0; c < 3; c++)
        expected += best_evidence(f, 6, class_of, c) / 3;
    assert_int_equal(mdl_logme(features, 6, 1, class_of, 3, &score, NULL), 0);
    assert_near(score, expected, 1e-7);
}

/* A label that the features make up exactly, and one that they don't. */
static void emms_prefers_what_is_met(void **state)
{
    (void)state;
    double x[] = {1, 0, 2, 1, 0, 3, -1, 1, 4, 2, 0, -2};
    double met[6], other[] = {1, -1, 1, -1, 1, -1}, weight[2], score;
    double *labels[] = {other, met};
    for (int i = 0; i < 6; i++)
        met[i] = 7 + 3 * x[2 * i] - x[2 * i + 1];
    assert_int_equal(mdl_emms(x, 6, 2, labels, 2, 1, weight, &score, NULL), 0);
    assert_near(score, 0, 1e-15);
    assert_near(weight[0], 0, 1e-9);
    assert_near(weight[1], 1, 1e-9);
}

/* Features that say nothing leave the whole of the label; two that are alike share the weight. */
static void emms_without_features(void **state)
{
    (void)state;
    double x[] = {5, 5, 5, 5}, one[] = {1, 2, 3, 5}, two[] = {10, 20, 30, 50}, weight[2], score;
    double *labels[] = {one, two};
    assert_int_equal(mdl_emms(x, 4, 1, labels, 2, 1, weight, &score, NULL), 0);
    assert_near(score, -1, 1e-14);
    assert_near(weight[0] + weight[1], 1, 1e-15);
    double same[] = {2, 2, 2, 2}, *constant[] = {same};
    assert_int_equal(mdl_emms(x, 4, 1, constant, 1, 1, weight, &score, NULL), MDL_E_INPUT);
}

static void mixture_of_two(void **state)
{
    (void)state;
    const double x[] = {-1, 99, 1, 101}, ridge = 1e-6;
    double posterior[8], likelihood;
    int32_t part[4];
    assert_int_equal(mdl_mixture_start(x, 4, 1, 2, 1, part, NULL), 0);
    assert_int_equal(part[0], part[2]);
    assert_int_equal(part[1], part[3]);
    assert_int_not_equal(part[0], part[1]);
    assert_int_equal(mdl_mixture_fit(x, 4, 1, 2, part, ridge, posterior, &likelihood, NULL), 0);
    assert_near(likelihood, log(0.5) - 0.5 * log(two_pi * (1 + ridge)) - 0.5 / (1 + ridge), 1e-12);
    for (int i = 0; i < 4; i++)
        assert_near(posterior[2 * i + part[i]], 1, 1e-12);
}

/* More parts than different rows: every part has a row. */
static void start_of_equal_rows(void **state)
{
    (void)state;
    const double x[] = {3, 3, 3, 3, 3};
    int32_t part[5];
    int seen[3] = {0};
    assert_int_equal(mdl_mixture_start(x, 5, 1, 3, 7, part, NULL), 0);
    for (int i = 0; i < 5; i++)
        seen[part[i]] = 1;
    assert_int_equal(seen[0] + seen[1] + seen[2], 3);
}

/* Parts that tell the classes apart make the labels certain. */
static void nleep_of_apart(void **state)
{
    (void)state;
    double features[40], score;
    int32_t class_of[20];
    for (int i = 0; i < 20; i++) {
        class_of[i] = i % 2;
        features[2 * i] = 1000 * (i % 2) + i * 0.1;
        features[2 * i + 1] = (i * 7) % 5;
    }
    assert_int_equal(mdl_nleep(features, 20, 2, class_of, 2, 1, &score, NULL), 0);
    assert_near(score, 0, 1e-9);
    for (int i = 0; i < 40; i++)
        features[i] = 0.1;
    assert_int_equal(mdl_nleep(features, 20, 2, class_of, 2, 1, &score, NULL), MDL_E_INPUT);
}

static void rank_is_found(void **state)
{
    (void)state;
    double x[] = {1, 2, 2, 2, 4, 4, 0, 1, 1, 3, 0, 0};
    mdl_decomposition_t d;
    assert_int_equal(mdl_decompose(x, 4, 3, &d, NULL), 0);
    assert_int_equal(d.n, 2);
    assert_true(d.value[0] >= d.value[1] && d.value[1] > 0);
    mdl_decomposition_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leep_by_hand),
        cmocka_unit_test(leep_refuses),
        cmocka_unit_test(logme_without_features),
        cmocka_unit_test(logme_of_one_feature),
        cmocka_unit_test(emms_prefers_what_is_met),
        cmocka_unit_test(emms_without_features),
        cmocka_unit_test(mixture_of_two),
        cmocka_unit_test(start_of_equal_rows),
        cmocka_unit_test(nleep_of_apart),
        cmocka_unit_test(rank_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
