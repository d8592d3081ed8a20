#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/operations.h"

namespace mdl::engine
{

/* Block (x, y): head y, the queries first + x TILE on, or the query at[x] alone. */
template <int N_COL>
__global__ void attend(float *out, float *log_sum, const float *qkv, mdl_attention_t shape,
                       const int32_t *at, int64_t first, int64_t n_row, int64_t ld_log_sum)
{
    extern __shared__ float tiles[];
    int n_feat = (int)shape.n_head_feat, lane = (int)threadIdx.x % WARP, ld_key = n_feat + 1;
    int64_t head = blockIdx.y, kv_head = head / (shape.n_head / shape.n_kv_head);
    int64_t query = at != nullptr ? at[blockIdx.x] : first + (int64_t)blockIdx.x * TILE;
    int64_t end = at != nullptr ? query + 1 : first + n_row;
    int64_t own = query + threadIdx.x / WARP * OWN;
    int64_t last = query + TILE < end ? query + TILE : end; /* of the queries, less one */
    head_rows q = {qkv + head * n_feat, shape.ld_qkv};
    head_rows k = {qkv + (shape.n_head + kv_head) * n_feat, shape.ld_qkv};
    head_rows v = {k.at + shape.n_kv_head * n_feat, shape.ld_qkv};
    float *q_tile = tiles, *k_tile = q_tile + TILE * n_feat, *v_tile = k_tile + TILE * ld_key;
    running now[OWN];
    float sums[OWN][N_COL] = {}, scores[OWN];
    for (int r = 0; r < OWN; r++)
        now[r] = {-INFINITY, 0.0f};
    load_tile(q_tile, n_feat, q, query, end, n_feat);
    for (int64_t key = first_seen(shape, query) / TILE * TILE; key < last; key += TILE) {
        load_tile(k_tile, ld_key, k, key, last, n_feat);
        load_tile(v_tile, n_feat, v, key, last, n_feat);
        __syncthreads();
        if (own < end) { /* the others only load */
            multiply_rows(scores, q_tile, k_tile, ld_key, n_feat);
            for (int r = 0; r < OWN; r++) {
                float shrink;
                bool seen = own + r < end && sees(shape, own + r, key + lane);
                scores[r] =
                    take_scores(&now[r], seen ? scores[r] * shape.scale : -INFINITY, &shrink);
                for (int c = 0; c < N_COL; c++)
                    sums[r][c] *= shrink;
            }
            add_rows<N_COL>(sums, scores, v_tile, n_feat, n_feat);
        }
        __syncthreads();
    }
    for (int r = 0; r < OWN; r++) {
        if (own + r >= end)
            continue;
        float *y = out + (own + r) * shape.n_head * n_feat + head * n_feat;
        for (int c = 0; c < N_COL; c++)
            if (lane + c * WARP < n_feat)
                y[lane + c * WARP] = sums[r][c] / now[r].sum;
        if (lane == 0)
            log_sum[head * ld_log_sum + own + r] = now[r].largest + logf(now[r].sum);
    }
}

static void launch_attend(const char *who, unsigned n_block, float *out, float *log_sum,
                          const float *qkv, const mdl_attention_t *shape, const int32_t *at,
                          int64_t first, int64_t n_row, int64_t ld_log_sum)
{
    auto *kernel =
        choose_kernel(shape->n_head_feat, attend<1>, attend<2>, attend<3>, attend<4>, attend<8>);
    size_t n_shared = (size_t)(TILE * (3 * shape->n_head_feat + 1)) * sizeof(float);
    if (kernel == nullptr)
        keep_failure(who, "heads of more than 256 features");
    else
        launch(who, dim3(n_block, (unsigned)shape->n_head), THREADS, n_shared, kernel, out, log_sum,
               qkv, *shape, at, first, n_row, ld_log_sum);
}

void attention_forward(float *out, float *log_sum, float *scratch, const float *qkv,
                       const mdl_attention_t *shape, int64_t first, int64_t n_row,
                       int64_t ld_log_sum)
{
    (void)scratch;
    launch_attend(__func__, (unsigned)((n_row + TILE - 1) / TILE), out, log_sum, qkv, shape,
                  nullptr, first, n_row, ld_log_sum);
}

void attention_each(float *out, float *log_sum, float *scratch, const float *qkv,
                    const mdl_attention_t *shape, const int32_t *at, int64_t n_row,
                    int64_t ld_log_sum)
{
    (void)scratch;
    launch_attend(__func__, (unsigned)n_row, out, log_sum, qkv, shape, at, 0, n_row, ld_log_sum);
}

} // namespace mdl::engine
