#include "models/rope_frequency.h"

#include <math.h>

#define TWO_PI 6.283185307179586

static double stretch(const mdl_rope_config_t *rope, double frequency)
{
    double n_wave = rope->n_original_position * frequency / TWO_PI; /* waves in the context */
    if (n_wave < rope->low_freq_factor)
        return frequency / rope->factor;
    if (n_wave > rope->high_freq_factor)
        return frequency;
    double smooth =
        (n_wave - rope->low_freq_factor) / (rope->high_freq_factor - rope->low_freq_factor);
    return (1 - smooth) * frequency / rope->factor + smooth * frequency;
}

void mdl_rope_frequency(const mdl_rope_config_t *rope, int64_t n_head_feat, float *frequency)
{
    for (int64_t i = 0; i < n_head_feat / 2; i++) {
        double value = pow(rope->theta, -2.0 * (double)i / (double)n_head_feat);
        if (rope->type == MDL_ROPE_LINEAR)
            value /= rope->factor;
        else if (rope->type == MDL_ROPE_LLAMA3)
            value = stretch(rope, value);
        else if (rope->type == MDL_ROPE_LONGROPE)
            value /= rope->short_factor[i];
        frequency[i] = (float)value;
    }
}
