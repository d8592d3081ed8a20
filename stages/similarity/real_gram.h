/* Template, included by real_impl.h: the centred Gram matrix of one batch. Columns go through in
 * blocks of MDL_REAL_DEPTH: their means are taken, the centred block is packed into panels of eight
 * rows (panel, column, row) that stay in the second-level cache, and tiles of 4 rows by up to three
 * panels are multiplied in registers. */

/* mean += share times the distance of n_row rows from the first one. */
static inline __attribute__((always_inline)) void add_distances(const REAL *first, const REAL *rows,
                                                                int n_row, int64_t stride,
                                                                int64_t n_col, REAL share,
                                                                REAL *mean)
{
    int64_t k = 0;
    for (; k + LANES <= n_col; k += LANES) {
        lanes_t near = load(first + k), sum = load(mean + k);
        for (int r = 0; r < n_row; r++)
            sum += (load(rows + r * stride + k) - near) * share;
        memcpy(mean + k, &sum, sizeof sum);
    }
    for (; k < n_col; k++)
        for (int r = 0; r < n_row; r++)
            mean[k] += (rows[r * stride + k] - first[k]) * share;
}

/* Means of the block's columns over SAMPLE rows or so, evenly apart: near enough to keep the Gram
 * matrix from cancelling, and it is centred again. A column whose values are all the same has just
 * that one. In two parts, base and what rounding left of it. */
static void block_means(const REAL *x, int64_t n, int64_t stride, int64_t n_col, REAL *base,
                        REAL *rest)
{
    enum { SAMPLE = 8 };
    int64_t step = n > SAMPLE ? n / SAMPLE : 1, n_row = (n + step - 1) / step, i = 1;
    REAL mean[MDL_REAL_DEPTH] = {0}, share = 1 / (REAL)n_row;
    for (; i + SAMPLE - 1 <= n_row; i += SAMPLE - 1)
        add_distances(x, x + i * step * stride, SAMPLE - 1, step * stride, n_col, share, mean);
    for (; i < n_row; i++)
        add_distances(x, x + i * step * stride, 1, step * stride, n_col, share, mean);
    for (int64_t k = 0; k < n_col; k++) {
        base[k] = x[k] + mean[k];
        rest[k] = (x[k] - base[k]) + mean[k];
    }
}

/* One panel of n_row <= 8 rows: its columns from k on, centred and scaled, one after the other. */
static void pack_columns(const REAL *x, int64_t n_row, int64_t stride, int64_t k, int64_t n_col,
                         const REAL *base, const REAL *rest, REAL scale, REAL *packed)
{
    for (; k < n_col; k++) {
        for (int64_t r = 0; r < MDL_REAL_PANEL; r++) {
            REAL value = r < n_row ? (x[r * stride + k] - base[k]) - rest[k] : 0;
            packed[k * MDL_REAL_PANEL + r] = value * scale;
        }
    }
}

/* The same for a whole panel, LANES columns at a time. Returns how many columns are done. */
static int64_t pack_panel(const REAL *x, int64_t stride, int64_t n_col, const REAL *base,
                          const REAL *rest, REAL scale, REAL *packed)
{
    int64_t k = 0;
    for (; k + LANES <= n_col; k += LANES) {
        lanes_t first = load(base + k), second = load(rest + k);
        for (int half = 0; half < MDL_REAL_PANEL; half += LANES) {
            lanes_t rows[LANES];
            for (int r = 0; r < LANES; r++)
                rows[r] = ((load(x + (half + r) * stride + k) - first) - second) * scale;
            transpose_lanes(rows);
#pragma GCC unroll 8
            for (int c = 0; c < LANES; c++)
                memcpy(packed + (k + c) * MDL_REAL_PANEL + half, &rows[c], sizeof rows[c]);
        }
    }
    return k;
}

static void pack_block(const REAL *x, int64_t n, int64_t stride, int64_t n_col, const REAL *base,
                       const REAL *rest, REAL scale, REAL *packed)
{
    for (int64_t i = 0; i < n; i += MDL_REAL_PANEL) {
        int64_t n_row = n - i < MDL_REAL_PANEL ? n - i : MDL_REAL_PANEL, done = 0;
        const REAL *rows = x + i * stride;
        REAL *panel = packed + i * n_col;
        if (n_row == MDL_REAL_PANEL)
            done = pack_panel(rows, stride, n_col, base, rest, scale, panel);
        pack_columns(rows, n_row, stride, done, n_col, base, rest, scale, panel);
    }
}

/* The rows whose columns are packed next. Packing goes faster than memory, and multiplying leaves
 * memory idle: so every tile brings AHEAD of them into the caches, a value of each a column. */
enum { AHEAD = 3 };
typedef struct {
    const REAL *row;
    int64_t stride, n_left; /* rows behind those AHEAD */
} ahead_t;

/* A tile of n_row rows (from a, inside a panel) by n_vector vectors (from the panels at b): out:
 * [n_row, ld] = or += . ahead may be NULL. */
