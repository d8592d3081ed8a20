#include "kernels/resize_cubic.h"

#include <math.h>   /* floorf */
#include <string.h> /* memset */

#define A -0.75f

static float near_weight(float x)
{
    return ((A + 2.0f) * x - (A + 3.0f)) * x * x + 1.0f;
}

static float far_weight(float x)
{
    return ((A * x - 5.0f * A) * x + 8.0f * A) * x - 4.0f * A;
}

/* The four neighbours of target, where n places become n_out, and their weights. */
static void neighbours(int64_t target, int64_t n_out, int64_t n, int64_t at[4], float weight[4])
{
    float place = (float)n / (float)n_out * ((float)target + 0.5f) - 0.5f;
    float below = floorf(place), t = place - below;
    weight[0] = far_weight(t + 1.0f);
    weight[1] = near_weight(t);
    weight[2] = near_weight(1.0f - t);
    weight[3] = far_weight(2.0f - t);
    for (int i = 0; i < 4; i++) {
        int64_t wanted = (int64_t)below - 1 + i;
        at[i] = wanted < 0 ? 0 : wanted >= n ? n - 1 : wanted;
    }
}

void mdl_resize_cubic(float *out, int64_t out_height, int64_t out_width, const float *in,
                      int64_t height, int64_t width, int64_t n_channel)
{
    memset(out, 0, (size_t)(out_height * out_width * n_channel) * sizeof *out);
    for (int64_t row = 0; row < out_height; row++) {
        int64_t at_row[4], at_column[4];
        float row_weight[4], column_weight[4];
        neighbours(row, out_height, height, at_row, row_weight);
        for (int64_t column = 0; column < out_width; column++) {
            float *y = out + (row * out_width + column) * n_channel;
            neighbours(column, out_width, width, at_column, column_weight);
            for (int k = 0; k < 16; k++) {
                const float *x = in + (at_row[k / 4] * width + at_column[k % 4]) * n_channel;
                float weight = row_weight[k / 4] * column_weight[k % 4];
                for (int64_t i = 0; i < n_channel; i++)
                    y[i] += weight * x[i];
            }
        }
    }
}
