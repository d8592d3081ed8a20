/* Repeatable inputs for the kernel tests. */
#ifndef MDL_TESTS_FILL_H
#define MDL_TESTS_FILL_H

#include <stdint.h>

/* Sets x [n] to numbers in [-range, range) by a linear congruential generator. */
static inline void fill(float *x, int64_t n, float range, uint32_t seed)
{
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = range * ((float)(seed >> 8) * 0x1p-23f - 1.0f);
    }
}

#endif
