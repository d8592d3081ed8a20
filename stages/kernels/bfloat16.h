/* bfloat16: the upper half of a float32. */
#ifndef MDL_KERNELS_BFLOAT16_H
#define MDL_KERNELS_BFLOAT16_H

#include <stdint.h>
#include <string.h> /* memcpy */

typedef uint16_t mdl_bfloat16_t;

/* Rounds to the nearest, ties to even; NaN stays one. */
static inline mdl_bfloat16_t mdl_to_bfloat16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (mdl_bfloat16_t)(bits >> 16 | 0x40u);
    return (mdl_bfloat16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static inline float mdl_from_bfloat16(mdl_bfloat16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
