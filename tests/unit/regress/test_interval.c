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
    return (mdl_belief_t){log(predicted), sigma, ratio, error};
}

/* At 90 %, z = 1.645; joined sigma .1414: whoever is within a factor of exp(.2326) = 1.262. */
static void keeps_those_who_reach_the_leader(void **state)
{
    (void)state;
    const mdl_interval_t interval = {marks, 4, 0.9, NULL};
    const mdl_belief_t beliefs[] = {
        trained(0.20, 0.1, 0.125, 0.40),  trained(0.25, 0.1, 0.125, 0.41), /* 1.25 times: in */
        trained(0.255, 0.1, 0.125, 0.42),                                  /* 1.275 times: out */
        trained(0.50, 0.1, 0.125, 0.30), /* out, but the lowest value so far: in */
        trained(0.60, 0.9, 0.125, 0.60), /* log 3 = 1.10 within 1.645 x .9055 = 1.49: in */
    };
    uint8_t keep[5];
    assert_int_equal(mdl_interval_leader(beliefs, 5), 0);
    assert_int_equal(mdl_interval_keep(&interval, beliefs, 5, keep), 4);
    const uint8_t expected[] = {1, 1, 0, 1, 1};
    assert_memory_equal(keep, expected, sizeof keep);
}

/* The lowest value counts among those trained furthest alone. */
static void value_leader_is_among_the_furthest(void **state)
{
    (void)state;
    const mdl_interval_t interval = {marks, 4, 0.5, NULL};
    const mdl_belief_t beliefs[] = {
        trained(0.20, 0.01, 0.25, 0.30),
        trained(0.90, 0.01, 0.25, 0.25),
        trained(0.90, 0.01, 0.125, 0.10),
    };
    uint8_t keep[3];
    const uint8_t expected[] = {1, 1, 0};
    assert_int_equal(mdl_interval_keep(&interval, beliefs, 3, keep), 2);
    assert_memory_equal(keep, expected, sizeof keep);
}

/* Candidate 2 was never trained. The trained pair is log 2 = .693 apart, less sigmas .01 + .01, at
 * a distance of 1: variance .4605 a unit. It is .25 from candidate 0: .01 + .1151. */
static void unlike_members_are_wider(void **state)
{
    (void)state;
    const double distance[] = {0, 1, 0.25, 1, 0, 0.9, 0.25, 0.9, 0};
    const mdl_interval_t interval = {marks, 4, 0.9, distance};
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
    const mdl_interval_t interval = {marks, 4, 0.9, NULL};
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
    const mdl_interval_t interval = {marks, 4, 0.9, NULL};
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
        cmocka_unit_test(unlike_members_are_wider),
        cmocka_unit_test(laggards_catch_up),
        cmocka_unit_test(ends_with_one_or_at_the_last_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
