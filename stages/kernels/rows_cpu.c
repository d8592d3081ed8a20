#include "kernels/rows.h"

#include "kernels/bfloat16.h"

#include <string.h> /* memcpy, memset */

void mdl_rows_set(float *x, const float *bias, int64_t n_row, int64_t n_feat)
{
    for (int64_t row = 0; row < n_row; row++)
        memcpy(x + row * n_feat, bias, (size_t)n_feat * sizeof *x);
}

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

void mdl_rows_sum(float *sum, const float *x, int64_t n_row, int64_t n_feat)
{
    for (int64_t row = 0; row < n_row; row++)
        for (int64_t i = 0; i < n_feat; i++)
            sum[i] += x[row * n_feat + i];
}

void mdl_rows_mean(float *out, const float *x, int64_t n_row, int64_t n_feat)
{
    memset(out, 0, (size_t)n_feat * sizeof *out);
    mdl_rows_sum(out, x, n_row, n_feat);
    for (int64_t i = 0; i < n_feat; i++)
        out[i] /= (float)n_row;
}

void mdl_rows_move(float *out, const int32_t *to, const float *in, const int32_t *from,
                   int64_t n_row, int64_t n_feat, float scale)
{
    for (int64_t i = 0; i < n_row; i++) {
        float *y = out + (to != NULL ? to[i] : i) * n_feat;
        const float *x = in + (from != NULL ? from[i] : i) * n_feat;
        for (int64_t k = 0; k < n_feat; k++)
            y[k] = scale * x[k];
    }
}

void mdl_rows_embed(float *out, const int32_t *to, const void *table, const int32_t *from,
                    int64_t n_row, int64_t n_feat, float scale)
{
    mdl_rows_move(out, to, table, from, n_row, n_feat, scale);
}

void mdl_rows_embed_bfloat16(float *out, const int32_t *to, const void *table, const int32_t *from,
                             int64_t n_row, int64_t n_feat, float scale)
{
    for (int64_t i = 0; i < n_row; i++) {
        const mdl_bfloat16_t *x = (const mdl_bfloat16_t *)table + from[i] * n_feat;
        for (int64_t k = 0; k < n_feat; k++)
            out[to[i] * n_feat + k] = scale * mdl_from_bfloat16(x[k]);
    }
}

void mdl_rows_largest(int32_t *at, const float *x, int64_t n_row, int64_t n_feat)
{
    for (int64_t row = 0; row < n_row; row++, x += n_feat) {
        at[row] = 0;
        for (int64_t i = 1; i < n_feat; i++)
            at[row] = x[i] > x[at[row]] ? (int32_t)i : at[row];
    }
}
