#include "models/random_uniform.h"

#include <Random123/philox.h>

void mdl_random_uniform(float *out, int64_t n_value, float bound, uint64_t seed, uint64_t stream)
{
    philox4x32_key_t key = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
    for (int64_t first = 0; first < n_value; first += 4) {
        uint64_t draw = (uint64_t)first / 4;
        philox4x32_ctr_t counter = {
            {(uint32_t)draw, (uint32_t)(draw >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)}};
        philox4x32_ctr_t bits = philox4x32(counter, key);
        for (int64_t i = 0; i < 4 && first + i < n_value; i++)
            out[first + i] = bound * ((float)(bits.v[i] >> 8) * 0x1p-23f - 1.0f);
    }
}
