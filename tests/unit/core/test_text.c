#include "core/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void nearest_name(void **state)
{
    (void)state;
    static const char *const names[] = {"threshold", "linkage", "batch"};
    assert_string_equal(mdl_text_nearest("treshold", names, 3), "threshold");
    assert_string_equal(mdl_text_nearest("linkages", names, 3), "linkage");
    assert_null(mdl_text_nearest("xyzzyx", names, 3));
    assert_null(mdl_text_nearest(
        "a-word-that-is-far-too-long-to-be-any-of-the-names-and-over-sixty-four-letters", names,
        3));
}

static void durations_and_bytes(void **state)
{
    (void)state;
    char buffer[32];
    assert_string_equal(mdl_text_duration(3.21, buffer), "3.2 s");
    assert_string_equal(mdl_text_duration(42.4, buffer), "42 s");
    assert_string_equal(mdl_text_duration(200, buffer), "3 min 20 s");
    assert_string_equal(mdl_text_duration(5 * 3600 + 12 * 60 + 30, buffer), "5 h 12 min");
    assert_string_equal(mdl_text_bytes(512, buffer), "512 B");
    assert_string_equal(mdl_text_bytes(12345678, buffer), "12.3 MB");
    assert_string_equal(mdl_text_bytes(2.114e12, buffer), "2.1 TB");
}

static void formatted_text(void **state)
{
    (void)state;
    char *text = mdl_text("%s/%d.h5", "rungs", 3);
    assert_string_equal(text, "rungs/3.h5");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearest_name),
        cmocka_unit_test(durations_and_bytes),
        cmocka_unit_test(formatted_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
