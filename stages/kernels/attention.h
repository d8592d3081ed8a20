/* Causal grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245): n_head queries share
 * n_kv_head keys and values, n_head / n_kv_head each. */
#ifndef MDL_KERNELS_ATTENTION_H
#define MDL_KERNELS_ATTENTION_H

#include <stdint.h>

typedef struct {
    int64_t n_head, n_kv_head, n_head_feat;
    int64_t ld_qkv; /* (n_head + 2 * n_kv_head) * n_head_feat: a row holds q, k, v of a position */
    float scale;    /* of the scores, 1 / sqrt(n_head_feat) in most models */
    int64_t n_window;     /* a position sees so many, itself with them; 0: all up to it */
    const int32_t *begin; /* [n_row] the first position that each sees, never falling: where its
                             sequence begins, when several stand behind one another; NULL: 0 */
} mdl_attention_t;

/* Numbers of scratch that these functions need for up to n_row positions on the processor. */
int64_t mdl_attention_n_scratch(const mdl_attention_t *shape, int64_t n_row);

/* Attends from positions first .. first + n_row - 1 to all positions up to each, or to the last
 * n_window of them (Beltagy et al. 2020, arXiv 2004.05150, section 3.1), from begin on. What isn't
 * seen isn't computed, but for what shares a tile with something seen.
 * out [first + n_row, n_head * n_head_feat]: the n_row last rows are set.
 * log_sum [n_head, ld_log_sum]: log of the sum of exponentials of each position's scores.
 * scratch: mdl_attention_n_scratch(shape, first + n_row) numbers. qkv [first + n_row, ld_qkv]: q
 * and k are rotated; the rows before first are the cache of an earlier call. */
void mdl_attention_forward(float *out, float *log_sum, float *scratch, const float *qkv,
                           const mdl_attention_t *shape, int64_t first, int64_t n_row,
                           int64_t ld_log_sum);

/* mdl_attention_forward of n_row single positions, at [n_row] in any order; out and scratch as for
 * the last of them. */
void mdl_attention_each(float *out, float *log_sum, float *scratch, const float *qkv,
                        const mdl_attention_t *shape, const int32_t *at, int64_t n_row,
                        int64_t ld_log_sum);

/* dqkv [n_row, ld_qkv] is set to the gradient for qkv (rotated q and k), given dout and the
 * forward's out [n_row, n_head * n_head_feat], log_sum and qkv, for positions 0 .. n_row - 1.
 * scratch: mdl_attention_n_scratch(shape, n_row) numbers. */
void mdl_attention_backward(float *dqkv, float *scratch, const float *dout, const float *out,
                            const float *log_sum, const float *qkv, const mdl_attention_t *shape,
                            int64_t n_row, int64_t ld_log_sum);

#endif
