/* Template of a table of real.h: the including file defines REAL (float or double), REAL_BITS,
 * LANES (reals of a vector register) and TABLE, the table's name. */
#include "similarity/real.h"

#include <cblas.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <string.h>

typedef REAL lanes_t __attribute__((vector_size(LANES * sizeof(REAL))));

#if REAL_BITS == 32
typedef int32_t mask_t __attribute__((vector_size(LANES * sizeof(REAL))));
#define BLAS(name)        cblas_s##name
#define REAL_MAX_EXPONENT FLT_MAX_EXP
#define DISTANCE_ROUNDING 3e-6
#define SMALL_SQUARE      0x1p-60f
#else
typedef int64_t mask_t __attribute__((vector_size(LANES * sizeof(REAL))));
#define BLAS(name)        cblas_d##name
#define REAL_MAX_EXPONENT DBL_MAX_EXP
#define DISTANCE_ROUNDING 1e-13
#define SMALL_SQUARE      0x1p-400
#endif

/* Lanes of two vectors that swapping blocks of w lanes puts into the first and into the second. */
#define UPPER(w, l)  ((l) & (w) ? LANES + (l) - (w) : (l))
#define LOWER(w, l)  ((l) & (w) ? LANES + (l) : (l) + (w))
#define TWO(f, w, l) f(w, l), f(w, (l) + 1)
#if LANES == 8
#define MASK(f, w) ((mask_t){TWO(f, w, 0), TWO(f, w, 2), TWO(f, w, 4), TWO(f, w, 6)})
#elif LANES == 4
#define MASK(f, w) ((mask_t){TWO(f, w, 0), TWO(f, w, 2)})
#else
#define MASK(f, w) ((mask_t){TWO(f, w, 0)})
#endif
#define SWAP_BLOCKS(rows, w)                                                                       \
    for (int i = 0; i < LANES; i++) {                                                              \
        if ((i & (w)) == 0) {                                                                      \
            lanes_t upper = (rows)[i], lower = (rows)[i + (w)];                                    \
            (rows)[i] = __builtin_shuffle(upper, lower, MASK(UPPER, w));                           \
            (rows)[i + (w)] = __builtin_shuffle(upper, lower, MASK(LOWER, w));                     \
        }                                                                                          \
    }

/* Transposes LANES x LANES values in place. */
static inline __attribute__((always_inline)) void transpose_lanes(lanes_t *rows)
{
    SWAP_BLOCKS(rows, 1)
#if LANES >= 4
    SWAP_BLOCKS(rows, 2)
#endif
#if LANES >= 8
    SWAP_BLOCKS(rows, 4)
#endif
}

static double sum_lanes(lanes_t lanes)
{
    double sum = 0;
    for (int l = 0; l < LANES; l++)
        sum += (double)lanes[l];
    return sum;
}

static inline lanes_t load(const REAL *from)
{
    lanes_t lanes;
    memcpy(&lanes, from, sizeof lanes);
    return lanes;
}

/* WIDE reals as doubles, a vector register of them. */
enum { WIDE = LANES * REAL_BITS / 64 };
typedef double wide_t __attribute__((vector_size(WIDE * sizeof(double))));
typedef REAL narrow_t __attribute__((vector_size(WIDE * sizeof(REAL))));

static inline wide_t widen(const REAL *from)
{
#if LANES * REAL_BITS == 256
    return (wide_t){(double)from[0], (double)from[1], (double)from[2], (double)from[3]};
#else
    return (wide_t){(double)from[0], (double)from[1]};
#endif
}

static inline wide_t load_wide(const double *from)
{
    wide_t wide;
    memcpy(&wide, from, sizeof wide);
    return wide;
}

#include "similarity/real_gram.h"

/* Sum of n reals in double. */
static double plain_sum(const REAL *x, int64_t n)
{
    double sum[16] = {0}, total = 0;
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int l = 0; l < 16; l++)
            sum[l] += (double)x[i + l];
    for (int l = 0; l < 16; l++)
        total += sum[l];
    for (; i < n; i++)
        total += (double)x[i];
    return total;
}

static double square_sum(const REAL *x, int64_t n)
{
    double sum[16] = {0}, total = 0;
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int l = 0; l < 16; l++)
            sum[l] += (double)x[i + l] * (double)x[i + l];
    for (int l = 0; l < 16; l++)
        total += sum[l];
    for (; i < n; i++)
        total += (double)x[i] * (double)x[i];
    return total;
}

static void norms(const void *values, int64_t n, int64_t n_feat, double *norm)
{
    const REAL *x = values;
    for (int64_t i = 0; i < n; i++)
        norm[i] = square_sum(x + i * n_feat, n_feat);
}

