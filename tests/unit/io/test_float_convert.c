#include "io/float_convert.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static uint64_t state_of_random = 88172645463325252u;

static uint64_t random_bits(void)
{
    state_of_random ^= state_of_random << 13;
    state_of_random ^= state_of_random >> 7;
    state_of_random ^= state_of_random << 17;
    return state_of_random;
}

static uint16_t half_bits(_Float16 value)
{
    uint16_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double bfloat_value(uint32_t bits)
{
    uint32_t wide = bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* The bfloat16 nearest to value, ties to even, by trying the neighbours of one that is near. */
static uint32_t nearest_bfloat(double value)
{
    float near = (float)value;
    uint32_t bits, best = 0;
    long double best_distance = INFINITY;
    memcpy(&bits, &near, sizeof bits);
    for (int step = -1; step <= 1; step++) {
        uint32_t sign = bits >> 16 & 0x8000, magnitude = (bits >> 16 & 0x7fff) + (uint32_t)step;
        if (magnitude > 0x7f80)
            continue;
        /* Rounding takes infinity for the number that would follow the largest. */
        long double candidate =
            magnitude == 0x7f80 ? 0x1p128L * (sign ? -1 : 1) : bfloat_value(sign | magnitude);
        long double distance = fabsl(candidate - (long double)value);
        if (distance < best_distance || (distance == best_distance && magnitude % 2 == 0)) {
            best_distance = distance;
            best = sign | magnitude;
        }
    }
    return best;
}

static void every_half_widens(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 65536; i++) {
        uint16_t bits = (uint16_t)i;
        float narrow;
        double wide;
        _Float16 expected;
        memcpy(&expected, &bits, sizeof bits);
        mdl_float_convert(MDL_FLOAT16, &bits, MDL_FLOAT32, &narrow, 1);
        mdl_float_convert(MDL_FLOAT16, &bits, MDL_FLOAT64, &wide, 1);
        if (isnan((float)expected)) {
            assert_true(isnan(narrow) && isnan(wide));
            continue;
        }
        assert_true(narrow == (float)expected && wide == (double)expected);
        assert_int_equal(signbit(narrow) != 0, i >> 15);
    }
}

static void floats_narrow_to_half(void **state)
{
    (void)state;
    for (int i = 0; i < 2000000; i++) {
        uint32_t bits = (uint32_t)random_bits();
        if (i % 2 == 0) /* exponents around those of halves */
            bits = (bits & 0x807fffff) | (100 + (uint32_t)(random_bits() % 46)) << 23;
        if (i % 7 == 0) /* ties */
            bits &= 0xfffff000;
        float value;
        uint16_t narrow;
        memcpy(&value, &bits, sizeof value);
        mdl_float_convert(MDL_FLOAT32, &value, MDL_FLOAT16, &narrow, 1);
        if (isnan(value))
            assert_int_equal(narrow & 0x7fff, 0x7e00);
        else
            assert_int_equal(narrow, half_bits((_Float16)value));
    }
}

/* Values just beside the middle of two halves, which float32 cannot tell from the middle. */
static void doubles_narrow_with_one_rounding(void **state)
{
    (void)state;
    for (int i = 0; i < 1000000; i++) {
        double unit = ldexp(1, (int)(random_bits() % 40) - 24);
        double middle = unit * (1024.5 + (double)(random_bits() % 1024)) / 1024;
        double value = middle * (1 + (double)(int)(random_bits() % 3 - 1) * 0x1p-40);
        uint16_t narrow;
        mdl_float_convert(MDL_FLOAT64, &value, MDL_FLOAT16, &narrow, 1);
        assert_int_equal(narrow, half_bits((_Float16)value));
        mdl_float_convert(MDL_FLOAT64, &value, MDL_BFLOAT16, &narrow, 1);
        assert_int_equal(narrow, nearest_bfloat(value));
    }
}

static void bfloats(void **state)
{
    (void)state;
    for (int i = 0; i < 1000000; i++) {
        uint32_t bits = (uint32_t)random_bits();
        float value, back;
        uint16_t narrow;
        memcpy(&value, &bits, sizeof value);
        if (isnan(value))
            continue;
        mdl_float_convert(MDL_FLOAT32, &value, MDL_BFLOAT16, &narrow, 1);
        if (isfinite(value))
            assert_int_equal(narrow, nearest_bfloat(value));
        mdl_float_convert(MDL_BFLOAT16, &narrow, MDL_FLOAT32, &back, 1);
        assert_true(isinf(back) || (double)back == bfloat_value(narrow));
    }
    const uint32_t quiet_after_rounding = 0x7f800001; /* a NaN whose upper half is infinity's */
    uint16_t narrow;
    mdl_float_convert(MDL_FLOAT32, &quiet_after_rounding, MDL_BFLOAT16, &narrow, 1);
    assert_true((narrow & 0x7f80) == 0x7f80 && (narrow & 0x7f) != 0);
}

static void largest_values(void **state)
{
    (void)state;
    const double large[] = {65504, 65519.999, 65520, 1e300, -INFINITY, 0x1.fep127, 0x1.ffp127};
    const uint16_t half[] = {0x7bff, 0x7bff, 0x7c00, 0x7c00, 0xfc00, 0x7c00, 0x7c00};
    const uint16_t bfloat[] = {0x4780, 0x4780, 0x4780, 0x7f80, 0xff80, 0x7f7f, 0x7f80};
    uint16_t out[7];
    mdl_float_convert(MDL_FLOAT64, large, MDL_FLOAT16, out, 7);
    assert_memory_equal(out, half, sizeof half);
    mdl_float_convert(MDL_FLOAT64, large, MDL_BFLOAT16, out, 7);
    assert_memory_equal(out, bfloat, sizeof bfloat);
}

static void bad_values_are_found(void **state)
{
    (void)state;
    enum { N = 5000 };
    static float floats[N];
    static uint16_t halves[N], bfloats_of[N];
    static double doubles[N];
    for (int bad = -1; bad < N; bad += bad < 1100 ? 1 : 97) {
        for (int i = 0; i < N; i++)
            floats[i] = i == bad ? (bad % 2 ? NAN : -INFINITY) : (float)i;
        mdl_float_convert(MDL_FLOAT32, floats, MDL_FLOAT16, halves, N);
        mdl_float_convert(MDL_FLOAT32, floats, MDL_BFLOAT16, bfloats_of, N);
        mdl_float_convert(MDL_FLOAT32, floats, MDL_FLOAT64, doubles, N);
        assert_int_equal(mdl_float_first_bad(MDL_FLOAT32, floats, N), bad);
        assert_int_equal(mdl_float_first_bad(MDL_FLOAT16, halves, N), bad);
        assert_int_equal(mdl_float_first_bad(MDL_BFLOAT16, bfloats_of, N), bad);
        assert_int_equal(mdl_float_first_bad(MDL_FLOAT64, doubles, N), bad);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_widens),
        cmocka_unit_test(floats_narrow_to_half),
        cmocka_unit_test(doubles_narrow_with_one_rounding),
        cmocka_unit_test(bfloats),
        cmocka_unit_test(largest_values),
        cmocka_unit_test(bad_values_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
