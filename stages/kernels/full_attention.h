/* Attention of every query to every key (Vaswani et al. 2017, arXiv 1706.03762, equation 1). */
#ifndef MDL_KERNELS_FULL_ATTENTION_H
#define MDL_KERNELS_FULL_ATTENTION_H

#include <stdint.h>

/* out [n_query, n_head * n_head_feat] = softmax(q k' / sqrt(n_head_feat)) v, head by head, with
 * q [n_query, n_head * n_head_feat] in rows that are ld_q apart and k, v
 * [n_key, n_head * n_head_feat] in rows that are ld_kv apart. score: scratch of n_query * n_key. */
void mdl_full_attention_forward(float *out, float *score, const float *q, int64_t ld_q,
                                const float *k, const float *v, int64_t ld_kv, int64_t n_head,
                                int64_t n_head_feat, int64_t n_query, int64_t n_key);

#endif
