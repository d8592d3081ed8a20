/* The test on the dendrogram against NumPy and SciPy, how often sequential stopping is wrong, and
 * the order of the batches. */
#include "similarity/similarity.h"
#include "similarity/stopping.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_PAIR = 21, MAX_UNIT = 512 };

static void sum_units(const double *unit, int64_t n_unit, int64_t n_pair, double *hsic)
{
    memset(hsic, 0, (size_t)n_pair * sizeof *hsic);
    for (int64_t k = 0; k < n_unit; k++)
        for (int64_t p = 0; p < n_pair; p++)
            hsic[p] += unit[k * n_pair + p];
}

static void doubts_are_those_of_scipy(void **state)
{
    FILE *file = fopen(MORDAL_SOURCE_DIR "/tests/reference/settled_cases.txt", "r");
    char name[16];
    int n_model, n_unit, n_case = 0;
    double threshold, doubt, unit[MAX_PAIR * 40], hsic[MAX_PAIR];
    (void)state;
    assert_non_null(file);
    while (fscanf(file, "%15s %d %d %lf %lf", name, &n_model, &n_unit, &threshold, &doubt) == 5) {
        int64_t n_pair = mdl_cka_pair(n_model, 0);
        mdl_settled_cut_t cut = {mdl_linkage_named(name), threshold};
        mdl_settled_t settled;
        mdl_error_t err;
        for (int64_t v = 0; v < n_unit * n_pair; v++)
            assert_int_equal(fscanf(file, "%lf", &unit[v]), 1);
        sum_units(unit, n_unit, n_pair, hsic);
        assert_int_equal(mdl_settled_test(hsic, unit, n_unit, n_model, &cut, &settled, &err),
                         MDL_OK);
        if (fabs(settled.doubt - doubt) > 1e-6 * doubt + 1e-12)
            fail_msg("%s %d %d %g: %.12g, not %.12g", name, n_model, n_unit, threshold,
                     settled.doubt, doubt);
        assert_true(settled.doubt >= settled.tail);
        n_case++;
    }
    fclose(file);
    assert_int_equal(n_case, 18);
}

/* Values of scipy.stats.t.sf. */
static void tails_are_those_of_students_t(void **state)
{
    (void)state;
    assert_true(fabs(mdl_settled_tail(1, 1) - 0.25) < 1e-14);
    assert_true(fabs(mdl_settled_tail(2, 2) - 0.0917517095361369) < 1e-14);
    assert_true(fabs(mdl_settled_tail(2.5, 7) - 0.020496109292876444) < 1e-15);
    assert_true(fabs(mdl_settled_tail(3, 1000) - 0.0013833545221190963) < 1e-14);
    assert_true(mdl_settled_tail(0, 5) == 0.5);
    assert_true(mdl_settled_tail(INFINITY, 5) < 1e-15);
}

static void hopeless_sums_are_in_doubt(void **state)
{
    const double unit[6] = {1, 0.5, -1, 1, 0.4, -2}, hsic[3] = {2, 0.9, -3};
    const double tied[6] = {1, 0.5, 1, 1, 0.5, 1}, tied_sum[3] = {2, 1, 2};
    mdl_settled_cut_t cut = {MDL_LINKAGE_AVERAGE, 0.5};
    mdl_settled_t settled;
    mdl_error_t err;
    (void)state;
    assert_int_equal(mdl_settled_test(hsic, unit, 2, 2, &cut, &settled, &err), MDL_OK);
    assert_true(settled.doubt == 1);
    assert_int_equal(mdl_settled_test(tied_sum, tied, 1, 2, &cut, &settled, &err), MDL_OK);
    assert_true(settled.doubt == 1);
    assert_int_equal(mdl_settled_test(tied_sum, tied, 2, 2, &cut, &settled, &err), MDL_OK);
    assert_true(settled.doubt > 0.4 && fabs(settled.margin) < 1e-15);
    cut.threshold = 0.4;
    assert_int_equal(mdl_settled_test(tied_sum, tied, 2, 2, &cut, &settled, &err), MDL_OK);
    assert_true(settled.doubt < 1e-12 && fabs(settled.margin - 0.1) < 1e-15);
}

/* About normal, from a linear congruential generator. */
static double draw(uint64_t *state)
{
    double sum = -6;
    for (int k = 0; k < 12; k++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        sum += (double)(*state >> 11) / 9007199254740992.0;
    }
    return sum;
}

/* HSICs of a batch of three models, the first two of which have the similarity 0.8 and
 * the third 0.3 with either; heavy tails come with the squares. */
static void draw_unit(uint64_t *state, double *unit)
{
    memset(unit, 0, 6 * sizeof *unit);
    for (int k = 0; k < 10; k++) {
        double shared = draw(state), x[3], own = draw(state);
        x[0] = sqrt(0.8) * shared + sqrt(0.2) * draw(state);
        x[1] = sqrt(0.8) * shared + sqrt(0.2) * draw(state);
        x[2] = sqrt(0.1125) * shared + sqrt(0.8875) * own;
        for (int a = 0; a < 3; a++)
            for (int b = 0; b <= a; b++)
                unit[mdl_cka_pair(a, b)] += x[a] * x[b];
    }
}

