#include "core/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    int fast;
    int64_t batch;
    double threshold;
    const char *out, *estimator;
} values_t;

static const mdl_option_t table[] = {
    {"fast", 'f', MDL_OPTION_FLAG, NULL, "be fast", offsetof(values_t, fast)},
    {"batch", 0, MDL_OPTION_INT, "N", "rows a batch", offsetof(values_t, batch)},
    {"threshold", 't', MDL_OPTION_DOUBLE, "T", "similarity", offsetof(values_t, threshold)},
    {"out", 'o', MDL_OPTION_TEXT, "FILE", "result", offsetof(values_t, out)},
    {"estimator", 0, MDL_OPTION_CHOICE, "biased|unbiased", "which", offsetof(values_t, estimator)},
};

static int parse(values_t *values, mdl_error_t *err, int argc, char **argv, int *n_argument)
{
    char **arguments;
    mdl_option_group_t group = {table, sizeof table / sizeof table[0], values};
    return mdl_options_parse(&group, 1, argc, argv, &arguments, n_argument, err);
}

static void every_type_is_read(void **state)
{
    (void)state;
    char *argv[] = {"p",      "a.h5",        "-f",       "--batch=64", "-t", "0.7",
                    "-oX.h5", "--estimator", "unbiased", "b.h5",       NULL};
    values_t values = {0};
    mdl_error_t err;
    int n;
    assert_int_equal(parse(&values, &err, 10, argv, &n), MDL_OK);
    assert_int_equal(values.fast, 1);
    assert_int_equal(values.batch, 64);
    assert_true(values.threshold == 0.7);
    assert_string_equal(values.out, "X.h5");
    assert_string_equal(values.estimator, "unbiased");
    assert_int_equal(n, 2);
}

static void wrong_options_are_explained(void **state)
{
    (void)state;
    static const struct {
        const char *word, *value, *expected;
    } cases[] = {
        {"--bach", "3", "did you mean --batch?"},
        {"--zzzzzzzz", "3", "--help lists"},
        {"--batch", "3.5", "'3.5' is not a whole number"},
        {"--batch", "99999999999999999999", "not a whole number"},
        {"--threshold", "nan", "not a finite number"},
        {"--threshold", "1e999", "not a finite number"},
        {"--estimator", "bias", "none of biased|unbiased"},
        {"--estimator", "", "none of biased|unbiased"},
        {"--estimator", "biased|unbiased", "none of biased|unbiased"},
        {"--out", NULL, "needs a value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char word[32], value[32];
        char *argv[] = {"p", word, value, NULL};
        strcpy(word, cases[i].word);
        strcpy(value, cases[i].value != NULL ? cases[i].value : "");
        values_t values = {0};
        mdl_error_t err;
        int n;
        assert_int_equal(parse(&values, &err, cases[i].value != NULL ? 3 : 2, argv, &n),
                         MDL_E_USAGE);
        assert_non_null(strstr(err.text, cases[i].expected));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(wrong_options_are_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
