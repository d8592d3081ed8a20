#include "io/checkpoint_file.h"

#include "core/text.h"

#include <dirent.h>
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

enum { N_PARAM = 7 };

/* Brackets in the name are no pattern. */
static const char *const folder = "test_checkpoint [1]";
static const mdl_checkpoint_tensor_t tensors[] = {{"W", 0, 2, {2, 3}}, {"b", 6, 1, {1, 0}}};

typedef struct {
    float values[3][N_PARAM];
    mdl_checkpoint_t checkpoint;
} state_t;

static void check(int rc, const mdl_error_t *err)
{
    if (rc != MDL_OK)
        fail_msg("%s", err->text);
}

static void fill(state_t *state, int64_t step, float start)
{
    for (int i = 0; i < 3 * N_PARAM; i++)
        state->values[i / N_PARAM][i % N_PARAM] = start + (float)i;
    state->checkpoint = (mdl_checkpoint_t){.step = step,
                                           .total_steps = 1000,
                                           .train_seconds = 1.5 * (double)step,
                                           .n_tensor = 2,
                                           .tensor = tensors,
                                           .param = state->values[0],
                                           .adam_m = state->values[1],
                                           .adam_v = state->values[2]};
}

static void write_step(int64_t step)
{
    state_t state;
    mdl_error_t err;
    fill(&state, step, (float)step);
    check(mdl_checkpoint_write(folder, "batch=4\n", &state.checkpoint, &err), &err);
}

static void damage(int64_t step)
{
    char *path = mdl_text("%s/checkpoint-%08lld.h5", folder, (long long)step);
    assert_int_equal(truncate(path, 3000), 0);
    free(path);
}

/* The steps that are there, as text. */
static const char *listed(void)
{
    static char text[256];
    int64_t *steps, n_step;
    mdl_error_t err;
    int length = 0;
    check(mdl_checkpoint_list(folder, &steps, &n_step, &err), &err);
    text[0] = '\0';
    for (int64_t i = 0; i < n_step; i++)
        length +=
            snprintf(text + length, sizeof text - (size_t)length, "%lld ", (long long)steps[i]);
    free(steps);
    return text;
}

static int empty_folder(void **state)
{
    (void)state;
    DIR *listing = opendir(folder);
    if (listing == NULL)
        return 0;
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        char *path = mdl_text("%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
        free(path);
    }
    closedir(listing);
    return 0;
}

static void a_state_comes_back(void **unused)
{
    (void)unused;
    state_t written, read;
    mdl_error_t err;
    write_step(12);
    fill(&written, 12, 12);
    fill(&read, 0, 0);
    check(mdl_checkpoint_read(folder, "batch=4\n", 12, &read.checkpoint, &err), &err);
    assert_memory_equal(read.values, written.values, sizeof read.values);
    assert_int_equal(read.checkpoint.step, 12);
    assert_int_equal(read.checkpoint.total_steps, 1000);
    assert_true(read.checkpoint.train_seconds == 18);
    assert_int_equal(mdl_checkpoint_read(folder, "batch=4\n", 13, &read.checkpoint, &err),
                     MDL_E_MISSING);
    assert_int_equal(mdl_checkpoint_read(folder, "batch=5\n", 12, &read.checkpoint, &err),
                     MDL_E_INPUT);
    assert_non_null(strstr(err.text, "--force"));
}

static void the_newest_intact_one_is_taken(void **unused)
{
    (void)unused;
    state_t state;
    mdl_error_t err;
    fill(&state, 5, 0);
    check(mdl_checkpoint_read_newest(folder, "batch=4\n", 100, &state.checkpoint, &err), &err);
    assert_int_equal(state.checkpoint.step, 0);
    write_step(10);
    write_step(20);
    write_step(30);
    write_step(40);
    damage(30);
    check(mdl_checkpoint_read_newest(folder, "batch=4\n", 35, &state.checkpoint, &err), &err);
    assert_int_equal(state.checkpoint.step, 20);
    assert_true(state.values[0][0] == 20);
    assert_string_equal(listed(), "10 20 40 ");
    assert_int_equal(mdl_checkpoint_read_newest(folder, "batch=5\n", 35, &state.checkpoint, &err),
                     MDL_E_INPUT);
    assert_string_equal(listed(), "10 20 40 ");
}

static void another_layout_is_refused_untouched(void **unused)
{
    (void)unused;
    static const mdl_checkpoint_tensor_t other[] = {{"W", 0, 2, {2, 3}}, {"c", 6, 1, {1, 0}}};
    state_t state;
    mdl_error_t err;
    write_step(10);
    fill(&state, 0, -5);
    state.checkpoint.tensor = other;
    assert_int_equal(mdl_checkpoint_read(folder, "batch=4\n", 10, &state.checkpoint, &err),
                     MDL_E_INPUT);
    assert_true(state.values[0][0] == -5);
}

static void a_state_that_is_not_finite_is_never_stored(void **unused)
{
    (void)unused;
    state_t state;
    mdl_error_t err;
    fill(&state, 10, 0);
    state.values[2][3] = NAN;
    assert_int_equal(mdl_checkpoint_write(folder, "batch=4\n", &state.checkpoint, &err),
                     MDL_E_TRAINER);
    assert_non_null(strstr(err.text, "adam_v of W"));
    assert_string_equal(listed(), "");
}

static void marks_and_the_newest_two_are_kept(void **unused)
{
    (void)unused;
    static const int64_t marks[] = {20, 40};
    mdl_error_t err;
    for (int64_t step = 10; step <= 70; step += 10)
        write_step(step);
    check(mdl_checkpoint_prune(folder, marks, 2, &err), &err);
    assert_string_equal(listed(), "20 40 60 70 ");
}

static void other_names_are_passed_over(void **unused)
{
    (void)unused;
    static const char *const names[] = {"checkpoint-1.h5.tmp.host.1", "checkpoint-x.h5",
                                        "checkpoint--3.h5", "checkpoint-00000005.h5x",
                                        "history.h5"};
    write_step(10);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = mdl_text("%s/%s", folder, names[i]);
        fclose(fopen(path, "w"));
        free(path);
    }
    assert_string_equal(listed(), "10 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_state_comes_back, empty_folder),
        cmocka_unit_test_setup(the_newest_intact_one_is_taken, empty_folder),
        cmocka_unit_test_setup(another_layout_is_refused_untouched, empty_folder),
        cmocka_unit_test_setup(a_state_that_is_not_finite_is_never_stored, empty_folder),
        cmocka_unit_test_setup(marks_and_the_newest_two_are_kept, empty_folder),
        cmocka_unit_test_setup(other_names_are_passed_over, empty_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
