#include "kernels/attention.h"

#include "kernels/clones.h"
#include "kernels/expf.h"
#include "kernels/matmul.h"

#include <math.h>   /* logf */
#include <string.h> /* memset */

/* First position that the one at position sees. */
static int64_t first_seen(const mdl_attention_t *shape, int64_t position)
{
    return shape->n_window > 0 && position >= shape->n_window ? position + 1 - shape->n_window : 0;
}

/* score [n_row, ld] -> probability; row i keeps the entries that position first + i sees, the
 * rest become 0. */
MDL_CLONES
static void softmax_causal(float *score, float *log_sum, const mdl_attention_t *shape,
                           int64_t first, int64_t n_row, int64_t ld)
{
    for (int64_t row = 0; row < n_row; row++) {
        int64_t begin = first_seen(shape, first + row), n_seen = first + row + 1 - begin;
        float *x = score + row * ld + begin;
        float max = x[0], sum = 0;
        for (int64_t i = 1; i < n_seen; i++)
            max = x[i] > max ? x[i] : max;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < n_seen; i++) {
            x[i] = mdl_expf(x[i] - max);
            sum += x[i];
        }
        for (int64_t i = 0; i < n_seen; i++)
            x[i] /= sum;
        memset(x - begin, 0, (size_t)begin * sizeof *x);
        memset(x + n_seen, 0, (size_t)(ld - begin - n_seen) * sizeof *x);
        log_sum[first + row] = max + logf(sum);
    }
}

int64_t mdl_attention_n_scratch(const mdl_attention_t *shape, int64_t n_row)
{
    (void)shape;
    return 2 * n_row * n_row; /* the scores of one head, and their gradient */
}

/* Where the sequence ends that begins at position begin, of n_row. */
static int64_t sequence_end(const mdl_attention_t *shape, int64_t begin, int64_t n_row)
{
    if (shape->begin == NULL)
        return n_row;
    int64_t end = begin + 1;
    while (end < n_row && shape->begin[end] == begin)
        end++;
    return end;
}

/* mdl_attention_forward of one sequence, whatever begin says. */
static void forward_sequence(float *out, float *log_sum, float *scratch, const float *qkv,
                             const mdl_attention_t *shape, int64_t first, int64_t n_row,
                             int64_t ld_log_sum)
{
    int64_t n_feat = shape->n_head_feat, ld = shape->ld_qkv, ld_out = shape->n_head * n_feat;
    int64_t n_seen = first + n_row;
    float scale = shape->scale;
    for (int64_t head = 0; head < shape->n_head; head++) {
        int64_t kv_head = head / (shape->n_head / shape->n_kv_head);
        const float *q = qkv + first * ld + head * n_feat;
        const float *k = qkv + (shape->n_head + kv_head) * n_feat;
        const float *v = k + shape->n_kv_head * n_feat;
        mdl_matmul_nt(scratch, n_seen, q, ld, k, ld, n_row, n_seen, n_feat, scale, 0.0f);
        softmax_causal(scratch, log_sum + head * ld_log_sum, shape, first, n_row, n_seen);
        mdl_matmul_nn(out + first * ld_out + head * n_feat, ld_out, scratch, n_seen, v, ld, n_row,
                      n_feat, n_seen, 1.0f, 0.0f);
    }
}

void mdl_attention_forward(float *out, float *log_sum, float *scratch, const float *qkv,
                           const mdl_attention_t *shape, int64_t first, int64_t n_row,
                           int64_t ld_log_sum)
{
    int64_t ld_out = shape->n_head * shape->n_head_feat, n_seen = first + n_row;
    for (int64_t row = first, end; row < n_seen; row = end) {
        int64_t begin = shape->begin != NULL ? shape->begin[row] : 0;
        end = sequence_end(shape, begin, n_seen);
        forward_sequence(out + begin * ld_out, log_sum + begin, scratch,
                         qkv + begin * shape->ld_qkv, shape, row - begin, end - row, ld_log_sum);
    }
}