static inline __attribute__((always_inline)) void multiply_tile(const REAL *a, const REAL *b,
                                                                int64_t n_col, int n_row,
                                                                int n_vector, REAL *out, int64_t ld,
                                                                int add, const ahead_t *ahead)
{
    enum { P = MDL_REAL_PANEL, V = P / LANES };
    lanes_t sum[P][3 * V] = {{{0}}};
    for (int64_t k = 0; k < n_col; k++) {
        const REAL *left = a + k * P, *right = b + k * P;
        lanes_t column[3 * V];
        for (int r = 0; ahead != NULL && r < AHEAD; r++)
            __builtin_prefetch(ahead->row + r * ahead->stride + k);
        for (int v = 0; v < n_vector; v++)
            column[v] = load(right + v / V * n_col * P + v % V * LANES);
        for (int r = 0; r < n_row; r++)
            for (int v = 0; v < n_vector; v++)
                sum[r][v] += column[v] * left[r];
    }
    for (int r = 0; r < n_row; r++) {
        for (int v = 0; v < n_vector; v++) {
            lanes_t old = {0};
            if (add)
                memcpy(&old, out + r * ld + v * LANES, sizeof old);
            old += sum[r][v];
            memcpy(out + r * ld + v * LANES, &old, sizeof old);
        }
    }
}

/* out = or += left right' for packed blocks of n_left and n_right rows; with lower, left and right
 * being the same, only the lower triangle and what its tiles have beyond. A tile needs eight sums
 * at least to keep the multipliers busy: a single panel gets eight rows. */
static inline __attribute__((always_inline)) void
multiply_block(const REAL *left, int64_t n_left, const REAL *right, int64_t n_right, int64_t n_col,
               REAL *out, int64_t ld, int lower, int add, ahead_t *ahead)
{
    enum { P = MDL_REAL_PANEL, V = P / LANES, GROUP = 3 / V > 0 ? 3 / V : 1 };
    int64_t n_panel = mdl_real_padded(n_right) / P;
    for (int64_t panel = 0; panel < n_panel; panel += GROUP) {
        const REAL *b = right + panel * P * n_col;
        for (int64_t i = lower ? panel * P : 0, n_row = 4; i < n_left; i += n_row) {
            const REAL *a = left + i / P * P * n_col + i % P;
            REAL *tile = out + i * ld + panel * P;
            int64_t n = (lower ? (i + 3) / P + 1 : n_panel) - panel;
            n_row = n == 1 && V == 1 ? P : 4;
            if (n >= GROUP)
                multiply_tile(a, b, n_col, 4, GROUP * V, tile, ld, add, ahead);
            else if (n == 2)
                multiply_tile(a, b, n_col, 4, 2 * V, tile, ld, add, ahead);
            else
                multiply_tile(a, b, n_col, V == 1 ? P : 4, V, tile, ld, add, ahead);
            for (int r = 0; ahead != NULL && r < AHEAD && ahead->n_left > 0; r++, ahead->n_left--)
                ahead->row += ahead->stride;
        }
    }
}

/* The first place in work that vector loads may take. */
static REAL *align_work(REAL *work)
{
    return (REAL *)(((uintptr_t)work + 63) & ~(uintptr_t)63);
}

/* Gram matrix of the centred rows times scale. */
static void gram_of_centred(const REAL *x, int64_t n, int64_t n_feat, REAL *work, REAL scale,
                            REAL *gram)
{
    REAL base[MDL_REAL_DEPTH], rest[MDL_REAL_DEPTH];
    REAL *packed = align_work(work);
    for (int64_t first = 0; first < n_feat; first += MDL_REAL_DEPTH) {
        int64_t n_col = n_feat - first < MDL_REAL_DEPTH ? n_feat - first : MDL_REAL_DEPTH;
        block_means(x + first, n, n_feat, n_col, base, rest);
        pack_block(x + first, n, n_feat, n_col, base, rest, scale, packed);
        ahead_t ahead = {.row = packed};
        if (first + n_col < n_feat && n > AHEAD)
            ahead = (ahead_t){.row = x + first + n_col, .stride = n_feat, .n_left = n - AHEAD};
        multiply_block(packed, n, packed, n, n_col, gram, mdl_real_padded(n), 1, first > 0, &ahead);
    }
}

/* Index of the first value that isn't finite or too far from its column's others, else -1. */
static int64_t find_bad(const REAL *x, int64_t n, int64_t n_feat)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n_feat; j++)
            if (!isfinite(4 * (x[i * n_feat + j] - x[j])))
                return isfinite(x[j]) ? i * n_feat + j : j;
    return -1;
}

/* Half the binary exponent of the longest row's squared length; INT_MAX when it says nothing: zero,
 * or near what REAL can hold. */
