/* What the two backwards of attention share: the gradient for one score. */
#ifndef MDL_KERNELS_CUDA_ATTENTION_BACKWARD_CUH
#define MDL_KERNELS_CUDA_ATTENTION_BACKWARD_CUH

#include "kernels/cuda/attention.cuh"

namespace mdl::engine
{

/* What the backward reads of queries: all are [n_row, n_head n_head_feat] but log_sum and mean
 * [n_head, ld_log_sum or n_row]. */
struct backward_inputs {
    const float *qkv, *dout, *log_sum, *mean;
    int64_t n_row, ld_log_sum;
};

/* The probability of a key for a query from their product, and the gradient for their score from
 * that for the probability. */
__device__ inline void score_gradient(const backward_inputs &in, const mdl_attention_t &shape,
                                      int64_t head, int64_t query, int64_t key, float product,
                                      float dproduct, float *p, float *ds)
{
    *p = *ds = 0;
    if (query >= in.n_row || !sees(shape, query, key))
        return;
    *p = expf(product * shape.scale - in.log_sum[head * in.ld_log_sum + query]);
    *ds = *p * (dproduct - in.mean[head * in.n_row + query]) * shape.scale;
}

/* Whether query, or one behind it, may see a key of up to last_key: what one can't see, none behind
 * it can. */
__device__ inline bool reaches(const backward_inputs &in, const mdl_attention_t &shape,
                               int64_t query, int64_t last_key)
{
    return query < in.n_row && first_seen(shape, query) <= last_key;
}

/* mean [n_head, n_row]: dout times out of each query and head. */
void compute_means(float *mean, const float *dout, const float *out, const mdl_attention_t *shape,
                   int64_t n_row);

} // namespace mdl::engine

#endif
