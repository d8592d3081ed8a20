/* Against SciPy: tests/reference/make_tau_reference.py. */
#include "regress/tau.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static double number(FILE *file)
{
    char word[64];
    assert_int_equal(fscanf(file, "%63s", word), 1);
    return strtod(word, NULL);
}

static void agrees_with_scipy(void **state)
{
    (void)state;
    FILE *file = fopen(MORDAL_SOURCE_DIR "/tests/reference/tau_cases.txt", "r");
    int n, n_case = 0;
    assert_non_null(file);
    for (; fscanf(file, "%d", &n) == 1; n_case++) {
        double a[50], b[50];
        int32_t rank[100];
        assert_in_range(n, 2, 50);
        for (int i = 0; i < n; i++)
            a[i] = number(file);
        for (int i = 0; i < n; i++)
            b[i] = number(file);
        double tau = mdl_weighted_tau(a, b, n, rank), expected = number(file);
        if (!(isnan(tau) && isnan(expected)) && !(fabs(tau - expected) < 1e-12))
            fail_msg("case %d: %.15g, expected %.15g", n_case, tau, expected);
    }
    fclose(file);
    assert_int_equal(n_case, 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_scipy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
