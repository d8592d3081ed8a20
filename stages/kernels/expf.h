/* The exponential in float32, written so that loops over it become vector code. */
#ifndef MDL_KERNELS_EXPF_H
#define MDL_KERNELS_EXPF_H

#include <stdint.h>
#include <string.h> /* memcpy */

/* exp(x) with a relative error below 3e-7 for x in +-80, and exp(+-80) outside: no infinities and
 * no subnormal numbers, which are slow, come out or follow from it. NaN stays NaN.
 * 2^n e^r with r in +-ln(2)/2 (Cody-Waite reduction) and a polynomial of degree 6. */
static inline float mdl_expf(float x)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    float clamped = x > 80.0f ? 80.0f : x;
    clamped = clamped < -80.0f ? -80.0f : clamped;
    float rounded = clamped * 1.44269504f + shift;
    int32_t bits;
    memcpy(&bits, &rounded, sizeof bits);
    float n = rounded - shift;
    float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    uint32_t exponent = ((uint32_t)bits + 127u) << 23;
    float power;
    memcpy(&power, &exponent, sizeof power);
    return p * power;
}

#endif
