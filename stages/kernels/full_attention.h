/* Attention of every query to every key (Vaswani et al. 2017, arXiv 1706.03762, equation 1). */
#ifndef MDL_KERNELS_FULL_ATTENTION_H
#define MDL_KERNELS_FULL_ATTENTION_H

#include <stdint.h>

typedef struct {
    int64_t n_image, n_query, n_key; /* queries and keys of an image */
    int64_t n_head, n_head_feat;
    int64_t ld_q, ld_kv; /* from one row to the next */
} mdl_full_attention_t;

/* out [n_image, n_query, n_head * n_head_feat] = softmax(q k' / sqrt(n_head_feat)) v, image by
 * image and head by head, with q [n_image, n_query, n_head * n_head_feat] in rows that are ld_q
 * apart and k, v [n_image, n_key, n_head * n_head_feat] in rows that are ld_kv apart. score:
 * scratch of n_query * n_key. */
void mdl_full_attention_forward(float *out, float *score, const float *q, const float *k,
                                const float *v, const mdl_full_attention_t *shape);

#endif
