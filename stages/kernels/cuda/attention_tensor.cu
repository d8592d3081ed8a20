#include "kernels/cuda/attention_tensor.cuh"
#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"

namespace mdl::engine
{

namespace tensor
{

/* The softmax of a warp's 16 queries so far, that of query r in lane r. */
struct running {
    float largest = -INFINITY, sum = 0.0f;
};

/* Turns the scores [ROWS] of query r of the warp into shares less a factor that is common to all
 * keys; row: [n_col], what was summed with the shares before, is brought to the same factor. */
__device__ inline void take_scores(running *now, int r, const float *scores, const bool seen[2],
                                   float scale, factor *shares, float *row, int n_col)
{
    int lane = (int)threadIdx.x % WARP;
    float score[2], share[2] = {0.0f, 0.0f}, shrink = 1.0f;
    for (int i = 0; i < 2; i++)
        score[i] = seen[i] ? scores[lane + i * WARP] * scale : -INFINITY;
    float before = __shfl_sync(0xffffffffu, now->largest, r);
    float largest = fmaxf(before, largest_of_warp(fmaxf(score[0], score[1])));
    if (largest > -INFINITY) {
        shrink = expf(before - largest);
        for (int i = 0; i < 2; i++)
            share[i] = expf(score[i] - largest);
    }
    float sum = sum_of_warp(share[0] + share[1]);
    if (lane == r) {
        now->sum = now->sum * shrink + sum;
        now->largest = largest;
    }
    for (int i = 0; i < 2; i++)
        shares[lane + i * WARP] = __float2bfloat16_rn(share[i]);
    for (int k = lane; k < n_col; k += WARP)
        row[k] *= shrink;
}

/* A warp's 16 queries. */
struct own_queries {
    int64_t first, end; /* positions: of the first one, and behind the last one of all */
    const factor *q;    /* [SIDE, LD<N>] */
    float *scores;      /* [SIDE, LD_SQUARE] for a tile of keys */
    factor *shares;     /* [SIDE, LD_SQUARE] */
    float *sums;        /* [SIDE, LD<N>] of shares times values so far */
    running now;
};

/* Takes the keys and values of a tile, from position key on. */
template <int N>
__device__ inline void take_tile(own_queries *own, const factor *k_tile, const factor *v_tile,
                                 const mdl_attention_t &shape, int64_t key)
{
    int lane = (int)threadIdx.x % WARP;
    multiply_heads<N>(own->scores, own->q, k_tile);
    __syncwarp();
    for (int r = 0; r < SIDE; r++) {
        int64_t query = own->first + r;
        bool there = query < own->end;
        bool seen[2] = {there && sees(shape, query, key + lane),
                        there && sees(shape, query, key + lane + WARP)};
        take_scores(&own->now, r, own->scores + r * LD_SQUARE, seen, shape.scale,
                    own->shares + r * LD_SQUARE, own->sums + r * LD<N>, N * SIDE);
    }
    __syncwarp();
    for (int n = 0; n < N; n++) {
        sum_t sum;
        wmma::load_matrix_sync(sum, own->sums + n * SIDE, LD<N>, wmma::mem_row_major);
        add_shares<N>(sum, own->shares, v_tile + n * SIDE);
        wmma::store_matrix_sync(own->sums + n * SIDE, sum, LD<N>, wmma::mem_row_major);
    }
}

/* out and log_sum: of the head, at position 0. */
template <int N>
__device__ inline void store_queries(float *out, int64_t ld_out, float *log_sum,
                                     const own_queries &own, int n_feat)
{
    int lane = (int)threadIdx.x % WARP;
    for (int r = 0; r < SIDE && own.first + r < own.end; r++) {
        float total = __shfl_sync(0xffffffffu, own.now.sum, r);
        float *y = out + (own.first + r) * ld_out;
        for (int i = lane; i < n_feat; i += WARP)
            y[i] = own.sums[r * LD<N> + i] / total;
        if (lane == r)
            log_sum[own.first + r] = own.now.largest + logf(own.now.sum);
    }
}

/* Block (x, y): head y, the queries first + x ROWS on. */
template <int N>
__global__ void attend(float *out, float *log_sum, const float *qkv, mdl_attention_t shape,
                       int64_t first, int64_t n_row, int64_t ld_log_sum)
{
    extern __shared__ __align__(128) unsigned char parts_of_block[];
    shared_parts parts = {parts_of_block};
    int n_feat = (int)shape.n_head_feat, own_row = (int)threadIdx.x / WARP * SIDE;
    int64_t head = blockIdx.y, kv_head = head / (shape.n_head / shape.n_kv_head);
    int64_t query = first + (int64_t)blockIdx.x * ROWS, end = first + n_row;
    int64_t last = query + ROWS < end ? query + ROWS : end;
    head_rows k = {qkv + (shape.n_head + kv_head) * n_feat, shape.ld_qkv};
    head_rows v = {k.at + shape.n_kv_head * n_feat, shape.ld_qkv};
    factor *q_tile = parts.take<factor>(HEAD_BYTES<N>), *k_tile = parts.take<factor>(HEAD_BYTES<N>);
    factor *v_tile = parts.take<factor>(HEAD_BYTES<N>);
    own_queries own;
    own.first = query + own_row;
    own.end = end;
    own.q = q_tile + own_row * LD<N>;
    own.scores = parts.take<float>(SCORE_BYTES) + own_row * LD_SQUARE;
    own.shares = parts.take<factor>(SHARE_BYTES) + own_row * LD_SQUARE;
    own.sums = parts.take<float>(2 * HEAD_BYTES<N>) + own_row * LD<N>;
    for (int i = (int)threadIdx.x % WARP; i < SIDE * LD<N>; i += WARP)
        own.sums[i] = 0.0f;
    load_rounded<N>(q_tile, {qkv + head * n_feat, shape.ld_qkv}, query, end, n_feat);
    for (int64_t key = first_seen(shape, query) / ROWS * ROWS; key < last; key += ROWS) {
        load_rounded<N>(k_tile, k, key, last, n_feat);
        load_rounded<N>(v_tile, v, key, last, n_feat);
        __syncthreads();
        take_tile<N>(&own, k_tile, v_tile, shape, key);
        __syncthreads();
    }
    store_queries<N>(out + head * n_feat, shape.n_head * n_feat, log_sum + head * ld_log_sum, own,
                     n_feat);
}

} // namespace tensor

void attention_forward_bfloat16(float *out, float *log_sum, float *scratch, const float *qkv,
                                const mdl_attention_t *shape, int64_t first, int64_t n_row,
                                int64_t ld_log_sum)
{
    using namespace tensor;
    auto *kernel = choose(shape->n_head_feat, tensor::attend<4>, tensor::attend<6>,
                          tensor::attend<8>, tensor::attend<16>);
    size_t n_shared = 5 * head_bytes(shape->n_head_feat) + SCORE_BYTES + SHARE_BYTES;
    if (kernel == nullptr || n_shared > current.n_shared) {
        attention_forward(out, log_sum, scratch, qkv, shape, first, n_row, ld_log_sum);
        return;
    }
    launch(__func__, dim3((unsigned)((n_row + ROWS - 1) / ROWS), (unsigned)shape->n_head), N_THREAD,
           n_shared, kernel, out, log_sum, qkv, *shape, first, n_row, ld_log_sum);
}

} // namespace mdl::engine
