/* What attention's forward and backward share, and full attention. All work on tiles of TILE
 * queries by TILE keys and keep no scores (Dao et al. 2022, arXiv 2205.14135, algorithms 1 and 4):
 * a warp has OWN rows of its own, a lane one row of the other side and every 32nd feature of the
 * sums. */
#ifndef MDL_KERNELS_CUDA_ATTENTION_CUH
#define MDL_KERNELS_CUDA_ATTENTION_CUH

#include "kernels/cuda/tools.cuh"

extern "C" {
#include "kernels/attention.h"
}

namespace mdl::engine
{

constexpr int TILE = WARP;
constexpr int OWN = TILE / WARPS;

/* Rows of one head inside a matrix whose rows are ld apart. */
struct head_rows {
    const float *at;
    int64_t ld;
};

/* First position that the one at position sees. */
__device__ inline int64_t first_seen(const mdl_attention_t &shape, int64_t position)
{
    int64_t begin = shape.begin != nullptr ? shape.begin[position] : 0;
    int64_t in_window = shape.n_window > 0 ? position + 1 - shape.n_window : 0;
    return in_window > begin ? in_window : begin;
}

__device__ inline bool sees(const mdl_attention_t &shape, int64_t query, int64_t key)
{
    return key <= query && key >= first_seen(shape, query);
}

/* Rows first .. first + TILE - 1 into tile [TILE, ld_tile]; zeros from end on. All threads. */
__device__ inline void load_tile(float *tile, int ld_tile, const head_rows &rows, int64_t first,
                                 int64_t end, int n_feat)
{
    for (int i = (int)threadIdx.x; i < TILE * n_feat; i += THREADS) {
        int row = i / n_feat, k = i % n_feat;
        tile[row * ld_tile + k] = first + row < end ? rows.at[(first + row) * rows.ld + k] : 0.0f;
    }
}

/* dots[r] = own row r of this warp in mine [TILE, n_feat] times this lane's row of other
 * [TILE, ld_other]. */
__device__ inline void multiply_rows(float dots[OWN], const float *mine, const float *other,
                                     int ld_other, int n_feat)
{
    const float *left = mine + threadIdx.x / WARP * OWN * n_feat;
    const float *right = other + threadIdx.x % WARP * ld_other;
    for (int r = 0; r < OWN; r++)
        dots[r] = 0;
    for (int k = 0; k < n_feat; k++) {
        float x = right[k];
        for (int r = 0; r < OWN; r++)
            dots[r] += left[r * n_feat + k] * x;
    }
}

/* sums[r][c] += over the lanes j their share[r] times other[j][lane + 32 c]. */
template <int N_COL>
__device__ inline void add_rows(float sums[OWN][N_COL], const float share[OWN], const float *other,
                                int ld_other, int n_feat)
{
    int lane = (int)threadIdx.x % WARP;
    for (int j = 0; j < TILE; j++) {
        float own[OWN];
        for (int r = 0; r < OWN; r++)
            own[r] = __shfl_sync(0xffffffffu, share[r], j);
        for (int c = 0; c < N_COL; c++) {
            int k = lane + c * WARP;
            float x = k < n_feat ? other[j * ld_other + k] : 0.0f;
            for (int r = 0; r < OWN; r++)
                sums[r][c] += own[r] * x;
        }
    }
}

/* The softmax of one query so far: over the keys that were seen. */
struct running {
    float largest, sum;
};

/* Takes TILE more scores of a query, one a lane, -inf where it doesn't see the key. Returns this
 * lane's exponential; *shrink is what earlier sums have to be multiplied by. */
__device__ inline float take_scores(running *now, float score, float *shrink)
{
    float largest = fmaxf(now->largest, largest_of_warp(score));
    if (largest == -INFINITY) {
        *shrink = 1.0f;
        return 0.0f;
    }
    float share = expf(score - largest);
    *shrink = expf(now->largest - largest);
    now->sum = now->sum * *shrink + sum_of_warp(share);
    now->largest = largest;
    return share;
}

/* The kernel for heads of n_feat features, made for 1, 2, 3, 4 or 8 of them a lane; NULL for heads
 * above 256. */
template <typename kernel>
kernel *choose_kernel(int64_t n_feat, kernel *one, kernel *two, kernel *three, kernel *four,
                      kernel *eight)
{
    kernel *const by_width[] = {one, two, three, four, eight, eight, eight, eight};
    return n_feat <= 8 * WARP ? by_width[(n_feat - 1) / WARP] : nullptr;
}

} // namespace mdl::engine

#endif
