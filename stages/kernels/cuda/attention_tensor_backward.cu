#include "kernels/cuda/attention_backward.cuh"
#include "kernels/cuda/attention_tensor.cuh"
#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"

namespace mdl::engine
{

namespace tensor
{

/* A warp's 16 rows (queries or keys) by a tile of the other side. */
struct own_scores {
    float *product, *dproduct; /* [SIDE, LD_SQUARE] */
    factor *p, *ds;            /* [SIDE, LD_SQUARE] */
};

/* The warp's part of room for the block's rows. */
__device__ inline own_scores take_scores(shared_parts *parts, int own_row)
{
    own_scores scores;
    scores.product = parts->take<float>(SCORE_BYTES) + own_row * LD_SQUARE;
    scores.dproduct = parts->take<float>(SCORE_BYTES) + own_row * LD_SQUARE;
    scores.p = parts->take<factor>(SHARE_BYTES) + own_row * LD_SQUARE;
    scores.ds = parts->take<factor>(SHARE_BYTES) + own_row * LD_SQUARE;
    return scores;
}

/* p and ds from q k' and dout v'. own: position of the warp's first row, a key where own_is_key;
 * other: of the tile's first row. */
template <bool own_is_key>
__device__ inline void differentiate(own_scores *scores, const backward_inputs &in,
                                     const mdl_attention_t &shape, int64_t head, int64_t own,
                                     int64_t other)
{
    __syncwarp();
    for (int i = (int)threadIdx.x % WARP; i < SIDE * ROWS; i += WARP) {
        int at = i / ROWS * LD_SQUARE + i % ROWS;
        int64_t mine = own + i / ROWS, theirs = other + i % ROWS;
        float p, ds;
        score_gradient(in, shape, head, own_is_key ? theirs : mine, own_is_key ? mine : theirs,
                       scores->product[at], scores->dproduct[at], &p, &ds);
        if (own_is_key)
            scores->p[at] = __float2bfloat16_rn(p);
        scores->ds[at] = __float2bfloat16_rn(ds);
    }
    __syncwarp();
}

template <int N> __device__ inline void clear(sum_t sums[N])
{
    for (int n = 0; n < N; n++)
        wmma::fill_fragment(sums[n], 0.0f);
}

/* The gradient for the queries. Block (x, y): head y, the queries x ROWS on. */
template <int N>
__global__ void query_gradient(float *dqkv, backward_inputs in, mdl_attention_t shape)
{
    extern __shared__ __align__(128) unsigned char parts_of_block[];
    shared_parts parts = {parts_of_block};
    int n_feat = (int)shape.n_head_feat, own_row = (int)threadIdx.x / WARP * SIDE;
    int64_t head = blockIdx.y, kv_head = head / (shape.n_head / shape.n_kv_head);
    int64_t query = (int64_t)blockIdx.x * ROWS, own = query + own_row;
    int64_t last = query + ROWS < in.n_row ? query + ROWS : in.n_row;
    head_rows q = {in.qkv + head * n_feat, shape.ld_qkv};
    head_rows dy = {in.dout + head * n_feat, shape.n_head * n_feat};
    head_rows k = {in.qkv + (shape.n_head + kv_head) * n_feat, shape.ld_qkv};
    head_rows v = {k.at + shape.n_kv_head * n_feat, shape.ld_qkv};
    factor *q_tile = parts.take<factor>(HEAD_BYTES<N>);
    factor *dy_tile = parts.take<factor>(HEAD_BYTES<N>);
    factor *k_tile = parts.take<factor>(HEAD_BYTES<N>), *v_tile = parts.take<factor>(HEAD_BYTES<N>);
    own_scores scores = take_scores(&parts, own_row);
    sum_t dq[N];
    clear<N>(dq);
    load_rounded<N>(q_tile, q, query, in.n_row, n_feat);
    load_rounded<N>(dy_tile, dy, query, in.n_row, n_feat);
    for (int64_t key = first_seen(shape, query) / ROWS * ROWS; key < last; key += ROWS) {
        load_rounded<N>(k_tile, k, key, last, n_feat);
        load_rounded<N>(v_tile, v, key, last, n_feat);
        __syncthreads();
        multiply_heads<N>(scores.product, q_tile + own_row * LD<N>, k_tile);
        multiply_heads<N>(scores.dproduct, dy_tile + own_row * LD<N>, v_tile);
        differentiate<false>(&scores, in, shape, head, own, key);
        for (int n = 0; n < N; n++)
            add_shares<N>(dq[n], scores.ds, k_tile + n * SIDE);
        __syncthreads();
    }
    store_sums<N>(dqkv + head * n_feat, shape.ld_qkv, dq, scores.product, own, in.n_row, n_feat);
}

/* The gradients for keys and values, over all queries and heads that see them. Block (x, y):
 * key-value head y, the keys x ROWS on. */
template <int N>
__global__ void key_gradient(float *dqkv, backward_inputs in, mdl_attention_t shape)
{
    extern __shared__ __align__(128) unsigned char parts_of_block[];
    shared_parts parts = {parts_of_block};
    int n_feat = (int)shape.n_head_feat, own_row = (int)threadIdx.x / WARP * SIDE;
    int64_t kv_head = blockIdx.y, n_group = shape.n_head / shape.n_kv_head;
    int64_t key = (int64_t)blockIdx.x * ROWS, own = key + own_row;
    int64_t at_k = (shape.n_head + kv_head) * n_feat, at_v = at_k + shape.n_kv_head * n_feat;
    factor *k_tile = parts.take<factor>(HEAD_BYTES<N>), *v_tile = parts.take<factor>(HEAD_BYTES<N>);
    factor *q_tile = parts.take<factor>(HEAD_BYTES<N>);
    factor *dy_tile = parts.take<factor>(HEAD_BYTES<N>);
    own_scores scores = take_scores(&parts, own_row);
    sum_t dk[N], dv[N];
    clear<N>(dk);
    clear<N>(dv);
    load_rounded<N>(k_tile, {in.qkv + at_k, shape.ld_qkv}, key, in.n_row, n_feat);
    load_rounded<N>(v_tile, {in.qkv + at_v, shape.ld_qkv}, key, in.n_row, n_feat);
    for (int64_t head = kv_head * n_group; head < (kv_head + 1) * n_group; head++) {
        head_rows q = {in.qkv + head * n_feat, shape.ld_qkv};
        head_rows dy = {in.dout + head * n_feat, shape.n_head * n_feat};
        for (int64_t query = key; reaches(in, shape, query, key + ROWS - 1); query += ROWS) {
            load_rounded<N>(q_tile, q, query, in.n_row, n_feat);
            load_rounded<N>(dy_tile, dy, query, in.n_row, n_feat);
            __syncthreads();
            multiply_heads<N>(scores.product, k_tile + own_row * LD<N>, q_tile);
            multiply_heads<N>(scores.dproduct, v_tile + own_row * LD<N>, dy_tile);
            differentiate<true>(&scores, in, shape, head, own, query);
            for (int n = 0; n < N; n++) {
                add_shares<N>(dv[n], scores.p, dy_tile + n * SIDE);
                add_shares<N>(dk[n], scores.ds, q_tile + n * SIDE);
            }
            __syncthreads();
        }
    }
    store_sums<N>(dqkv + at_k, shape.ld_qkv, dk, scores.product, own, in.n_row, n_feat);
    store_sums<N>(dqkv + at_v, shape.ld_qkv, dv, scores.product, own, in.n_row, n_feat);
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
