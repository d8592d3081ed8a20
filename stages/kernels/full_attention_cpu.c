#include "kernels/full_attention.h"

#include "kernels/clones.h"
#include "kernels/expf.h"
#include "kernels/matmul.h"

#include <math.h> /* sqrtf */

MDL_CLONES
static void softmax(float *score, int64_t n_row, int64_t n_col)
{
    for (int64_t row = 0; row < n_row; row++) {
        float *x = score + row * n_col;
        float max = x[0], sum = 0;
        for (int64_t i = 1; i < n_col; i++)
            max = x[i] > max ? x[i] : max;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < n_col; i++) {
            x[i] = mdl_expf(x[i] - max);
            sum += x[i];
        }
        for (int64_t i = 0; i < n_col; i++)
            x[i] /= sum;
    }
}

void mdl_full_attention_forward(float *out, float *score, const float *q, int64_t ld_q,
                                const float *k, const float *v, int64_t ld_kv, int64_t n_head,
                                int64_t n_head_feat, int64_t n_query, int64_t n_key)
{
    int64_t ld_out = n_head * n_head_feat;
    float scale = 1.0f / sqrtf((float)n_head_feat);
    for (int64_t head = 0; head < n_head; head++) {
        int64_t at = head * n_head_feat;
        mdl_matmul_nt(score, n_key, q + at, ld_q, k + at, ld_kv, n_query, n_key, n_head_feat, scale,
                      0.0f);
        softmax(score, n_query, n_key);
        mdl_matmul_nn(out + at, ld_out, score, n_key, v + at, ld_kv, n_query, n_head_feat, n_key,
                      1.0f, 0.0f);
    }
}
