/* Rounding to bfloat16 and products of rounded factors, against the same in double precision. */
#include "fill.h"
#include "kernels/bfloat16.h"
#include "kernels/linear.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { MAX = 4096 };
static float in[MAX], out[MAX], extra[MAX];

static void near(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance * fmax(1.0, fabs(expected))))
        fail_msg("got %.9g where %.9g is right", got, expected);
}

/* Rounds to 8 significant bits, ties to even, by other means. */
static float rounded(float x)
{
    int exponent;
    double fraction = frexp((double)x, &exponent);
    return (float)ldexp(nearbyint(ldexp(fraction, 8)), exponent - 8);
}

static void rounding_to_bfloat16(void **state)
{
    (void)state;
    static const float some[] = {0,       -0.0f,    1.00390625f, 1.01171875f, 1.00390637f,
                                 3.4e38f, INFINITY, -INFINITY,   0x1p-120f,   -255.5f};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        float got = mdl_from_bfloat16(mdl_to_bfloat16(some[i]));
        assert_true(isinf(some[i]) || fabsf(some[i]) > 3.39e38f ? isinf(got)
                                                                : got == rounded(some[i]));
    }
    assert_true(isnan(mdl_from_bfloat16(mdl_to_bfloat16(NAN))));
    fill(in, MAX, 100, 1);
    for (int i = 0; i < MAX; i++)
        assert_true(mdl_from_bfloat16(mdl_to_bfloat16(in[i])) == rounded(in[i]));
}

/* Products of rounded factors, beyond the size of a block, to the rounding of float32 sums. */
static void linear_of_bfloat16(void **state)
{
    (void)state;
    enum { N_ROW = 5, N_OUT = 70, N_IN = 150 };
    static float wide[N_OUT * N_IN], before[N_ROW * N_OUT], bias[N_OUT];
    static mdl_bfloat16_t narrow[N_OUT * N_IN];
    fill(in, N_ROW * N_IN, 1, 1);
    fill(wide, N_OUT * N_IN, 1, 2);
    fill(before, N_ROW * N_OUT, 1, 3);
    fill(bias, N_OUT, 1, 4);
    for (int i = 0; i < N_OUT * N_IN; i++)
        narrow[i] = mdl_to_bfloat16(wide[i]);
    mdl_linear_forward_bfloat16(out, before, in, narrow, bias, N_ROW, N_OUT, N_IN);
    mdl_linear_backward_bfloat16(extra, before, narrow, N_ROW, N_OUT, N_IN);
    for (int row = 0; row < N_ROW; row++) {
        for (int o = 0; o < N_OUT; o++) {
            double sum = (double)before[row * N_OUT + o] + (double)bias[o];
            for (int i = 0; i < N_IN; i++)
                sum += (double)rounded(in[row * N_IN + i]) * (double)rounded(wide[o * N_IN + i]);
            near(out[row * N_OUT + o], sum, 1e-5);
        }
        for (int i = 0; i < N_IN; i++) {
            double sum = 0;
            for (int o = 0; o < N_OUT; o++)
                sum +=
                    (double)rounded(before[row * N_OUT + o]) * (double)rounded(wide[o * N_IN + i]);
            near(extra[row * N_IN + i], sum, 1e-5);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding_to_bfloat16),
        cmocka_unit_test(linear_of_bfloat16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
