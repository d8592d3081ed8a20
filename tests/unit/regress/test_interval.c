/* The decisions of the interval strategy, on tables small enough to decide by hand. */
#include "regress/interval.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const double marks[] = {0.125, 0.25, 0.5, 1};

static mdl_belief_t trained(double predicted, double sigma, double ratio, double error)
{
    return (mdl_belief_t){
        .log_error = log(predicted), .sigma = sigma, .ratio = ratio, .error = error};
}

/* At 90 %, z = 1.645; joined sigma .1414: whoever is within a factor of exp(.2326) = 1.262. */
static void keeps_those_who_reach_the_leader(void **state)
{
    (void)state;
    const mdl_interval_t interval = {.marks = marks, .n_mark = 4, .confidence = 0.9};
    const mdl_belief_t beliefs[] = {
        trained(0.20, 0.1, 0.125, 0.40),  trained(0.25, 0.1, 0.125, 0.41), /* 1.25 times: in */
        trained(0.255, 0.1, 0.125, 0.42),                                  /* 1.275 times: out */
        trained(0.50, 0.1, 0.125, 0.30), /* out, but the lowest value so far: in */
        trained(0.60, 0.9, 0.125, 0.60), /* log 3 = 1.10 within 1.645 x .9055 = 1.49: in */
    };
    uint8_t keep[5];
    assert_int_equal(mdl_interval_leader(beliefs, 5), 0);
    assert_int_equal(mdl_interval_keep(&interval, beliefs, 5, keep), 4);
    const uint8_t expected[] = {MDL_KEEP_LEADER, MDL_KEEP_REACH, MDL_KEEP_NOT, MDL_KEEP_VALUE,
                                MDL_KEEP_REACH};
    assert_memory_equal(keep, expected, sizeof keep);
}

/* The lowest value counts among those trained furthest alone. */
static void value_leader_is_among_the_furthest(void **state)
{
    (void)state;
    const mdl_interval_t interval = {.marks = marks, .n_mark = 4, .confidence = 0.5};
    const mdl_belief_t beliefs[] = {
        trained(0.20, 0.01, 0.25, 0.30),
        trained(0.90, 0.01, 0.25, 0.25),
        trained(0.90, 0.01, 0.125, 0.10),
    };
    uint8_t keep[3];
    const uint8_t expected[] = {MDL_KEEP_LEADER, MDL_KEEP_VALUE, MDL_KEEP_NOT};
    assert_int_equal(mdl_interval_keep(&interval, beliefs, 3, keep), 2);
    assert_memory_equal(keep, expected, sizeof keep);
}

/* A slow starter is kept below the floor and judged like the others from there on. */
static void slow_starters_wait_for_the_floor(void **state)
{
    (void)state;
    const mdl_interval_t interval = {.marks = marks, .n_mark = 4, .confidence = 0.9, .floor = 0.25};
    mdl_belief_t beliefs[] = {trained(0.2, 0.1, 0.125, 0.3), trained(0.9, 0.1, 0.125, 0.9),
                              trained(0.9, 0.1, 0.125, 0.9)};
    uint8_t keep[3];
    const uint8_t below[] = {MDL_KEEP_LEADER, MDL_KEEP_NOT, MDL_KEEP_SLOW};
    beliefs[2].is_slow = 1;
    assert_int_equal(mdl_interval_keep(&interval, beliefs, 3, keep), 2);
    assert_memory_equal(keep, below, sizeof keep);
    beliefs[2].ratio = 0.25;
    beliefs[0].ratio = 0.5;
    assert_int_equal(mdl_interval_keep(&interval, beliefs, 3, keep), 1);
}

