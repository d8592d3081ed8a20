#include "kernels/matmul_few_rows.h"

/* Above this many rows the repacking pays. */
enum { MAX_FEW_ROWS = 32 };

#if defined(__x86_64__)

#include <immintrin.h> /* _mm256_fmadd_ps */

#define AVX2   __attribute__((target("avx2,fma")))
#define INLINE AVX2 static inline __attribute__((always_inline))

typedef struct {
    float *out;
    const float *a, *b;
    int64_t ld_out, ld_a, ld_b, n_inner;
    float scale, keep;
} product_t;

INLINE float sum_lanes(__m256 x)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

/* The n_row x n_col results at (row, col), both counts known to the compiler and small enough for
 * the sums to stay in registers. */
INLINE void tile(const product_t *p, int64_t row, int64_t col, int n_row, int n_col)
{
    const float *a = p->a + row * p->ld_a, *b = p->b + col * p->ld_b;
    float *out = p->out + row * p->ld_out + col;
    __m256 sum[3][4];
    int64_t k = 0;
#pragma GCC unroll 3
    for (int i = 0; i < n_row; i++)
#pragma GCC unroll 4
        for (int j = 0; j < n_col; j++)
            sum[i][j] = _mm256_setzero_ps();
    for (; k + 8 <= p->n_inner; k += 8) {
        __m256 left[3];
#pragma GCC unroll 3
        for (int i = 0; i < n_row; i++)
            left[i] = _mm256_loadu_ps(a + i * p->ld_a + k);
#pragma GCC unroll 4
        for (int j = 0; j < n_col; j++) {
            __m256 right = _mm256_loadu_ps(b + j * p->ld_b + k);
#pragma GCC unroll 3
            for (int i = 0; i < n_row; i++)
                sum[i][j] = _mm256_fmadd_ps(left[i], right, sum[i][j]);
        }
    }
#pragma GCC unroll 3
    for (int i = 0; i < n_row; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < n_col; j++) {
            float total = sum_lanes(sum[i][j]);
            for (int64_t l = k; l < p->n_inner; l++)
                total += a[i * p->ld_a + l] * b[j * p->ld_b + l];
            float *result = out + i * p->ld_out + j;
            *result = p->keep == 0 ? p->scale * total : p->scale * total + p->keep * *result;
        }
    }
}

/* All rows of n_col (1 or 4) columns. */
INLINE void column_strip(const product_t *p, int64_t n_row, int64_t col, int n_col)
{
    int64_t row = 0;
    for (; row + 3 <= n_row; row += 3)
        tile(p, row, col, 3, n_col);
    if (row + 2 == n_row)
        tile(p, row, col, 2, n_col);
    else if (row + 1 == n_row)
        tile(p, row, col, 1, n_col);
}

int mdl_matmul_suits_few_rows(int64_t n_row)
{
    return n_row <= MAX_FEW_ROWS && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

AVX2 void mdl_matmul_nt_few_rows(float *out, int64_t ld_out, const float *a, int64_t ld_a,
                                 const float *b, int64_t ld_b, int64_t n_row, int64_t n_col,
                                 int64_t n_inner, float scale, float keep)
{
    const product_t p = {out, a, b, ld_out, ld_a, ld_b, n_inner, scale, keep};
    int64_t col = 0;
    for (; col + 4 <= n_col; col += 4)
        column_strip(&p, n_row, col, 4);
    for (; col < n_col; col++)
        column_strip(&p, n_row, col, 1);
}

#else

#include "kernels/matmul.h"

int mdl_matmul_suits_few_rows(int64_t n_row)
{
    (void)n_row;
    return 0;
}

void mdl_matmul_nt_few_rows(float *out, int64_t ld_out, const float *a, int64_t ld_a,
                            const float *b, int64_t ld_b, int64_t n_row, int64_t n_col,
                            int64_t n_inner, float scale, float keep)
{
    mdl_matmul_nt(out, ld_out, a, ld_a, b, ld_b, n_row, n_col, n_inner, scale, keep);
}

#endif
