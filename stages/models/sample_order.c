#include "models/sample_order.h"

#include <Random123/philox.h>

/* Keeps these draws apart from those of mdl_random_uniform, whose streams are small numbers. */
static const uint32_t STREAM = 0x6f726472;

void mdl_sample_order(int64_t *order, int64_t n, uint64_t seed, int64_t epoch)
{
    philox4x32_key_t key = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        philox4x32_ctr_t counter = {{(uint32_t)i, (uint32_t)(i >> 32), (uint32_t)epoch, STREAM}};
        philox4x32_ctr_t bits = philox4x32(counter, key);
        uint64_t draw = (uint64_t)bits.v[1] << 32 | bits.v[0];
        int64_t other = (int64_t)(draw % (uint64_t)(i + 1));
        int64_t kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
}
