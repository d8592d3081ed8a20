#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/operations.h"

namespace mdl::engine
{

/* Block (x, y): head y % n_head of image y / n_head, the queries x TILE on. */
template <int N_COL>
__global__ void attend_fully(float *out, const float *queries, const float *keys,
                             const float *values, mdl_full_attention_t shape)
{
    extern __shared__ float tiles[];
    int n_feat = (int)shape.n_head_feat, lane = (int)threadIdx.x % WARP, ld_key = n_feat + 1;
    int64_t head = blockIdx.y % shape.n_head, image = blockIdx.y / shape.n_head;
    int64_t query = (int64_t)blockIdx.x * TILE, own = query + threadIdx.x / WARP * OWN;
    int64_t n_key = shape.n_key, n_query = shape.n_query, at = head * n_feat;
    head_rows q = {queries + image * n_query * shape.ld_q + at, shape.ld_q};
    head_rows k = {keys + image * n_key * shape.ld_kv + at, shape.ld_kv};
    head_rows v = {values + image * n_key * shape.ld_kv + at, shape.ld_kv};
    float *q_tile = tiles, *k_tile = q_tile + TILE * n_feat, *v_tile = k_tile + TILE * ld_key;
    float scale = 1.0f / sqrtf((float)n_feat);
    running now[OWN];
    float sums[OWN][N_COL] = {}, scores[OWN];
    for (int r = 0; r < OWN; r++)
        now[r] = {-INFINITY, 0.0f};
    load_tile(q_tile, n_feat, q, query, n_query, n_feat);
    for (int64_t key = 0; key < n_key; key += TILE) {
        load_tile(k_tile, ld_key, k, key, n_key, n_feat);
        load_tile(v_tile, n_feat, v, key, n_key, n_feat);
        __syncthreads();
        multiply_rows(scores, q_tile, k_tile, ld_key, n_feat);
        for (int r = 0; r < OWN; r++) {
            float shrink;
            bool seen = key + lane < n_key;
            scores[r] = take_scores(&now[r], seen ? scores[r] * scale : -INFINITY, &shrink);
            for (int c = 0; c < N_COL; c++)
                sums[r][c] *= shrink;
        }
        add_rows<N_COL>(sums, scores, v_tile, n_feat, n_feat);
        __syncthreads();
    }
    for (int r = 0; r < OWN && own + r < n_query; r++) {
        float *y = out + (image * n_query + own + r) * shape.n_head * n_feat + at;
        for (int c = 0; c < N_COL; c++)
            if (lane + c * WARP < n_feat)
                y[lane + c * WARP] = sums[r][c] / now[r].sum;
    }
}

void full_attention_forward(float *out, float *score, const float *q, const float *k,
                            const float *v, const mdl_full_attention_t *shape)
{
    (void)score;
    auto *kernel = choose_kernel(shape->n_head_feat, attend_fully<1>, attend_fully<2>,
                                 attend_fully<3>, attend_fully<4>, attend_fully<8>);
    size_t n_shared = (size_t)(TILE * (3 * shape->n_head_feat + 1)) * sizeof(float);
    dim3 grid((unsigned)((shape->n_query + TILE - 1) / TILE),
              (unsigned)(shape->n_head * shape->n_image));
    if (kernel == nullptr)
        keep_failure(__func__, "heads of more than 256 features");
    else
        launch(__func__, grid, THREADS, n_shared, kernel, out, q, k, v, *shape);
}

} // namespace mdl::engine
