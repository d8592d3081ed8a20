#include "core/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void fail_fills_code_and_text(void **state)
{
    (void)state;
    mdl_error_t err;
    assert_int_equal(mdl_fail(&err, MDL_E_INPUT, "file %s row %d", "a.npy", 3), MDL_E_INPUT);
    assert_int_equal(err.code, MDL_E_INPUT);
    assert_int_equal(err.rank, -1);
    assert_string_equal(err.text, "file a.npy row 3");
    assert_int_equal(mdl_fail(NULL, MDL_E_IO, "nobody listens"), MDL_E_IO);
}

static void prefix_goes_before_the_text(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_fail(&err, MDL_E_IO, "disk full");
    assert_int_equal(mdl_error_prefix(&err, "cka/%s", "vision.h5"), MDL_E_IO);
    assert_string_equal(err.text, "cka/vision.h5: disk full");
}

static void long_texts_are_cut_not_overrun(void **state)
{
    (void)state;
    mdl_error_t err;
    char word[2000];
    memset(word, 'x', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    mdl_fail(&err, MDL_E_IO, "%s", word);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    mdl_error_prefix(&err, "%s", word);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

static void alloc_refuses_overflow(void **state)
{
    (void)state;
    mdl_error_t err;
    double *values = NULL;
    assert_int_equal(mdl_alloc(&values, SIZE_MAX / 4, sizeof *values, "the Gram matrix", &err),
                     MDL_E_MEMORY);
    assert_non_null(strstr(err.text, "the Gram matrix"));
    assert_int_equal(mdl_alloc(&values, 3, sizeof *values, "three", &err), MDL_OK);
    assert_true(values[2] == 0.0);
    free(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_fills_code_and_text),
        cmocka_unit_test(prefix_goes_before_the_text),
        cmocka_unit_test(long_texts_are_cut_not_overrun),
        cmocka_unit_test(alloc_refuses_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
