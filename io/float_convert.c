#include "io/float_convert.h"

#include <float.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
    double max;
} encodings[] = {[MDL_FLOAT16] = {"float16", 2, 65504.0},
                 [MDL_BFLOAT16] = {"bfloat16", 2, 0x1.fep127},
                 [MDL_FLOAT32] = {"float32", 4, FLT_MAX},
                 [MDL_FLOAT64] = {"float64", 8, DBL_MAX}};

const char *mdl_encoding_name(mdl_encoding_t encoding)
{
    return encodings[encoding].name;
}

size_t mdl_encoding_size(mdl_encoding_t encoding)
{
    return encodings[encoding].size;
}

double mdl_encoding_max(mdl_encoding_t encoding)
{
    return encodings[encoding].max;
}

int mdl_encoding_find(const char *name, mdl_encoding_t *encoding)
{
    for (int i = MDL_FLOAT16; i <= MDL_FLOAT64; i++) {
        if (strcmp(name, encodings[i].name) == 0) {
            *encoding = (mdl_encoding_t)i;
            return 1;
        }
    }
    return 0;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The half's exponent and fraction, read as those of a float32, are 2^112 too small. */
static float widen_half(uint16_t half)
{
    float magnitude = float_of((uint32_t)(half & 0x7fff) << 13) * 0x1p112f;
    uint32_t special = magnitude >= 65536.0f ? 0x7f800000u : 0;
    return float_of(bits_of(magnitude) | special | (uint32_t)(half & 0x8000) << 16);
}

static uint16_t narrow_half(float value)
{
    uint32_t sign = bits_of(value) & 0x80000000u, magnitude = bits_of(value) ^ sign, half;
    uint32_t odd = (magnitude >> 13) & 1;
    uint32_t normal = (magnitude - (112u << 23) + 0xfff + odd) >> 13;
    /* Adding one half lets the addition itself round at the unit of the subnormal halves. */
    uint32_t subnormal = bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
    half = magnitude < 113u << 23 ? subnormal : normal;
    half = magnitude >= 143u << 23 ? 0x7c00 : half;
    half = magnitude > 0x7f800000u ? 0x7e00 : half;
    return (uint16_t)(half | sign >> 16);
}

static uint16_t narrow_bfloat(float value)
{
    uint32_t bits = bits_of(value);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? bits >> 16 | 0x40 : rounded);
}

/* Rounds to odd, so that a second rounding to 16 bits gives what one rounding would (Boldo and
 * Melquiond 2008, IEEE Trans. Computers 57(4)). */
static float narrow_to_odd(double value)
{
    float nearest = (float)value;
    double back = nearest, magnitude = value < 0 ? -value : value;
    uint32_t bits = bits_of(nearest);
    uint32_t inexact = magnitude <= DBL_MAX && back != value;
    uint32_t away = inexact & (uint32_t)((back < 0 ? -back : back) > magnitude);
    return float_of((bits - away) | inexact);
}

#define CONVERT_LOOP(source_t, target_t, expression)                                               \
    do {                                                                                           \
        const source_t *restrict in = source;                                                      \
        target_t *restrict out = target;                                                           \
        for (size_t i = 0; i < n; i++)                                                             \
            out[i] = (expression);                                                                 \
    } while (0)

/* Compiled for AVX2 too where that is known at the start of the program. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) &&       \
    !defined(__SANITIZE_ADDRESS__)
#define FOR_AVX2_TOO __attribute__((target_clones("avx2", "default")))
#else
#define FOR_AVX2_TOO
#endif

FOR_AVX2_TOO
static void from_half(const void *source, mdl_encoding_t to, void *target, size_t n)
{
    if (to == MDL_BFLOAT16)
        CONVERT_LOOP(uint16_t, uint16_t, narrow_bfloat(widen_half(in[i])));
    else if (to == MDL_FLOAT32)
        CONVERT_LOOP(uint16_t, float, widen_half(in[i]));
    else
        CONVERT_LOOP(uint16_t, double, widen_half(in[i]));
}

FOR_AVX2_TOO
static void from_bfloat(const void *source, mdl_encoding_t to, void *target, size_t n)
{
    if (to == MDL_FLOAT16)
        CONVERT_LOOP(uint16_t, uint16_t, narrow_half(float_of((uint32_t)in[i] << 16)));
    else if (to == MDL_FLOAT32)
        CONVERT_LOOP(uint16_t, float, float_of((uint32_t)in[i] << 16));
    else
        CONVERT_LOOP(uint16_t, double, float_of((uint32_t)in[i] << 16));
}

static void from_float(const void *source, mdl_encoding_t to, void *target, size_t n)
{
    if (to == MDL_FLOAT16)
        CONVERT_LOOP(float, uint16_t, narrow_half(in[i]));
    else if (to == MDL_BFLOAT16)
        CONVERT_LOOP(float, uint16_t, narrow_bfloat(in[i]));
    else
        CONVERT_LOOP(float, double, in[i]);
}

static void from_double(const void *source, mdl_encoding_t to, void *target, size_t n)
{
    if (to == MDL_FLOAT16)
        CONVERT_LOOP(double, uint16_t, narrow_half(narrow_to_odd(in[i])));
    else if (to == MDL_BFLOAT16)
        CONVERT_LOOP(double, uint16_t, narrow_bfloat(narrow_to_odd(in[i])));
    else
        CONVERT_LOOP(double, float, (float)in[i]);
}

void mdl_float_convert(mdl_encoding_t from, const void *source, mdl_encoding_t to, void *target,
                       size_t n)
{
    static void (*const convert[])(const void *, mdl_encoding_t, void *,
                                   size_t) = {[MDL_FLOAT16] = from_half,
                                              [MDL_BFLOAT16] = from_bfloat,
                                              [MDL_FLOAT32] = from_float,
                                              [MDL_FLOAT64] = from_double};
    if (from == to)
        memcpy(target, source, n * mdl_encoding_size(to));
    else
        convert[from](source, to, target, n);
}

/* A value is NaN or infinite when all bits of its exponent are set. */
#define FIND_BAD(bits_t, exponent)                                                                 \
    do {                                                                                           \
        const bits_t *bits = values;                                                               \
        for (size_t start = 0; start < n; start += BLOCK) {                                        \
            size_t end = n - start < BLOCK ? n : start + BLOCK;                                    \
            bits_t bad = 0; /* of the values' size, so that it is a vector of them */              \
            for (size_t i = start; i < end; i++)                                                   \
                bad |= (bits[i] & (exponent)) == (exponent);                                       \
            for (size_t i = start; bad && i < end; i++)                                            \
                if ((bits[i] & (exponent)) == (exponent))                                          \
                    return (int64_t)i;                                                             \
        }                                                                                          \
    } while (0)

FOR_AVX2_TOO
int64_t mdl_float_first_bad(mdl_encoding_t encoding, const void *values, size_t n)
{
    enum { BLOCK = 1024 };
    switch (encoding) {
    case MDL_FLOAT16:
        FIND_BAD(uint16_t, 0x7c00);
        break;
    case MDL_BFLOAT16:
        FIND_BAD(uint16_t, 0x7f80);
        break;
    case MDL_FLOAT32:
        FIND_BAD(uint32_t, 0x7f800000u);
        break;
    case MDL_FLOAT64:
        FIND_BAD(uint64_t, 0x7ff0000000000000ull);
        break;
    }
    return -1;
}
