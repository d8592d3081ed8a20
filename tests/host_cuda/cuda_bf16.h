#ifndef HOST_CUDA_BF16_H
#define HOST_CUDA_BF16_H

#include <cstdint>
#include <cstring>

struct __nv_bfloat16 {
    uint16_t bits;
    operator float() const
    {
        uint32_t wide_bits = (uint32_t)bits << 16;
        float wide;
        memcpy(&wide, &wide_bits, sizeof wide);
        return wide;
    }
};

inline float __bfloat162float(__nv_bfloat16 value)
{
    return value;
}

/* To the nearest, ties to even; for finite values. */
inline __nv_bfloat16 __float2bfloat16_rn(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return {(uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

#endif
