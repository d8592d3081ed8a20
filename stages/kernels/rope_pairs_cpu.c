#include "kernels/rope_pairs.h"

#include <math.h> /* cosf, sinf, pow */

void mdl_rope_pairs_table(float *cosine, float *sine, int64_t n_height, int64_t n_width,
                          float row_step, float column_step, int64_t n_head_feat, double theta)
{
    int64_t n_band = n_head_feat / 4;
    for (int64_t row = 0; row < n_height; row++) {
        for (int64_t column = 0; column < n_width; column++) {
            int64_t at = (row * n_width + column) * 2 * n_band;
            for (int64_t i = 0; i < 2 * n_band; i++) {
                float position = i < n_band ? (float)row * row_step : (float)column * column_step;
                float frequency = (float)pow(theta, -(double)(i % n_band) / (double)n_band);
                cosine[at + i] = cosf(position * frequency);
                sine[at + i] = sinf(position * frequency);
            }
        }
    }
}

void mdl_rope_pairs_forward(float *x, const float *cosine, const float *sine, int64_t n_row,
                            int64_t n_head, int64_t n_head_feat, int64_t ld_x)
{
    int64_t n_pair = n_head_feat / 2;
    for (int64_t row = 0; row < n_row; row++) {
        const float *c = cosine + row * n_pair;
        const float *s = sine + row * n_pair;
        for (int64_t head = 0; head < n_head; head++) {
            float *y = x + row * ld_x + head * n_head_feat;
            for (int64_t i = 0; i < n_pair; i++) {
                float a = y[2 * i], b = y[2 * i + 1];
                y[2 * i] = a * c[i] - b * s[i];
                y[2 * i + 1] = b * c[i] + a * s[i];
            }
        }
    }
}