/* One that failed borrows nothing and is never kept. */
static void failed_ones_are_out(void **state)
{
    (void)state;
    const double distance[] = {0, 0.1, 0.1, 0};
    const mdl_interval_t interval = {
        .marks = marks, .n_mark = 4, .confidence = 0.9, .distance = distance, .floor = 1};
    mdl_belief_t beliefs[] = {{.log_error = INFINITY}, trained(0.9, 0.5, 0.125, 0.9)};
    uint8_t keep[2];
    mdl_interval_borrow(&interval, beliefs, 2);
    assert_true(isinf(beliefs[0].log_error));
    assert_int_equal(mdl_interval_keep(&interval, beliefs, 2, keep), 1);
    assert_int_equal(keep[0], MDL_KEEP_NOT);
}

/* Candidate 2 was never trained. The trained pair is log 2 = .693 apart, less sigmas .01 + .01, at
 * a distance of 1: variance .4605 a unit. It is .25 from candidate 0: .01 + .1151. */
static void unlike_members_are_wider(void **state)
{
    (void)state;
    const double distance[] = {0, 1, 0.25, 1, 0, 0.9, 0.25, 0.9, 0};
    const mdl_interval_t interval = {
        .marks = marks, .n_mark = 4, .confidence = 0.9, .distance = distance};
    mdl_belief_t beliefs[] = {
        trained(0.2, 0.1, 0.125, 0.4), trained(0.4, 0.1, 0.125, 0.5), {.ratio = 0}};
    mdl_interval_borrow(&interval, beliefs, 3);
    assert_true(beliefs[2].log_error == log(0.2));
    assert_true(beliefs[2].ratio == 0);
    assert_true(fabs(beliefs[2].sigma - sqrt(0.01 + 0.25 * (log(2) * log(2) - 0.02))) < 1e-12);
    assert_true(beliefs[0].sigma == 0.1);
}

/* A kept one that lags catches up before the round moves on; then all kept go one mark further. */
static void laggards_catch_up(void **state)
{
    (void)state;
    const mdl_interval_t interval = {.marks = marks, .n_mark = 4, .confidence = 0.9};
    mdl_belief_t beliefs[] = {trained(0.2, 0.2, 0.125, 0.4),
                              {.log_error = log(0.2), .sigma = 0.4, .error = 0.4},
                              trained(0.9, 0.1, 0.125, 0.9)};
    double target[3];
    uint8_t keep[3];
    int round = 0;
    assert_int_equal(mdl_interval_next(&interval, beliefs, 3, &round, target, keep), 1);
    assert_int_equal(round, 0);
    assert_true(target[0] == 0 && target[1] == 0.125 && target[2] == 0);
    beliefs[1] = trained(0.25, 0.2, 0.125, 0.5);
    assert_int_equal(mdl_interval_next(&interval, beliefs, 3, &round, target, keep), 2);
    assert_int_equal(round, 1);
    assert_true(target[0] == 0.25 && target[1] == 0.25 && target[2] == 0);
}

static void ends_with_one_or_at_the_last_mark(void **state)
{
    (void)state;
    const mdl_interval_t interval = {.marks = marks, .n_mark = 4, .confidence = 0.9};
    const mdl_belief_t apart[] = {trained(0.1, 0.1, 0.125, 0.2), trained(0.9, 0.1, 0.125, 0.9)};
    const mdl_belief_t near[] = {trained(0.1, 0.1, 1, 0.1), trained(0.11, 0.1, 1, 0.11)};
    double target[2];
    uint8_t keep[2];
    int round = 0;
    assert_int_equal(mdl_interval_next(&interval, apart, 2, &round, target, keep), 0);
    assert_int_equal(round, 0);
    round = 3;
    assert_int_equal(mdl_interval_next(&interval, near, 2, &round, target, keep), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_those_who_reach_the_leader),
        cmocka_unit_test(value_leader_is_among_the_furthest),
        cmocka_unit_test(slow_starters_wait_for_the_floor),
        cmocka_unit_test(failed_ones_are_out),
        cmocka_unit_test(unlike_members_are_wider),
        cmocka_unit_test(laggards_catch_up),
        cmocka_unit_test(ends_with_one_or_at_the_last_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