/* Runs through the looks; 1 when they end with the first two models on the wrong side. */
static int stops_wrongly(uint64_t *state, double threshold, double truth, double alpha,
                         int64_t *n_read)
{
    static double unit[MAX_UNIT * 6];
    int64_t looks[MDL_STOPPING_MOST], n = 0;
    int n_look = mdl_stopping_looks(MAX_UNIT, looks);
    mdl_settled_cut_t cut = {MDL_LINKAGE_AVERAGE, threshold};
    for (int l = 0; l < n_look; l++) {
        double hsic[6];
        mdl_settled_t settled;
        mdl_error_t err;
        for (; n < looks[l]; n++)
            draw_unit(state, unit + 6 * n);
        *n_read = n;
        sum_units(unit, n, 6, hsic);
        assert_int_equal(mdl_settled_test(hsic, unit, n, 3, &cut, &settled, &err), MDL_OK);
        if (mdl_stopping_is_settled(&settled, alpha, n_look)) {
            double ratio = hsic[1] / sqrt(hsic[0] * hsic[2]);
            return (ratio >= threshold) != (truth >= threshold);
        }
    }
    return 0;
}

static void stopping_is_wrong_less_often_than_alpha(void **state)
{
    enum { N_RUN = 400 };
    const double thresholds[] = {0.8000001, 0.7999999, 0.79, 0.6};
    const double alphas[] = {0.05, 0.2};
    (void)state;
    for (int a = 0; a < 2; a++) {
        for (int t = 0; t < 4; t++) {
            uint64_t seed = 7;
            int n_wrong = 0;
            int64_t n_read = 0, all_read = 0;
            for (int r = 0; r < N_RUN; r++) {
                n_wrong += stops_wrongly(&seed, thresholds[t], 0.8, alphas[a], &n_read);
                all_read += n_read;
            }
            assert_true(n_wrong <= alphas[a] * N_RUN);
            if (t == 3)
                assert_true(all_read < N_RUN * MAX_UNIT / 10);
        }
    }
}

static void looks_grow_to_all_batches(void **state)
{
    int64_t looks[MDL_STOPPING_MOST];
    (void)state;
    assert_int_equal(mdl_stopping_looks(3, looks), 1);
    assert_int_equal(looks[0], 3);
    assert_int_equal(mdl_stopping_looks(8, looks), 1);
    int n = mdl_stopping_looks(512, looks);
    assert_int_equal(n, 25);
    assert_int_equal(looks[0], MDL_STOPPING_FIRST);
    assert_int_equal(looks[4], 2 * MDL_STOPPING_FIRST);
    assert_int_equal(looks[n - 1], 512);
    n = mdl_stopping_looks(INT64_C(1) << 40, looks);
    for (int l = 1; l < n; l++)
        assert_true(looks[l] > looks[l - 1]);
    assert_true(looks[n - 1] == INT64_C(1) << 40);
}

static void orders_are_permutations_of_their_seed(void **state)
{
    enum { N = 100 };
    int64_t one[N], same[N], other[N];
    int seen[N] = {0}, n_same = 0;
    (void)state;
    mdl_stopping_order(one, N, 5);
    mdl_stopping_order(same, N, 5);
    mdl_stopping_order(other, N, 6);
    assert_memory_equal(one, same, sizeof one);
    for (int i = 0; i < N; i++) {
        assert_false(seen[one[i]]++);
        n_same += one[i] == other[i];
    }
    assert_true(n_same < 10);
}

/* Two models alike and a third that is undefined: open until all rows are read, then the two decide
 * as if they were alone, under their own numbers. */
static void an_undefined_model_waits_for_the_last_row(void **state)
{
    (void)state;
    enum { N_UNIT = 20 };
    double hsic[6] = {0}, unit[N_UNIT * 6] = {0}, alone_hsic[3] = {0}, alone[N_UNIT * 3];
    uint8_t status[3] = {MDL_SIMILARITY_CONSTANT, 0, 0};
    const mdl_settled_cut_t cut = {.linkage = MDL_LINKAGE_AVERAGE, .threshold = 0.5};
    mdl_settled_t settled, expected;
    mdl_error_t err;
    for (int k = 0; k < N_UNIT; k++) {
        double own = 1 + 0.1 * (k % 3), values[3] = {own, 0.8 + 0.05 * (k % 5), 1};
        memcpy(alone + 3 * k, values, sizeof values);
        unit[6 * k + 2] = values[0];
        unit[6 * k + 4] = values[1];
        unit[6 * k + 5] = values[2];
        for (int p = 0; p < 6; p++)
            hsic[p] += unit[6 * k + p];
        for (int p = 0; p < 3; p++)
            alone_hsic[p] += values[p];
    }
    mdl_cka_sums_t sums = {.hsic = hsic, .unit = unit, .n_unit = N_UNIT, .status = status};
    assert_int_equal(mdl_stopping_test(&sums, 3, &cut, 0, &settled, &err), MDL_OK);
    assert_true(settled.doubt == 1 && settled.first == -1);
    assert_int_equal(mdl_stopping_test(&sums, 3, &cut, 1, &settled, &err), MDL_OK);
    assert_int_equal(mdl_settled_test(alone_hsic, alone, N_UNIT, 2, &cut, &expected, &err), MDL_OK);
    assert_true(settled.doubt == expected.doubt && settled.margin == expected.margin);
    assert_int_equal(settled.first + settled.second, 3);
    status[1] = status[2] = MDL_SIMILARITY_ZERO;
    assert_int_equal(mdl_stopping_test(&sums, 3, &cut, 1, &settled, &err), MDL_OK);
    assert_true(settled.doubt == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_undefined_model_waits_for_the_last_row),
        cmocka_unit_test(doubts_are_those_of_scipy),
        cmocka_unit_test(tails_are_those_of_students_t),
        cmocka_unit_test(hopeless_sums_are_in_doubt),
        cmocka_unit_test(stopping_is_wrong_less_often_than_alpha),
        cmocka_unit_test(looks_grow_to_all_batches),
        cmocka_unit_test(orders_are_permutations_of_their_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
