/* The cost against sums done by hand. */
#include "report/cost.h"
#include "report/dendrogram.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char *names[] = {"a+x", "b+x", "c+x", "a+y"};
static double first_ratio[] = {0.1, 0.1, 0.1}, second_ratio[] = {0.2, 0.2};
static double first_seconds[] = {10, 20, NAN}, second_seconds[] = {25, 42};
static double regress_seconds[] = {40, 42, 0, 8}, regress_ratio[] = {0.4, 0.2, 0, 0.1};

static mdl_rung_t rungs[2] = {
    {.rung = 1,
     .n_candidate = 3,
     .candidate = names,
     .ratio = first_ratio,
     .train_seconds = first_seconds},
    {.rung = 2,
     .n_candidate = 2,
     .candidate = names,
     .ratio = second_ratio,
     .train_seconds = second_seconds},
};

/* Rung 1 took 10 + 20, rung 2 (25 - 10) + (42 - 20) more. At these rates a full pair takes
 * 25 / .2 = 125 and 42 / .2 = 210, so 167.5 in the mean, and 6 of them 1005. */
static void rungs_alone(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_cost_t cost;
    mdl_report_input_t input = {.rungs = rungs, .n_rung = 2, .has_candidates = 1};
    input.candidates.n_candidate = 6;
    assert_int_equal(mdl_cost_of(&input, &cost, &err), MDL_OK);
    assert_true(cost.rung[0] == 30 && cost.rung[1] == 37 && cost.total == 67);
    assert_int_equal(cost.n_trained, 2);
    assert_true(fabs(cost.grid - 1005) < 1e-9);
    mdl_cost_free(&cost);
}

/* The regression added 40 - 25 and 8, the final training of a+x 90 - 40, and 5 were lost. The
 * pairs' rates are 90 / 1, 42 / .2 and 8 / .1: 380 / 3 in the mean, times 4 pairs. */
static void whole_search(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_cost_t cost;
    mdl_report_input_t input = {.rungs = rungs, .n_rung = 2, .has_regress = 1, .has_final = 1};
    input.regress = (mdl_regress_t){.n_candidate = 4,
                                    .candidate = names,
                                    .ratio_trained = regress_ratio,
                                    .train_seconds = regress_seconds,
                                    .lost_seconds = 5};
    input.final_candidate = names[0];
    input.final = (mdl_point_t){.ratio = 1, .train_seconds = 90};
    assert_int_equal(mdl_cost_of(&input, &cost, &err), MDL_OK);
    assert_true(cost.regress == 23 && cost.final == 50 && cost.lost == 5);
    assert_true(cost.total == 67 + 23 + 50 + 5);
    assert_int_equal(cost.n_trained, 3);
    assert_true(fabs(cost.grid - 380.0 / 3 * 4) < 1e-9);
    mdl_cost_free(&cost);
}

static void nothing_trained(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_cost_t cost;
    mdl_report_input_t input = {0};
    assert_int_equal(mdl_cost_of(&input, &cost, &err), MDL_OK);
    assert_true(cost.total == 0 && cost.grid == 0);
    mdl_cost_free(&cost);
}

/* The tree ((0 3) (2 (1 4))), whose leaves are 0 3 2 1 4 from left to right. */
static void leaves_follow_the_tree(void **state)
{
    (void)state;
    mdl_error_t err;
    const double linkage[] = {1, 4, 0.1, 2, 0, 3, 0.2, 2, 2, 5, 0.3, 3, 6, 7, 0.9, 5};
    const int64_t expected[] = {0, 3, 2, 1, 4};
    int64_t order[5];
    assert_int_equal(mdl_dendrogram_order(linkage, 5, order, &err), MDL_OK);
    for (int i = 0; i < 5; i++)
        assert_int_equal(order[i], expected[i]);
    assert_int_equal(mdl_dendrogram_order(NULL, 1, order, &err), MDL_OK);
    assert_int_equal(order[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rungs_alone),
        cmocka_unit_test(whole_search),
        cmocka_unit_test(nothing_trained),
        cmocka_unit_test(leaves_follow_the_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