/* Adds n values, a multiple of 8, to columns; returns their sum and adds that of their squares. */
static double add_to_columns(const REAL *from, int64_t n, double *columns, double *squares)
{
    enum { V = 8 / WIDE, SQUARES = 8 / LANES };
    wide_t sum[V] = {{0}};
    lanes_t square[SQUARES] = {{0}};
    for (int64_t j = 0; j < n; j += 8) {
        for (int v = 0; v < V; v++) {
            wide_t value = widen(from + j + v * WIDE);
            wide_t column = load_wide(columns + j + v * WIDE) + value;
            memcpy(columns + j + v * WIDE, &column, sizeof column);
            sum[v] += value;
        }
        for (int v = 0; v < SQUARES; v++)
            square[v] += load(from + j + v * LANES) * load(from + j + v * LANES);
    }
    double total = 0;
    for (int v = 0; v < SQUARES; v++)
        *squares += sum_lanes(square[v]);
    for (int v = 0; v < V; v++)
        for (int l = 0; l < WIDE; l++)
            total += sum[v][l];
    return total;
}

/* n: a multiple of 8. */
static void less_means(const REAL *from, int64_t n, const double *row, double here, REAL *out)
{
    for (int64_t j = 0; j < n; j += WIDE) {
        wide_t value = widen(from + j) - load_wide(row + j) - here;
        narrow_t rounded = __builtin_convertvector(value, narrow_t);
        memcpy(out + j, &rounded, sizeof rounded);
    }
}

/* Rows are taken by eights, with zeros for what is above the diagonal. What is too much of a row in
 * out, the next one overwrites; the last rows, which have none, go through one more place. */
static double u_centre(void *values, int64_t n, double *row, void *packed)
{
    REAL *gram = values, *out = packed, *end = out + mdl_real_packed(n);
    int64_t ld = mdl_real_padded(n);
    double total = 0, power = 0;
    memset(row, 0, (size_t)ld * sizeof *row);
    for (int64_t i = 0; i < n; i++) {
        int64_t n_left = mdl_real_padded(i);
        memset(gram + i * ld + i, 0, (size_t)(n_left - i) * sizeof *gram);
        row[i] += add_to_columns(gram + i * ld, n_left, row, &power);
    }
    for (int64_t i = 0; i < n; i++) {
        total += row[i];
        row[i] /= (double)(n - 2);
    }
    total /= (double)(n - 1) * (double)(n - 2);
    for (int64_t i = 1; i < n; i++) {
        REAL *from = gram + i * ld, *to = end - out < mdl_real_padded(i) ? from : out;
        less_means(from, mdl_real_padded(i), row, row[i] - total, to);
        if (to == from)
            memcpy(out, from, (size_t)i * sizeof *out);
        out += i;
    }
    while (out < end)
        *out++ = 0;
    return power;
}

/* sums[3 i + j] += a_i . b_j over n_row rows of n reals, ld apart. */
static void products_of_three(const REAL *const a[3], const REAL *const b[3], int64_t n_row,
                              int64_t ld, int64_t n, double sums[9])
{
    lanes_t sum[9] = {{0}};
    for (int64_t first = 0; first < n_row * ld; first += ld) {
        for (int64_t k = first; k < first + n; k += LANES) {
            lanes_t right[3] = {load(b[0] + k), load(b[1] + k), load(b[2] + k)};
            for (int i = 0; i < 3; i++) {
                lanes_t left = load(a[i] + k);
                for (int j = 0; j < 3; j++)
                    sum[3 * i + j] += left * right[j];
            }
        }
    }
    for (int pair = 0; pair < 9; pair++)
        sums[pair] += sum_lanes(sum[pair]);
}

static void block_products(const void *stack, int n_model, int64_t stride, int64_t n_row,
                           int64_t ld, int64_t n_column, double *values)
{
    const REAL *all = stack;
    for (int a = 0; a < n_model; a += 3) {
        for (int b = 0; b <= a; b += 3) {
            const REAL *left[3], *right[3];
            double sums[9] = {0};
            for (int i = 0; i < 3; i++) {
                left[i] = all + (a + i < n_model ? a + i : a) * stride;
                right[i] = all + (b + i < n_model ? b + i : b) * stride;
            }
            products_of_three(left, right, n_row, ld, n_column, sums);
            for (int64_t i = a; i < a + 3 && i < n_model; i++)
                for (int64_t j = b; j < b + 3 && j <= i; j++)
                    values[i * (i + 1) / 2 + j] += sums[3 * (i - a) + j - b];
        }
    }
}

/* A chunk of all arrays fits into the caches; the sum over a chunk is the longest in REAL. */
static void products(const void *stack, int n_model, int64_t stride, int64_t n, double *values)
{
    enum { CHUNK = 2048 };
    for (int64_t first = 0; first < n; first += CHUNK) {
        int64_t n_here = n - first < CHUNK ? n - first : CHUNK;
        block_products((const REAL *)stack + first, n_model, stride, 1, n_here, n_here, values);
    }
}

