#include "kernels/rope.h"

#include <math.h> /* cosf, sinf */

void mdl_rope_table(float *cosine, float *sine, const float *frequency, int64_t n_position,
                    int64_t n_frequency)
{
    for (int64_t position = 0; position < n_position; position++) {
        for (int64_t i = 0; i < n_frequency; i++) {
            float angle = (float)position * frequency[i];
            cosine[position * n_frequency + i] = cosf(angle);
            sine[position * n_frequency + i] = sinf(angle);
        }
    }
}

static void rotate(float *x, const float *cosine, const float *sine, float direction, int64_t n_row,
                   int64_t n_head, int64_t n_head_feat, int64_t ld_x)
{
    int64_t n_half = n_head_feat / 2;
    for (int64_t row = 0; row < n_row; row++) {
        const float *c = cosine + row * n_half;
        const float *s = sine + row * n_half;
        for (int64_t head = 0; head < n_head; head++) {
            float *first = x + row * ld_x + head * n_head_feat;
            float *second = first + n_half;
            for (int64_t i = 0; i < n_half; i++) {
                float a = first[i], b = second[i], turn = direction * s[i];
                first[i] = a * c[i] - b * turn;
                second[i] = b * c[i] + a * turn;
            }
        }
    }
}

void mdl_rope_forward(float *x, const float *cosine, const float *sine, int64_t n_row,
                      int64_t n_head, int64_t n_head_feat, int64_t ld_x)
{
    rotate(x, cosine, sine, 1.0f, n_row, n_head, n_head_feat, ld_x);
}

void mdl_rope_backward(float *dx, const float *cosine, const float *sine, int64_t n_row,
                       int64_t n_head, int64_t n_head_feat, int64_t ld_dx)
{
    rotate(dx, cosine, sine, -1.0f, n_row, n_head, n_head_feat, ld_dx);
}