/* Turns score [n_row, n_row] into the probabilities and dscore (the gradient for them) into the
 * gradient for the scores before the softmax. */
MDL_CLONES
static void softmax_causal_backward(float *score, float *dscore, const float *log_sum,
                                    const float *dout, const float *out,
                                    const mdl_attention_t *shape, int64_t n_row)
{
    int64_t n_feat = shape->n_head_feat, ld_out = shape->n_head * n_feat;
    for (int64_t row = 0; row < n_row; row++) {
        float *p = score + row * n_row;
        float *ds = dscore + row * n_row;
        const float *dy = dout + row * ld_out;
        const float *y = out + row * ld_out;
        float mean = 0;
#pragma omp simd reduction(+ : mean)
        for (int64_t i = 0; i < n_feat; i++)
            mean += dy[i] * y[i];
        int64_t begin = first_seen(shape, row);
        for (int64_t i = begin; i <= row; i++) {
            p[i] = mdl_expf(p[i] - log_sum[row]);
            ds[i] = p[i] * (ds[i] - mean);
        }
        size_t n_hidden = (size_t)(n_row - row - 1);
        memset(p, 0, (size_t)begin * sizeof *p);
        memset(ds, 0, (size_t)begin * sizeof *ds);
        memset(p + row + 1, 0, n_hidden * sizeof *p);
        memset(ds + row + 1, 0, n_hidden * sizeof *ds);
    }
}

/* mdl_attention_backward of one sequence, whatever begin says. */
static void backward_sequence(float *dqkv, float *scratch, const float *dout, const float *out,
                              const float *log_sum, const float *qkv, const mdl_attention_t *shape,
                              int64_t n_row, int64_t ld_log_sum)
{
    float *score = scratch, *dscore = scratch + n_row * n_row;
    int64_t n_feat = shape->n_head_feat, ld = shape->ld_qkv, ld_out = shape->n_head * n_feat;
    int64_t n_group = shape->n_head / shape->n_kv_head;
    float scale = shape->scale;
    for (int64_t head = 0; head < shape->n_head; head++) {
        int64_t kv_head = head / n_group;
        int64_t at_q = head * n_feat, at_k = (shape->n_head + kv_head) * n_feat;
        int64_t at_v = at_k + shape->n_kv_head * n_feat;
        const float *dy = dout + head * n_feat;
        float keep = head % n_group == 0 ? 0.0f : 1.0f;
        mdl_matmul_nt(score, n_row, qkv + at_q, ld, qkv + at_k, ld, n_row, n_row, n_feat, scale,
                      0.0f);
        mdl_matmul_nt(dscore, n_row, dy, ld_out, qkv + at_v, ld, n_row, n_row, n_feat, 1.0f, 0.0f);
        softmax_causal_backward(score, dscore, log_sum + head * ld_log_sum, dy, out + head * n_feat,
                                shape, n_row);
        mdl_matmul_tn(dqkv + at_v, ld, score, n_row, dy, ld_out, n_row, n_feat, n_row, 1.0f, keep);
        mdl_matmul_nn(dqkv + at_q, ld, dscore, n_row, qkv + at_k, ld, n_row, n_feat, n_row, scale,
                      0.0f);
        mdl_matmul_tn(dqkv + at_k, ld, dscore, n_row, qkv + at_q, ld, n_row, n_feat, n_row, scale,
                      keep);
    }
}

void mdl_attention_backward(float *dqkv, float *scratch, const float *dout, const float *out,
                            const float *log_sum, const float *qkv, const mdl_attention_t *shape,
                            int64_t n_row, int64_t ld_log_sum)
{
    int64_t ld = shape->ld_qkv, ld_out = shape->n_head * shape->n_head_feat;
    for (int64_t begin = 0, end; begin < n_row; begin = end) {
        end = sequence_end(shape, begin, n_row);
        backward_sequence(dqkv + begin * ld, scratch, dout + begin * ld_out, out + begin * ld_out,
                          log_sum + begin, qkv + begin * ld, shape, end - begin, ld_log_sum);
    }
}
