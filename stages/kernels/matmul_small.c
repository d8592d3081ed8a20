#include "kernels/matmul_small.h"

#if defined(__x86_64__)

#include <immintrin.h> /* _mm256_fmadd_ps */

/* Above this the repacking pays (measured on an AMD EPYC with OpenBLAS 0.3.21). */
enum { MAX_SHORT = 32 };

/* Rows of b that are gone through for every strip of columns before the next ones are: they stay
 * in the second-level cache, where a whole head of a vocabulary would come from memory each time.
 */
enum { PIECE_BYTES = 256 << 10 };

#define AVX2   __attribute__((target("avx2,fma")))
#define INLINE AVX2 static inline __attribute__((always_inline))

typedef struct {
    float *out;
    const float *a, *b;
    int64_t ld_out, row_step, inner_step, ld_b, n_row, n_inner;
    float scale, keep;
} product_t;

static int suits(int64_t n_short)
{
    return n_short <= MAX_SHORT && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* Lets through the first n (0 .. 8) of eight lanes. */
INLINE __m256i first_lanes(int64_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE float sum_lanes(__m256 x)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

/* One step of eight (or, masked, fewer) along the inner dimension for a tile of dot products. */
INLINE void dot_step(__m256 sum[3][4], const float *a, int64_t row_step, const float *b,
                     int64_t ld_b, int n_row, int n_col, int masked, __m256i mask)
{
    __m256 left[3];
#pragma GCC unroll 3
    for (int i = 0; i < n_row; i++)
        left[i] =
            masked ? _mm256_maskload_ps(a + i * row_step, mask) : _mm256_loadu_ps(a + i * row_step);
#pragma GCC unroll 4
    for (int j = 0; j < n_col; j++) {
        __m256 right =
            masked ? _mm256_maskload_ps(b + j * ld_b, mask) : _mm256_loadu_ps(b + j * ld_b);
#pragma GCC unroll 3
        for (int i = 0; i < n_row; i++)
            sum[i][j] = _mm256_fmadd_ps(left[i], right, sum[i][j]);
    }
}

/* The n_row x n_col dot products at (row, col); the counts are constants where this is called, so
 * that the sums stay in registers. */
INLINE void dot_tile(const product_t *p, int64_t row, int64_t col, int n_row, int n_col)
{
    const float *a = p->a + row * p->row_step, *b = p->b + col * p->ld_b;
    float *out = p->out + row * p->ld_out + col;
    __m256 sum[3][4];
    int64_t k = 0;
#pragma GCC unroll 3
    for (int i = 0; i < n_row; i++)
#pragma GCC unroll 4
        for (int j = 0; j < n_col; j++)
            sum[i][j] = _mm256_setzero_ps();
    for (; k + 8 <= p->n_inner; k += 8)
        dot_step(sum, a + k, p->row_step, b + k, p->ld_b, n_row, n_col, 0, first_lanes(8));
    if (k < p->n_inner)
        dot_step(sum, a + k, p->row_step, b + k, p->ld_b, n_row, n_col, 1,
                 first_lanes(p->n_inner - k));
#pragma GCC unroll 3
    for (int i = 0; i < n_row; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < n_col; j++) {
            float *result = out + i * p->ld_out + j;
            float total = p->scale * sum_lanes(sum[i][j]);
            *result = p->keep == 0 ? total : total + p->keep * *result;
        }
    }
}

/* All rows of n_col (1 or 4) columns. */
INLINE void dot_strip(const product_t *p, int64_t col, int n_col)
{
    int64_t row = 0;
    for (; row + 3 <= p->n_row; row += 3)
        dot_tile(p, row, col, 3, n_col);
    if (row + 2 == p->n_row)
        dot_tile(p, row, col, 2, n_col);
    else if (row + 1 == p->n_row)
        dot_tile(p, row, col, 1, n_col);
}

AVX2 static void dot_product(const product_t *p, int64_t n_col)
{
    int64_t col = 0;
    for (; col + 4 <= n_col; col += 4)
        dot_strip(p, col, 4);
    for (; col < n_col; col++)
        dot_strip(p, col, 1);
}

int mdl_matmul_nt_small(float *out, int64_t ld_out, const float *a, int64_t ld_a, const float *b,
                        int64_t ld_b, int64_t n_row, int64_t n_col, int64_t n_inner, float scale,
                        float keep)
{
    const product_t p = {out, a, b, ld_out, ld_a, 1, ld_b, n_row, n_inner, scale, keep};
    if (!suits(n_row))
        return 0;
    dot_product(&p, n_col);
    return 1;
}

INLINE void store(const product_t *p, float *result, __m256 sum, int masked, __m256i mask)
{
    __m256 total = _mm256_mul_ps(_mm256_set1_ps(p->scale), sum);
    if (p->keep != 0) {
        __m256 old = masked ? _mm256_maskload_ps(result, mask) : _mm256_loadu_ps(result);
        total = _mm256_fmadd_ps(_mm256_set1_ps(p->keep), old, total);
    }
    if (masked)
        _mm256_maskstore_ps(result, mask, total);
    else
        _mm256_storeu_ps(result, total);
}

/* n_row rows of 8 n_vector columns (masked: fewer than 8) as sums of rows of b. */
INLINE void row_tile(const product_t *p, int64_t row, int64_t col, int n_row, int n_vector,
                     int masked, __m256i mask)
{
    const float *a = p->a + row * p->row_step, *b = p->b + col;
    float *out = p->out + row * p->ld_out + col;
    __m256 sum[6][2];
#pragma GCC unroll 6
    for (int i = 0; i < n_row; i++)
#pragma GCC unroll 2
        for (int j = 0; j < n_vector; j++)
            sum[i][j] = _mm256_setzero_ps();
    for (int64_t k = 0; k < p->n_inner; k++, a += p->inner_step, b += p->ld_b) {
        __m256 right[2];
#pragma GCC unroll 2
        for (int j = 0; j < n_vector; j++)
            right[j] = masked ? _mm256_maskload_ps(b, mask) : _mm256_loadu_ps(b + 8 * j);
#pragma GCC unroll 6
        for (int i = 0; i < n_row; i++) {
            __m256 left = _mm256_broadcast_ss(a + i * p->row_step);
#pragma GCC unroll 2
            for (int j = 0; j < n_vector; j++)
                sum[i][j] = _mm256_fmadd_ps(left, right[j], sum[i][j]);
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < n_row; i++)
#pragma GCC unroll 2
        for (int j = 0; j < n_vector; j++)
            store(p, out + i * p->ld_out + 8 * j, sum[i][j], masked, mask);
}

/* All rows of a strip of columns. */
INLINE void row_strip(const product_t *p, int64_t col, int n_vector, int masked, __m256i mask)
{
    int64_t row = 0;
    for (; row + 6 <= p->n_row; row += 6)
        row_tile(p, row, col, 6, n_vector, masked, mask);
    if (row + 4 <= p->n_row) {
        row_tile(p, row, col, 4, n_vector, masked, mask);
        row += 4;
    }
    if (row + 2 <= p->n_row) {
        row_tile(p, row, col, 2, n_vector, masked, mask);
        row += 2;
    }
    if (row < p->n_row)
        row_tile(p, row, col, 1, n_vector, masked, mask);
}

AVX2 static void row_product(const product_t *p, int64_t n_col)
{
    int64_t col = 0;
    for (; col + 16 <= n_col; col += 16)
        row_strip(p, col, 2, 0, first_lanes(8));
    if (col + 8 <= n_col) {
        row_strip(p, col, 1, 0, first_lanes(8));
        col += 8;
    }
    if (col < n_col)
        row_strip(p, col, 1, 1, first_lanes(n_col - col));
}

int mdl_matmul_xn_small(float *out, int64_t ld_out, const float *a, int64_t row_step,
                        int64_t inner_step, const float *b, int64_t ld_b, int64_t n_row,
                        int64_t n_col, int64_t n_inner, float scale, float keep)
{
    if (!suits(n_row < n_inner ? n_row : n_inner))
        return 0;
    int64_t n_piece = PIECE_BYTES / (ld_b * (int64_t)sizeof *b);
    n_piece = n_piece > MAX_SHORT ? n_piece : MAX_SHORT;
    for (int64_t k = 0; k == 0 || k < n_inner; k += n_piece) {
        const product_t p = {.out = out,
                             .a = a + k * inner_step,
                             .b = b + k * ld_b,
                             .ld_out = ld_out,
                             .row_step = row_step,
                             .inner_step = inner_step,
                             .ld_b = ld_b,
                             .n_row = n_row,
                             .n_inner = n_inner - k < n_piece ? n_inner - k : n_piece,
                             .scale = scale,
                             .keep = k > 0 ? 1.0f : keep};
        row_product(&p, n_col);
    }
    return 1;
}

#else

int mdl_matmul_nt_small(float *out, int64_t ld_out, const float *a, int64_t ld_a, const float *b,
                        int64_t ld_b, int64_t n_row, int64_t n_col, int64_t n_inner, float scale,
                        float keep)
{
    (void)out, (void)ld_out, (void)a, (void)ld_a, (void)b, (void)ld_b;
    (void)n_row, (void)n_col, (void)n_inner, (void)scale, (void)keep;
    return 0;
}

int mdl_matmul_xn_small(float *out, int64_t ld_out, const float *a, int64_t row_step,
                        int64_t inner_step, const float *b, int64_t ld_b, int64_t n_row,
                        int64_t n_col, int64_t n_inner, float scale, float keep)
{
    (void)out, (void)ld_out, (void)a, (void)row_step, (void)inner_step, (void)b, (void)ld_b;
    (void)n_row, (void)n_col, (void)n_inner, (void)scale, (void)keep;
    return 0;
}

#endif
