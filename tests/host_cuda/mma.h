/* Products of fragments by a warp on the host, as far as stages/kernels uses them. A lane has all
 * of a factor, and of a sum the half row that is its own. Nothing waits: what other lanes wrote is
 * there only after a __syncwarp of the code's own. */
#ifndef HOST_CUDA_MMA_H
#define HOST_CUDA_MMA_H

#include "cuda_bf16.h"
#include "cuda_runtime.h"

namespace nvcuda::wmma
{

struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
enum layout_t { mem_row_major, mem_col_major };

constexpr int SIDE = 16, HALF = 8;

template <typename USE, int M, int N, int K, typename T, typename LAYOUT = void> struct fragment {
    static_assert(M == SIDE && N == SIDE && K == SIDE, "fragments of 16 by 16");
    float at[SIDE][SIDE];
};

template <int M, int N, int K> struct fragment<accumulator, M, N, K, float, void> {
    float at[HALF];
};

using sum = fragment<accumulator, SIDE, SIDE, SIDE, float>;

inline int own_row()
{
    return (int)(threadIdx.x % 32) / 2;
}

inline int own_column()
{
    return (int)(threadIdx.x % 2) * HALF;
}

inline void fill_fragment(sum &f, float value)
{
    for (float &at : f.at)
        at = value;
}

template <typename USE, typename T>
void load_matrix_sync(fragment<USE, SIDE, SIDE, SIDE, T, row_major> &f, const T *from, unsigned ld)
{
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            f.at[i][j] = from[i * (int)ld + j];
}

template <typename USE, typename T>
void load_matrix_sync(fragment<USE, SIDE, SIDE, SIDE, T, col_major> &f, const T *from, unsigned ld)
{
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            f.at[i][j] = from[j * (int)ld + i];
}

inline void load_matrix_sync(sum &f, const float *from, unsigned ld, layout_t)
{
    for (int j = 0; j < HALF; j++)
        f.at[j] = from[own_row() * (int)ld + own_column() + j];
}

inline void store_matrix_sync(float *to, const sum &f, unsigned ld, layout_t)
{
    for (int j = 0; j < HALF; j++)
        to[own_row() * (int)ld + own_column() + j] = f.at[j];
}

template <typename LEFT, typename RIGHT>
void mma_sync(sum &out, const LEFT &left, const RIGHT &right, const sum &before)
{
    for (int j = 0; j < HALF; j++) {
        float total = before.at[j];
        for (int k = 0; k < SIDE; k++)
            total += left.at[own_row()][k] * right.at[k][own_column() + j];
        out.at[j] = total;
    }
}

} // namespace nvcuda::wmma

#endif
