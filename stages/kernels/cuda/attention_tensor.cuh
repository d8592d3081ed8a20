/* What attention on tensor cores shares: factors are rounded to bfloat16, sums and the softmax are
 * float32. A block of four warps has a tile of 64 rows (queries, or keys in their gradient), 16 a
 * warp, and goes through tiles of 64 of the other side. */
#ifndef MDL_KERNELS_CUDA_ATTENTION_TENSOR_CUH
#define MDL_KERNELS_CUDA_ATTENTION_TENSOR_CUH

#include "kernels/cuda/attention.cuh"

#include <cuda_bf16.h>
#include <mma.h>

namespace mdl::engine::tensor
{

using namespace nvcuda;

constexpr int SIDE = 16; /* of a fragment */
constexpr int ROWS = 64; /* of a tile */
constexpr int N_WARP = ROWS / SIDE;
constexpr int N_THREAD = N_WARP * WARP;
constexpr int PAD = 8;                /* between rows, against conflicts of banks */
constexpr int LD_SQUARE = ROWS + PAD; /* of tiles of scores */

using factor = __nv_bfloat16;
using left_t = wmma::fragment<wmma::matrix_a, SIDE, SIDE, SIDE, factor, wmma::row_major>;
using right_t = wmma::fragment<wmma::matrix_b, SIDE, SIDE, SIDE, factor, wmma::row_major>;
using right_transposed_t =
    wmma::fragment<wmma::matrix_b, SIDE, SIDE, SIDE, factor, wmma::col_major>;
using sum_t = wmma::fragment<wmma::accumulator, SIDE, SIDE, SIDE, float>;

/* Numbers from one row to the next in tiles of heads of N fragments. */
template <int N> constexpr int LD = N *SIDE + PAD;

/* Bytes of a tile of rows of heads, of scores, and of their probabilities. */
template <int N> constexpr size_t HEAD_BYTES = ROWS *LD<N> * sizeof(factor);
constexpr size_t SCORE_BYTES = ROWS * LD_SQUARE * sizeof(float);
constexpr size_t SHARE_BYTES = ROWS * LD_SQUARE * sizeof(factor);

/* Hands out parts of the dynamic shared memory. */
struct shared_parts {
    unsigned char *next;
    template <typename T> __device__ T *take(size_t n_byte)
    {
        T *part = reinterpret_cast<T *>(next);
        next += n_byte;
        return part;
    }
};

/* Rows first .. first + ROWS - 1 of one head, rounded; zeros from end on and behind n_feat. */
template <int N>
__device__ inline void load_rounded(factor *tile, const head_rows &rows, int64_t first, int64_t end,
                                    int n_feat)
{
    for (int i = (int)threadIdx.x; i < ROWS * N * SIDE; i += N_THREAD) {
        int row = i / (N * SIDE), k = i % (N * SIDE);
        bool there = first + row < end && k < n_feat;
        tile[row * LD<N> + k] =
            __float2bfloat16_rn(there ? rows.at[(first + row) * rows.ld + k] : 0.0f);
    }
}

/* scores [SIDE, ROWS] = mine [SIDE, N SIDE] other', other [ROWS, N SIDE]. A warp's work. */
template <int N>
__device__ inline void multiply_heads(float *scores, const factor *mine, const factor *other)
{
    left_t left;
    right_transposed_t right;
    sum_t sum;
    for (int j = 0; j < ROWS / SIDE; j++) {
        wmma::fill_fragment(sum, 0.0f);
        for (int k = 0; k < N; k++) {
            wmma::load_matrix_sync(left, mine + k * SIDE, LD<N>);
            wmma::load_matrix_sync(right, other + j * SIDE * LD<N> + k * SIDE, LD<N>);
            wmma::mma_sync(sum, left, right, sum);
        }
        wmma::store_matrix_sync(scores + j * SIDE, sum, LD_SQUARE, wmma::mem_row_major);
    }
}

/* sum += shares [SIDE, ROWS] other, of the columns [SIDE] that other [ROWS, ...] begins with. */
template <int N>
__device__ inline void add_shares(sum_t &sum, const factor *shares, const factor *other)
{
    left_t left;
    right_t right;
    for (int k = 0; k < ROWS / SIDE; k++) {
        wmma::load_matrix_sync(left, shares + k * SIDE, LD_SQUARE);
        wmma::load_matrix_sync(right, other + k * SIDE * LD<N>, LD<N>);
        wmma::mma_sync(sum, left, right, sum);
    }
}

/* The warp's sums [SIDE, N SIDE] into rows own .. own + SIDE - 1 of a matrix, by way of room
 * [SIDE, LD_SQUARE]. */
template <int N>
__device__ inline void store_sums(float *rows, int64_t ld, const sum_t sums[N], float *room,
                                  int64_t own, int64_t n_row, int n_feat)
{
    for (int n = 0; n < N; n++) {
        wmma::store_matrix_sync(room, sums[n], LD_SQUARE, wmma::mem_row_major);
        __syncwarp();
        for (int i = (int)threadIdx.x % WARP; i < SIDE * SIDE; i += WARP) {
            int row = i / SIDE, k = n * SIDE + i % SIDE;
            if (own + row < n_row && k < n_feat)
                rows[(own + row) * ld + k] = room[row * LD_SQUARE + i % SIDE];
        }
        __syncwarp();
    }
}

/* The kernel for heads of n_feat features, made for 4, 6, 8 or 16 fragments; NULL above. */
template <typename kernel>
kernel *choose(int64_t n_feat, kernel *four, kernel *six, kernel *eight, kernel *sixteen)
{
    return n_feat <= 4 * SIDE    ? four
           : n_feat <= 6 * SIDE  ? six
           : n_feat <= 8 * SIDE  ? eight
           : n_feat <= 16 * SIDE ? sixteen
                                 : nullptr;
}

/* The number of fragments that choose takes. */
inline size_t n_fragment(int64_t n_feat)
{
    return n_feat <= 4 * SIDE ? 4 : n_feat <= 6 * SIDE ? 6 : n_feat <= 8 * SIDE ? 8 : 16;
}

inline size_t head_bytes(int64_t n_feat)
{
    return ROWS * (n_fragment(n_feat) * SIDE + PAD) * sizeof(factor);
}

} // namespace mdl::engine::tensor

#endif
