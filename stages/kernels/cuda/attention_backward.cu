#include "kernels/cuda/attention_backward.cuh"
#include "kernels/cuda/operations.h"

namespace mdl::engine
{

/* mean [n_head, n_row]: dout times out of each query and head. A warp for each. */
__global__ void output_means(float *mean, const float *dout, const float *out, int64_t n_row,
                             int64_t n_head, int64_t n_feat)
{
    int64_t number = (int64_t)blockIdx.x * WARPS + threadIdx.x / WARP;
    int64_t row = number / n_head, head = number % n_head;
    if (row >= n_row)
        return;
    float sum = 0;
    for (int64_t i = threadIdx.x % WARP; i < n_feat; i += WARP)
        sum += dout[number * n_feat + i] * out[number * n_feat + i];
    sum = sum_of_warp(sum);
    if (threadIdx.x % WARP == 0)
        mean[head * n_row + row] = sum;
}

template <int N_COL>
__device__ inline void store_rows(float *rows, int64_t ld, const float sums[OWN][N_COL],
                                  int64_t own, int64_t n_row, int n_feat)
{
    int lane = (int)threadIdx.x % WARP;
    for (int r = 0; r < OWN; r++)
        for (int c = 0; c < N_COL; c++)
            if (own + r < n_row && lane + c * WARP < n_feat)
                rows[(own + r) * ld + lane + c * WARP] = sums[r][c];
}

/* The gradient for the queries. Block (x, y): head y, the queries x TILE on. */
template <int N_COL>
__global__ void query_gradient(float *dqkv, backward_inputs in, mdl_attention_t shape)
{
    extern __shared__ float tiles[];
    int n_feat = (int)shape.n_head_feat, ld_key = n_feat + 1;
    int64_t head = blockIdx.y, kv_head = head / (shape.n_head / shape.n_kv_head);
    int64_t query = (int64_t)blockIdx.x * TILE, own = query + threadIdx.x / WARP * OWN;
    int64_t last = query + TILE < in.n_row ? query + TILE : in.n_row;
    head_rows q = {in.qkv + head * n_feat, shape.ld_qkv};
    head_rows dy = {in.dout + head * n_feat, shape.n_head * n_feat};
    head_rows k = {in.qkv + (shape.n_head + kv_head) * n_feat, shape.ld_qkv};
    head_rows v = {k.at + shape.n_kv_head * n_feat, shape.ld_qkv};
    float *q_tile = tiles, *dy_tile = q_tile + TILE * n_feat, *k_tile = dy_tile + TILE * n_feat;
    float *v_tile = k_tile + TILE * ld_key;
    float dq[OWN][N_COL] = {}, product[OWN], ds[OWN], p;
    load_tile(q_tile, n_feat, q, query, in.n_row, n_feat);
    load_tile(dy_tile, n_feat, dy, query, in.n_row, n_feat);
    for (int64_t key = first_seen(shape, query) / TILE * TILE; key < last; key += TILE) {
        load_tile(k_tile, ld_key, k, key, last, n_feat);
        load_tile(v_tile, ld_key, v, key, last, n_feat);
        __syncthreads();
        multiply_rows(product, q_tile, k_tile, ld_key, n_feat);
        multiply_rows(ds, dy_tile, v_tile, ld_key, n_feat);
        for (int r = 0; r < OWN; r++)
            score_gradient(in, shape, head, own + r, key + threadIdx.x % WARP, product[r], ds[r],
                           &p, &ds[r]);
        add_rows<N_COL>(dq, ds, k_tile, ld_key, n_feat);
        __syncthreads();
    }
    store_rows<N_COL>(dqkv + head * n_feat, shape.ld_qkv, dq, own, in.n_row, n_feat);
}

/* The gradients for keys and values, over all queries and heads that see them. Block (x, y):
 * key-value head y, the keys x TILE on. */
template <int N_COL>
__global__ void key_gradient(float *dqkv, backward_inputs in, mdl_attention_t shape)
{
    extern __shared__ float tiles[];
    int n_feat = (int)shape.n_head_feat, ld_query = n_feat + 1;
    int64_t kv_head = blockIdx.y, n_group = shape.n_head / shape.n_kv_head;
    int64_t key = (int64_t)blockIdx.x * TILE, own = key + threadIdx.x / WARP * OWN;
    int64_t at_k = (shape.n_head + kv_head) * n_feat, at_v = at_k + shape.n_kv_head * n_feat;
    float *k_tile = tiles, *v_tile = k_tile + TILE * n_feat, *q_tile = v_tile + TILE * n_feat;
    float *dy_tile = q_tile + TILE * ld_query;
    float dk[OWN][N_COL] = {}, dv[OWN][N_COL] = {}, p[OWN], ds[OWN];
    load_tile(k_tile, n_feat, {in.qkv + at_k, shape.ld_qkv}, key, in.n_row, n_feat);
    load_tile(v_tile, n_feat, {in.qkv + at_v, shape.ld_qkv}, key, in.n_row, n_feat);
    for (int64_t head = kv_head * n_group; head < (kv_head + 1) * n_group; head++) {
        head_rows q = {in.qkv + head * n_feat, shape.ld_qkv};
        head_rows dy = {in.dout + head * n_feat, shape.n_head * n_feat};
        for (int64_t query = key; reaches(in, shape, query, key + TILE - 1); query += TILE) {
            load_tile(q_tile, ld_query, q, query, in.n_row, n_feat);
            load_tile(dy_tile, ld_query, dy, query, in.n_row, n_feat);
            __syncthreads();
            multiply_rows(p, k_tile, q_tile, ld_query, n_feat);
            multiply_rows(ds, v_tile, dy_tile, ld_query, n_feat);
            for (int r = 0; r < OWN; r++)
                score_gradient(in, shape, head, query + threadIdx.x % WARP, own + r, p[r], ds[r],
                               &p[r], &ds[r]);
            add_rows<N_COL>(dv, p, dy_tile, ld_query, n_feat);
            add_rows<N_COL>(dk, ds, q_tile, ld_query, n_feat);
            __syncthreads();
        }
    }
    store_rows<N_COL>(dqkv + at_k, shape.ld_qkv, dk, own, in.n_row, n_feat);
    store_rows<N_COL>(dqkv + at_v, shape.ld_qkv, dv, own, in.n_row, n_feat);
}

void compute_means(float *mean, const float *dout, const float *out, const mdl_attention_t *shape,
                   int64_t n_row)
{
    launch(__func__, dim3((unsigned)((n_row * shape->n_head + WARPS - 1) / WARPS)), THREADS, 0,
           output_means, mean, dout, out, n_row, shape->n_head, shape->n_head_feat);
}

void attention_backward(float *dqkv, float *scratch, const float *dout, const float *out,
                        const float *log_sum, const float *qkv, const mdl_attention_t *shape,
                        int64_t n_row, int64_t ld_log_sum)
{
    backward_inputs in = {qkv, dout, log_sum, scratch, n_row, ld_log_sum};
    unsigned n_tile = (unsigned)((n_row + TILE - 1) / TILE);
    size_t n_shared = (size_t)(TILE * (4 * shape->n_head_feat + 2)) * sizeof(float);
    auto *for_queries = choose_kernel(shape->n_head_feat, query_gradient<1>, query_gradient<2>,
                                      query_gradient<3>, query_gradient<4>, query_gradient<8>);
    auto *for_keys = choose_kernel(shape->n_head_feat, key_gradient<1>, key_gradient<2>,
                                   key_gradient<3>, key_gradient<4>, key_gradient<8>);
    if (for_keys == nullptr) {
        keep_failure(__func__, "heads of more than 256 features");
        return;
    }
    compute_means(scratch, dout, out, shape, n_row);
    launch(__func__, dim3(n_tile, (unsigned)shape->n_head), THREADS, n_shared, for_queries, dqkv,
           in, *shape);
    launch(__func__, dim3(n_tile, (unsigned)shape->n_kv_head), THREADS, n_shared, for_keys, dqkv,
           in, *shape);
}

} // namespace mdl::engine
