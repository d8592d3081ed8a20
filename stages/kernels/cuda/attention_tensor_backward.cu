#include "kernels/cuda/attention_backward.cuh"
#include "kernels/cuda/attention_tensor.cuh"
#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"

namespace mdl::engine
{

namespace tensor
{

/* The gradient for the queries. Block (x, y): head y, the queries x ROWS on. */
template <int N>
__global__ void query_gradient(float *dqkv, backward_inputs in, mdl_attention_t shape)
{
    extern __shared__ __align__(128) unsigned char parts_of_block[];
    shared_parts parts = {parts_of_block};
    int n_feat = (int)shape.n_head_feat, lane = (int)threadIdx.x % WARP;
    int own_row = (int)threadIdx.x / WARP * SIDE;
    int64_t head = blockIdx.y, kv_head = head / (shape.n_head / shape.n_kv_head);
    int64_t query = (int64_t)blockIdx.x * ROWS, own = query + own_row;
    int64_t last = query + ROWS < in.n_row ? query + ROWS : in.n_row;
    head_rows k = {in.qkv + (shape.n_head + kv_head) * n_feat, shape.ld_qkv};
    head_rows v = {k.at + shape.n_kv_head * n_feat, shape.ld_qkv};
    factor *q_tile = parts.take<factor>(HEAD_BYTES<N>),
           *dy_tile = parts.take<factor>(HEAD_BYTES<N>);
    factor *k_tile = parts.take<factor>(HEAD_BYTES<N>), *v_tile = parts.take<factor>(HEAD_BYTES<N>);
    float *product = parts.take<float>(SCORE_BYTES) + own_row * LD_SQUARE;
    float *dproduct = parts.take<float>(SCORE_BYTES) + own_row * LD_SQUARE;
    factor *ds = parts.take<factor>(SHARE_BYTES) + own_row * LD_SQUARE;
    sum_t dq[N];
    for (int n = 0; n < N; n++)
        wmma::fill_fragment(dq[n], 0.0f);
    load_rounded<N>(q_tile, {in.qkv + head * n_feat, shape.ld_qkv}, query, in.n_row, n_feat);
    load_rounded<N>(dy_tile, {in.dout + head * n_feat, shape.n_head * n_feat}, query, in.n_row,
                    n_feat);
    for (int64_t key = first_seen(shape, query) / ROWS * ROWS; key < last; key += ROWS) {
        load_rounded<N>(k_tile, k, key, last, n_feat);
        load_rounded<N>(v_tile, v, key, last, n_feat);
        __syncthreads();
        multiply_heads<N>(product, q_tile + own_row * LD<N>, k_tile);
        multiply_heads<N>(dproduct, dy_tile + own_row * LD<N>, v_tile);
        __syncwarp();
        for (int i = lane; i < SIDE * ROWS; i += WARP) {
            int row = i / ROWS, at = row * LD_SQUARE + i % ROWS;
            float p, slope;
            score_gradient(in, shape, head, own + row, key + i % ROWS, product[at], dproduct[at],
                           &p, &slope);
            ds[at] = __float2bfloat16_rn(slope);
        }
        __syncwarp();
        for (int n = 0; n < N; n++)
            add_shares<N>(dq[n], ds, k_tile + n * SIDE);
        __syncthreads();
    }
    store_sums<N>(dqkv + head * n_feat, shape.ld_qkv, dq, product, own, in.n_row, n_feat);
}

/* The gradients for keys and values, over all queries and heads that see them. Block (x, y):
 * key-value head y, the keys x ROWS on. */
template <int N>
__global__ void key_gradient(float *dqkv, backward_inputs in, mdl_attention_t shape)
{
    extern __shared__ __align__(128) unsigned char parts_of_block[];
    shared_parts parts = {parts_of_block};
    int n_feat = (int)shape.n_head_feat, lane = (int)threadIdx.x % WARP;
    int own_row = (int)threadIdx.x / WARP * SIDE;
    int64_t kv_head = blockIdx.y, n_group = shape.n_head / shape.n_kv_head;
    int64_t key = (int64_t)blockIdx.x * ROWS, own = key + own_row;
    int64_t at_k = (shape.n_head + kv_head) * n_feat, at_v = at_k + shape.n_kv_head * n_feat;
    factor *k_tile = parts.take<factor>(HEAD_BYTES<N>), *v_tile = parts.take<factor>(HEAD_BYTES<N>);
    factor *q_tile = parts.take<factor>(HEAD_BYTES<N>),
           *dy_tile = parts.take<factor>(HEAD_BYTES<N>);
    float *product = parts.take<float>(SCORE_BYTES) + own_row * LD_SQUARE;
    float *dproduct = parts.take<float>(SCORE_BYTES) + own_row * LD_SQUARE;
    factor *p = parts.take<factor>(SHARE_BYTES) + own_row * LD_SQUARE;
    factor *ds = parts.take<factor>(SHARE_BYTES) + own_row * LD_SQUARE;
    sum_t dk[N], dv[N];
    for (int n = 0; n < N; n++) {
        wmma::fill_fragment(dk[n], 0.0f);
        wmma::fill_fragment(dv[n], 0.0f);
    }
    load_rounded<N>(k_tile, {in.qkv + at_k, shape.ld_qkv}, key, in.n_row, n_feat);
    load_rounded<N>(v_tile, {in.qkv + at_v, shape.ld_qkv}, key, in.n_row, n_feat);
    for (int64_t head = kv_head * n_group; head < (kv_head + 1) * n_group; head++) {
        head_rows q = {in.qkv + head * n_feat, shape.ld_qkv};
        head_rows dy = {in.dout + head * n_feat, shape.n_head * n_feat};
        for (int64_t query = key; reaches(in, shape, query, key + ROWS - 1); query += ROWS) {
            load_rounded<N>(q_tile, q, query, in.n_row, n_feat);
            load_rounded<N>(dy_tile, dy, query, in.n_row, n_feat);
            __syncthreads();
            multiply_heads<N>(product, k_tile + own_row * LD<N>, q_tile);
            multiply_heads<N>(dproduct, v_tile + own_row * LD<N>, dy_tile);
            __syncwarp();
            for (int i = lane; i < SIDE * ROWS; i += WARP) {
                int row = i / ROWS, at = row * LD_SQUARE + i % ROWS;
                float share, slope;
                score_gradient(in, shape, head, query + i % ROWS, own + row, product[at],
                               dproduct[at], &share, &slope);
                p[at] = __float2bfloat16_rn(share);
                ds[at] = __float2bfloat16_rn(slope);
            }
            __syncwarp();
            for (int n = 0; n < N; n++) {
                add_shares<N>(dv[n], p, dy_tile + n * SIDE);
                add_shares<N>(dk[n], ds, q_tile + n * SIDE);
            }
            __syncthreads();
        }
    }
    store_sums<N>(dqkv + at_k, shape.ld_qkv, dk, product, own, in.n_row, n_feat);
    store_sums<N>(dqkv + at_v, shape.ld_qkv, dv, product, own, in.n_row, n_feat);
}

} // namespace tensor

void attention_backward_bfloat16(float *dqkv, float *scratch, const float *dout, const float *out,
                                 const float *log_sum, const float *qkv,
                                 const mdl_attention_t *shape, int64_t n_row, int64_t ld_log_sum)
{
    using namespace tensor;
    int64_t n_feat = shape->n_head_feat;
    backward_inputs in = {qkv, dout, log_sum, scratch, n_row, ld_log_sum};
    unsigned n_tile = (unsigned)((n_row + ROWS - 1) / ROWS);
    size_t n_shared = 4 * head_bytes(n_feat) + 2 * SCORE_BYTES + 2 * SHARE_BYTES;
    auto *for_queries = choose(n_feat, tensor::query_gradient<4>, tensor::query_gradient<6>,
                               tensor::query_gradient<8>, tensor::query_gradient<16>);
    auto *for_keys = choose(n_feat, tensor::key_gradient<4>, tensor::key_gradient<6>,
                            tensor::key_gradient<8>, tensor::key_gradient<16>);
    if (for_keys == nullptr || n_shared > current.n_shared) {
        attention_backward(dqkv, scratch, dout, out, log_sum, qkv, shape, n_row, ld_log_sum);
        return;
    }
    compute_means(scratch, dout, out, shape, n_row);
    launch(__func__, dim3(n_tile, (unsigned)shape->n_head), N_THREAD, n_shared, for_queries, dqkv,
           in, *shape);
    launch(__func__, dim3(n_tile, (unsigned)shape->n_kv_head), N_THREAD, n_shared, for_keys, dqkv,
           in, *shape);
}

} // namespace mdl::engine