/* Sums and spread of a row; 0 when all of it is finite. */
static int add_row(const REAL *restrict row, int64_t n_feat, const double *restrict reference,
                   double *restrict sum, double *spread)
{
    double largest[8] = {0}, check[8] = {0}, finite = 0;
    int64_t j = 0;
    for (; j + 8 <= n_feat; j += 8) {
        for (int l = 0; l < 8; l++) {
            double value = (double)row[j + l] - reference[j + l];
            sum[j + l] += value;
            check[l] += value * 0;
            largest[l] = fabs(value) > largest[l] ? fabs(value) : largest[l];
        }
    }
    for (; j < n_feat; j++) {
        double value = (double)row[j] - reference[j];
        sum[j] += value;
        check[0] += value * 0;
        largest[0] = fabs(value) > largest[0] ? fabs(value) : largest[0];
    }
    for (int l = 0; l < 8; l++) {
        *spread = largest[l] > *spread ? largest[l] : *spread;
        finite += check[l];
    }
    return finite != 0;
}

static int64_t column_sums(const void *values, int64_t n, int64_t n_feat, const double *reference,
                           double *sum, double *spread)
{
    const REAL *x = values;
    for (int64_t i = 0; i < n; i++) {
        if (add_row(x + i * n_feat, n_feat, reference, sum, spread) == 0)
            continue;
        for (int64_t j = 0; j < n_feat; j++)
            if (!isfinite((double)x[i * n_feat + j] - reference[j]))
                return i * n_feat + j;
    }
    return -1;
}

static void centre(void *values, int64_t n, int64_t n_feat, const double *reference,
                   const double *mean, double scale)
{
    for (int64_t i = 0; i < n; i++) {
        REAL *restrict row = (REAL *)values + i * n_feat;
        for (int64_t j = 0; j < n_feat; j++)
            row[j] = (REAL)(((double)row[j] - reference[j] - mean[j]) * scale);
    }
}

static void covariance(const void *x, int64_t d_x, int64_t ld_x, const void *y, int64_t d_y,
                       int64_t ld_y, int64_t n, int add, void *out)
{
    BLAS(gemm)
    (CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)d_x, (blasint)d_y, (blasint)n, 1, x,
     (blasint)ld_x, y, (blasint)ld_y, add ? 1 : 0, out, (blasint)d_y);
}

static void accumulate(double *restrict sum, const void *values, int64_t n)
{
    const REAL *restrict x = values;
    for (int64_t i = 0; i < n; i++)
        sum[i] += (double)x[i];
}

static void round_sums(const double *restrict sum, void *values, int64_t n)
{
    REAL *restrict x = values;
    for (int64_t i = 0; i < n; i++)
        x[i] = (REAL)sum[i];
}

static void row_sums(const void *values, int64_t n_i, int64_t n_j, double *rows, double *columns)
{
    const REAL *gram = values;
    for (int64_t i = 0; i < n_i; i++) {
        const REAL *restrict from = gram + i * mdl_real_padded(n_j);
        double *restrict to = columns;
        rows[i] += plain_sum(from, n_j);
        for (int64_t j = 0; j < n_j; j++)
            to[j] += (double)from[j];
    }
}

static void rbf(void *values, int64_t n_x, int64_t n_y, const double *norm_x, const double *norm_y,
                double gamma)
{
    int64_t ld = mdl_real_padded(n_y);
    int same = norm_x == norm_y;
    for (int64_t i = 0; i < n_x; i++) {
        REAL *row = (REAL *)values + i * ld;
        int64_t n = same ? i : n_y;
        for (int64_t j = 0; j < n; j++) {
            double both = norm_x[i] + norm_y[j], squared = both - 2 * (double)row[j];
            row[j] = (REAL)expm1(-gamma * (squared > DISTANCE_ROUNDING * both ? squared : 0));
        }
        if (same)
            row[i] = 0;
    }
}

static void take_diagonal(void *values, int64_t n, double *diagonal, int drop)
{
    int64_t ld = mdl_real_padded(n);
    for (int64_t i = 0; i < n; i++) {
        REAL *row = (REAL *)values + i * ld;
        diagonal[i] = (double)row[i];
        memset(row + i + !drop, 0, (size_t)(ld - i - !drop) * sizeof *row);
    }
}

const mdl_real_t TABLE = {.encoding = REAL_BITS == 32 ? MDL_FLOAT32 : MDL_FLOAT64,
                          .size = sizeof(REAL),
                          .batch_gram = batch_gram,
                          .u_centre = u_centre,
                          .products = products,
                          .block_products = block_products,
                          .column_sums = column_sums,
                          .centre = centre,
                          .pack = pack,
                          .packed_norms = packed_norms,
                          .gram = gram_of,
                          .covariance = covariance,
                          .accumulate = accumulate,
                          .round = round_sums,
                          .norms = norms,
                          .row_sums = row_sums,
                          .rbf = rbf,
                          .take_diagonal = take_diagonal};