static int exponent_of_gram(const REAL *gram, int64_t n)
{
    int64_t ld = mdl_real_padded(n);
    REAL largest = 0;
    for (int64_t i = 0; i < n; i++)
        largest =
            gram[i * ld + i] > largest || isnan(gram[i * ld + i]) ? gram[i * ld + i] : largest;
    if (!(largest > SMALL_SQUARE && largest < 1 / SMALL_SQUARE))
        return INT_MAX;
    int exponent = ilogb(largest);
    return exponent >= 0 ? exponent / 2 : -((1 - exponent) / 2);
}

/* The power of two that brings the largest distance from a column's mean near 1; 0 when all are
 * 0. */
static int exponent_of_rows(const REAL *x, int64_t n, int64_t n_feat)
{
    double spread = 0;
    for (int64_t j = 0; j < n_feat; j++) {
        double mean = 0;
        for (int64_t i = 0; i < n; i++)
            mean += (double)x[i * n_feat + j] - (double)x[j];
        for (int64_t i = 0; i < n; i++)
            spread =
                fmax(spread, fabs((double)x[i * n_feat + j] - (double)x[j] - mean / (double)n));
    }
    int limit = REAL_MAX_EXPONENT - 2, exponent = spread > 0 ? -ilogb(spread) : 0;
    return exponent > limit ? limit : exponent < -limit ? -limit : exponent;
}

static int64_t batch_gram(const void *values, int64_t n, int64_t n_feat, void *work, void *out,
                          int *exponent)
{
    const REAL *x = values;
    REAL *gram = out;
    *exponent = 0;
    gram_of_centred(x, n, n_feat, work, 1, gram);
    int half = exponent_of_gram(gram, n);
    if (half == INT_MAX) {
        int64_t bad = find_bad(x, n, n_feat);
        if (bad >= 0)
            return bad;
        *exponent = exponent_of_rows(x, n, n_feat);
        gram_of_centred(x, n, n_feat, work, (REAL)ldexp(1, *exponent), gram);
        half = exponent_of_gram(gram, n);
        half = half == INT_MAX ? 0 : half;
    }
    if (half != 0) {
        REAL scale = (REAL)ldexp(1, -2 * half);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < mdl_real_padded(i + 1); j++)
                gram[i * mdl_real_padded(n) + j] *= scale;
        *exponent -= half;
    }
    return -1;
}

static void pack(const void *values, int64_t n, int64_t n_feat, const double *reference,
                 const double *mean, double scale, void *packed)
{
    REAL base[MDL_REAL_DEPTH], rest[MDL_REAL_DEPTH];
    for (int64_t first = 0; first < n_feat; first += MDL_REAL_DEPTH) {
        int64_t n_col = n_feat - first < MDL_REAL_DEPTH ? n_feat - first : MDL_REAL_DEPTH;
        for (int64_t k = 0; k < n_col; k++) {
            double whole = reference[first + k] + (REAL_BITS == 32 ? mean[first + k] : 0);
            base[k] = (REAL)whole;
            rest[k] = (REAL)(reference[first + k] - (double)base[k] + mean[first + k]);
        }
        pack_block((const REAL *)values + first, n, n_feat, n_col, base, rest, (REAL)scale,
                   (REAL *)packed + first * mdl_real_padded(n));
    }
}

static void packed_norms(const void *packed, int64_t n, int64_t n_feat, double *norm)
{
    enum { P = MDL_REAL_PANEL };
    memset(norm, 0, (size_t)n * sizeof *norm);
    for (int64_t first = 0; first < n_feat; first += MDL_REAL_DEPTH) {
        int64_t n_col = n_feat - first < MDL_REAL_DEPTH ? n_feat - first : MDL_REAL_DEPTH;
        const REAL *block = (const REAL *)packed + first * mdl_real_padded(n);
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < n_col; k++) {
                double value = (double)block[i / P * P * n_col + k * P + i % P];
                norm[i] += value * value;
            }
    }
}

/* Squares of SIDE x SIDE products are finished one after the other, so that they stay in the cache
 * while the columns go through. */
static void gram_of(const void *x, int64_t n_x, const void *y, int64_t n_y, int64_t n_feat,
                    void *out)
{
    enum { SIDE = 256 };
    int64_t rows = mdl_real_padded(n_x), ld = mdl_real_padded(n_y);
    const REAL *left = x, *right = y;
    REAL *gram = out;
    for (int64_t i = 0; i < rows; i += SIDE) {
        int64_t n_i = rows - i < SIDE ? rows - i : SIDE;
        for (int64_t j = 0; j < ld && (x != y || j <= i); j += SIDE) {
            int64_t n_j = ld - j < SIDE ? ld - j : SIDE;
            for (int64_t first = 0; first < n_feat; first += MDL_REAL_DEPTH) {
                int64_t n_col = n_feat - first < MDL_REAL_DEPTH ? n_feat - first : MDL_REAL_DEPTH;
                multiply_block(left + first * rows + i * n_col, n_i, right + first * ld + j * n_col,
                               n_j, n_col, gram + i * ld + j, ld, x == y && i == j, first > 0,
                               NULL);
            }
        }
    }
}
