#include "kernels/depthwise_conv.h"

#include <string.h> /* memcpy */

void mdl_depthwise_conv_forward(float *out, const float *in, const float *weight, const float *bias,
                                int64_t height, int64_t width, int64_t n_channel, int64_t width_k)
{
    int64_t reach = width_k / 2;
    for (int64_t row = 0; row < height; row++) {
        for (int64_t column = 0; column < width; column++) {
            float *y = out + (row * width + column) * n_channel;
            memcpy(y, bias, (size_t)n_channel * sizeof *y);
            for (int64_t k = 0; k < width_k * width_k; k++) {
                int64_t from_row = row + k / width_k - reach;
                int64_t from_column = column + k % width_k - reach;
                if (from_row < 0 || from_row >= height || from_column < 0 || from_column >= width)
                    continue;
                const float *x = in + (from_row * width + from_column) * n_channel;
                const float *w = weight + k * n_channel;
                for (int64_t i = 0; i < n_channel; i++)
                    y[i] += w[i] * x[i];
            }
        }
    }
}
