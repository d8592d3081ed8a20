#include "kernels/rows.h"

#include <string.h> /* memset */

void mdl_rows_add(float *x, const float *bias, int64_t n_row, int64_t n_feat)
{
    for (int64_t row = 0; row < n_row; row++)
        for (int64_t i = 0; i < n_feat; i++)
            x[row * n_feat + i] += bias[i];
}

void mdl_rows_add_scaled(float *x, const float *y, const float *scale, int64_t n_row,
                         int64_t n_feat)
{
    for (int64_t row = 0; row < n_row; row++) {
        float *to = x + row * n_feat;
        const float *from = y + row * n_feat;
        if (scale == NULL)
            for (int64_t i = 0; i < n_feat; i++)
                to[i] += from[i];
        else
            for (int64_t i = 0; i < n_feat; i++)
                to[i] += from[i] * scale[i];
    }
}

void mdl_rows_mean(float *out, const float *x, int64_t n_row, int64_t n_feat)
{
    memset(out, 0, (size_t)n_feat * sizeof *out);
    for (int64_t row = 0; row < n_row; row++)
        for (int64_t i = 0; i < n_feat; i++)
            out[i] += x[row * n_feat + i];
    for (int64_t i = 0; i < n_feat; i++)
        out[i] /= (float)n_row;
}
