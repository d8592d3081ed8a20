#include "io/history.h"

#include "io/result.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const path = "test_history_folder/eye+mouth/history.h5";
static const char *const configuration = "trainer=native\nbatch=4\n";

static void check(int rc, const mdl_error_t *err)
{
    if (rc != MDL_OK)
        fail_msg("%s", err->text);
}

static mdl_point_t point_at(double ratio)
{
    return (mdl_point_t){ratio, 1 - ratio, 0.01, 2.5, 100 * ratio, 3};
}

static void write_history(mdl_history_t *history)
{
    mdl_error_t err;
    check(mdl_history_write(path, configuration, history, &err), &err);
    mdl_history_free(history);
}

static void an_absent_file_is_an_empty_history(void **state)
{
    (void)state;
    mdl_history_t history;
    mdl_error_t err;
    check(mdl_history_read("nowhere/history.h5", configuration, &history, &err), &err);
    assert_int_equal(history.n_point, 0);
    assert_null(mdl_history_find(&history, 0.5));
    mdl_history_free(&history);
}

static void points_come_back_in_order(void **state)
{
    (void)state;
    static const double ratios[] = {0.125, 0.03125, 1, 0.0625};
    mdl_history_t history = {.train_seconds = 7, .lost_seconds = 2}, read;
    mdl_error_t err;
    for (int i = 0; i < 4; i++) {
        mdl_point_t point = point_at(ratios[i]);
        point.error_stderr = i == 0 ? NAN : 0.01;
        check(mdl_history_add(&history, &point, &err), &err);
    }
    write_history(&history);
    check(mdl_history_read(path, configuration, &read, &err), &err);
    assert_int_equal(read.n_point, 4);
    for (int i = 1; i < 4; i++)
        assert_true(read.points[i].ratio > read.points[i - 1].ratio);
    const mdl_point_t *found = mdl_history_find(&read, 0.0625 + 1e-12);
    assert_non_null(found);
    assert_true(found->error == 0.9375 && found->loss == 2.5 && found->train_seconds == 6.25);
    assert_true(isnan(mdl_history_find(&read, 0.125)->error_stderr));
    assert_null(mdl_history_find(&read, 0.0626));
    assert_false(read.failed);
    assert_true(read.train_seconds == 7 && read.lost_seconds == 2);
    assert_true(mdl_history_lost(path) == 2);
    assert_true(mdl_history_lost("nowhere/history.h5") == 0);
    mdl_history_free(&read);
}

static void failure_is_remembered(void **state)
{
    (void)state;
    mdl_history_t history = {.failed = 1, .reason = "the loss is nan"}, read;
    mdl_error_t err;
    write_history(&history);
    check(mdl_history_read(path, configuration, &read, &err), &err);
    assert_true(read.failed);
    assert_string_equal(read.reason, "the loss is nan");
    mdl_history_free(&read);
}

static void other_settings_are_named(void **state)
{
    (void)state;
    mdl_history_t history = {0}, read;
    mdl_error_t err;
    write_history(&history);
    assert_int_equal(mdl_history_read(path, "trainer=native\nbatch=8\n", &read, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "batch=8"));
    assert_non_null(strstr(err.text, "--force"));
    assert_null(read.points);
}

static void damage_is_seen(void **state)
{
    (void)state;
    mdl_history_t history = {0}, read;
    mdl_error_t err;
    write_history(&history);
    assert_int_equal(truncate(path, 1500), 0);
    assert_true(mdl_history_lost(path) == 0);
    assert_int_equal(mdl_history_read(path, configuration, &read, &err), MDL_E_INPUT);
}

static void impossible_points_are_refused(void **state)
{
    (void)state;
    const mdl_point_t bad[] = {
        {0, 0.5, 0.1, 1, 1, 1},   {1.5, 0.5, 0.1, 1, 1, 1},        {NAN, 0.5, 0.1, 1, 1, 1},
        {0.5, 1.5, 0.1, 1, 1, 1}, {0.5, NAN, 0.1, 1, 1, 1},        {0.5, -1, 0.1, 1, 1, 1},
        {0.5, 0.5, -1, 1, 1, 1},  {0.5, 0.5, 0.1, INFINITY, 1, 1}, {0.5, 0.5, 0.1, 1, -1, 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mdl_history_t history = {0}, read;
        mdl_error_t err;
        check(mdl_history_add(&history, &bad[i], &err), &err);
        write_history(&history);
        assert_int_equal(mdl_history_read(path, configuration, &read, &err), MDL_E_INPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_absent_file_is_an_empty_history),
        cmocka_unit_test(points_come_back_in_order),
        cmocka_unit_test(failure_is_remembered),
        cmocka_unit_test(other_settings_are_named),
        cmocka_unit_test(damage_is_seen),
        cmocka_unit_test(impossible_points_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
