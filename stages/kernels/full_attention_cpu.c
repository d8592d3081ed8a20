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

static void attend(float *out, float *score, const float *q, const float *k, const float *v,
                   const mdl_full_attention_t *shape)
{
    int64_t n_query = shape->n_query, n_key = shape->n_key, n_feat = shape->n_head_feat;
    float scale = 1.0f / sqrtf((float)n_feat);
    mdl_matmul_nt(score, n_key, q, shape->ld_q, k, shape->ld_kv, n_query, n_key, n_feat, scale,
                  0.0f);
    softmax(score, n_query, n_key);
    mdl_matmul_nn(out, shape->n_head * n_feat, score, n_key, v, shape->ld_kv, n_query, n_feat,
                  n_key, 1.0f, 0.0f);
}

void mdl_full_attention_forward(float *out, float *score, const float *q, const float *k,
                                const float *v, const mdl_full_attention_t *shape)
{
    int64_t ld_out = shape->n_head * shape->n_head_feat;
    for (int64_t image = 0; image < shape->n_image; image++) {
        int64_t query = image * shape->n_query, key = image * shape->n_key;
        for (int64_t head = 0; head < shape->n_head; head++) {
            int64_t at = head * shape->n_head_feat;
            attend(out + query * ld_out + at, score, q + query * shape->ld_q + at,
                   k + key * shape->ld_kv + at, v + key * shape->ld_kv + at, shape);
        }
    }
}
