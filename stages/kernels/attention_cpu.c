#include "kernels/attention.h"

#include "kernels/clones.h"
#include "kernels/expf.h"
#include "kernels/matmul.h"

#include <math.h>   /* logf */
#include <string.h> /* memset */

/* Queries whose scores are held at a time: few enough that most keys behind them aren't computed in
 * vain, enough for products of some size. */
enum { BLOCK_ROW = 128 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* First position that the one at position sees. */
static int64_t first_seen(const mdl_attention_t *shape, int64_t position)
{
    return shape->n_window > 0 && position >= shape->n_window ? position + 1 - shape->n_window : 0;
}

/* score [n_row, ld], of the queries first .. and the keys first_key .. -> probability; a row keeps
 * the entries that its query sees, the rest become 0. */
MDL_CLONES
static void softmax_causal(float *score, float *log_sum, const mdl_attention_t *shape,
                           int64_t first, int64_t first_key, int64_t n_row, int64_t ld)
{
    for (int64_t row = 0; row < n_row; row++) {
        int64_t begin = first_seen(shape, first + row) - first_key;
        int64_t n_seen = first + row + 1 - first_key - begin;
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
    return 2 * least(n_row, BLOCK_ROW) * n_row; /* the scores of a block, and their gradient */
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

/* The n_row queries from position first of one head. */
static void forward_block(float *out, float *log_sum, float *score, const float *q, const float *k,
                          const float *v, const mdl_attention_t *shape, int64_t first,
                          int64_t n_row)
{
    int64_t n_feat = shape->n_head_feat, ld = shape->ld_qkv, ld_out = shape->n_head * n_feat;
    int64_t first_key = first_seen(shape, first), n_key = first + n_row - first_key;
    mdl_matmul_nt(score, n_key, q + first * ld, ld, k + first_key * ld, ld, n_row, n_key, n_feat,
                  shape->scale, 0.0f);
    softmax_causal(score, log_sum, shape, first, first_key, n_row, n_key);
    mdl_matmul_nn(out + first * ld_out, ld_out, score, n_key, v + first_key * ld, ld, n_row, n_feat,
                  n_key, 1.0f, 0.0f);
}

/* mdl_attention_forward of one sequence, whatever begin says. */
static void forward_sequence(float *out, float *log_sum, float *scratch, const float *qkv,
                             const mdl_attention_t *shape, int64_t first, int64_t n_row,
                             int64_t ld_log_sum)
{
    int64_t n_feat = shape->n_head_feat, end = first + n_row;
    for (int64_t head = 0; head < shape->n_head; head++) {
        int64_t kv_head = head / (shape->n_head / shape->n_kv_head);
        const float *k = qkv + (shape->n_head + kv_head) * n_feat;
        const float *v = k + shape->n_kv_head * n_feat;
        for (int64_t row = first; row < end; row += BLOCK_ROW)
            forward_block(out + head * n_feat, log_sum + head * ld_log_sum, scratch,
                          qkv + head * n_feat, k, v, shape, row, least(BLOCK_ROW, end - row));
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

void mdl_attention_each(float *out, float *log_sum, float *scratch, const float *qkv,
                        const mdl_attention_t *shape, const int32_t *at, int64_t n_row,
                        int64_t ld_log_sum)
{
    for (int64_t i = 0; i < n_row; i++)
        mdl_attention_forward(out, log_sum, scratch, qkv, shape, at[i], 1, ld_log_sum);
}

/* Turns score, as in softmax_causal, into the probabilities and dscore (the gradient for them) into
 * the gradient for the scores before the softmax. dout, out, log_sum: of position 0. */
MDL_CLONES
static void softmax_causal_backward(float *score, float *dscore, const float *log_sum,
                                    const float *dout, const float *out,
                                    const mdl_attention_t *shape, int64_t first, int64_t first_key,
                                    int64_t n_row, int64_t ld)
{
    int64_t n_feat = shape->n_head_feat, ld_out = shape->n_head * n_feat;
    for (int64_t row = 0; row < n_row; row++) {
        int64_t position = first + row, last = position - first_key;
        float *p = score + row * ld;
        float *ds = dscore + row * ld;
        const float *dy = dout + position * ld_out;
        const float *y = out + position * ld_out;
        float mean = 0;
#pragma omp simd reduction(+ : mean)
        for (int64_t i = 0; i < n_feat; i++)
            mean += dy[i] * y[i];
        int64_t begin = first_seen(shape, position) - first_key;
        for (int64_t i = begin; i <= last; i++) {
            p[i] = mdl_expf(p[i] - log_sum[position]);
            ds[i] = p[i] * (ds[i] - mean);
        }
        size_t n_hidden = (size_t)(ld - last - 1);
        memset(p, 0, (size_t)begin * sizeof *p);
        memset(ds, 0, (size_t)begin * sizeof *ds);
        memset(p + last + 1, 0, n_hidden * sizeof *p);
        memset(ds + last + 1, 0, n_hidden * sizeof *ds);
    }
}

/* Sets the gradient for the n_row queries from position first of one head and adds to those for the
 * keys and values that they see. */
static void backward_block(float *dqkv, float *scratch, const float *dout, const float *out,
                           const float *log_sum, const float *qkv, const mdl_attention_t *shape,
                           int64_t head, int64_t first, int64_t n_row)
{
    int64_t n_feat = shape->n_head_feat, ld = shape->ld_qkv, ld_out = shape->n_head * n_feat;
    int64_t kv_head = head / (shape->n_head / shape->n_kv_head);
    int64_t first_key = first_seen(shape, first), n_key = first + n_row - first_key;
    int64_t at_q = first * ld + head * n_feat;
    int64_t at_k = first_key * ld + (shape->n_head + kv_head) * n_feat;
    int64_t at_v = at_k + shape->n_kv_head * n_feat;
    const float *dy = dout + first * ld_out;
    float *score = scratch, *dscore = scratch + n_row * n_key;
    mdl_matmul_nt(score, n_key, qkv + at_q, ld, qkv + at_k, ld, n_row, n_key, n_feat, shape->scale,
                  0.0f);
    mdl_matmul_nt(dscore, n_key, dy, ld_out, qkv + at_v, ld, n_row, n_key, n_feat, 1.0f, 0.0f);
    softmax_causal_backward(score, dscore, log_sum, dout, out, shape, first, first_key, n_row,
                            n_key);
    mdl_matmul_tn(dqkv + at_v, ld, score, n_key, dy, ld_out, n_key, n_feat, n_row, 1.0f, 1.0f);
    mdl_matmul_nn(dqkv + at_q, ld, dscore, n_key, qkv + at_k, ld, n_row, n_feat, n_key,
                  shape->scale, 0.0f);
    mdl_matmul_tn(dqkv + at_k, ld, dscore, n_key, qkv + at_q, ld, n_key, n_feat, n_row,
                  shape->scale, 1.0f);
}

/* mdl_attention_backward of one sequence, whatever begin says. */
static void backward_sequence(float *dqkv, float *scratch, const float *dout, const float *out,
                              const float *log_sum, const float *qkv, const mdl_attention_t *shape,
                              int64_t n_row, int64_t ld_log_sum)
{
    int64_t n_feat = shape->n_head_feat, n_query = shape->n_head * n_feat;
    for (int64_t row = 0; row < n_row; row++) /* for keys and values */
        memset(dqkv + row * shape->ld_qkv + n_query, 0,
               (size_t)(shape->ld_qkv - n_query) * sizeof *dqkv);
    for (int64_t head = 0; head < shape->n_head; head++)
        for (int64_t row = 0; row < n_row; row += BLOCK_ROW)
            backward_block(dqkv, scratch, dout + head * n_feat, out + head * n_feat,
                           log_sum + head * ld_log_sum, qkv, shape, head, row,
                           least(BLOCK_ROW, n_row - row));
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
