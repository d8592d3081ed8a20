/* Where a mixture starts: k-means++ and Lloyd's rounds. */
#include "models/random_uniform.h"
#include "score/mixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const double *x; /* [n_row, n_dim] */
    int64_t n_row, n_dim, n_part;
    double *mean;     /* [n_part, n_dim] */
    double *distance; /* [n_row] squared, to the nearest mean */
    int64_t *count;   /* [n_part] */
    float *draw;      /* [n_part] */
} start_t;

static double squared_distance(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++)
        sum += (a[j] - b[j]) * (a[j] - b[j]);
    return sum;
}

/* The row at the drawn place (0 to 1) of the summed distances. */
static int64_t pick(const start_t *s, double place)
{
    double total = 0, below = 0;
    for (int64_t i = 0; i < s->n_row; i++)
        total += s->distance[i];
    for (int64_t i = 0; i < s->n_row; i++) {
        below += s->distance[i];
        if (below > place * total)
            return i;
    }
    return s->n_row - 1;
}

/* k-means++: each next mean is a row, drawn with its squared distance to the means so far. */
static void seed_means(start_t *s)
{
    for (int64_t i = 0; i < s->n_row; i++)
        s->distance[i] = 1;
    for (int64_t v = 0; v < s->n_part; v++) {
        int64_t row = pick(s, 0.5 * (1 + (double)s->draw[v]));
        double *mean = s->mean + v * s->n_dim;
        memcpy(mean, s->x + row * s->n_dim, (size_t)s->n_dim * sizeof *mean);
        for (int64_t i = 0; i < s->n_row; i++) {
            double d = squared_distance(s->x + i * s->n_dim, mean, s->n_dim);
            s->distance[i] = v == 0 ? d : fmin(s->distance[i], d);
        }
    }
}

/* Puts every row to its nearest mean (ties: the first); returns how many moved. */
static int64_t assign(start_t *s, int32_t *part)
{
    int64_t n_moved = 0;
    memset(s->count, 0, (size_t)s->n_part * sizeof *s->count);
    for (int64_t i = 0; i < s->n_row; i++) {
        int32_t nearest = 0;
        s->distance[i] = INFINITY;
        for (int32_t v = 0; v < s->n_part; v++) {
            double d = squared_distance(s->x + i * s->n_dim, s->mean + v * s->n_dim, s->n_dim);
            if (d < s->distance[i]) {
                s->distance[i] = d;
                nearest = v;
            }
        }
        n_moved += part[i] != nearest;
        part[i] = nearest;
        s->count[nearest]++;
    }
    return n_moved;
}

/* Gives an empty part the row that is furthest from its mean among those that aren't alone. */
static void fill_empty(start_t *s, int32_t *part)
{
    for (int32_t v = 0; v < s->n_part; v++) {
        int64_t furthest = -1;
        if (s->count[v] > 0)
            continue;
        for (int64_t i = 0; i < s->n_row; i++)
            if (s->count[part[i]] > 1 && (furthest < 0 || s->distance[i] > s->distance[furthest]))
                furthest = i;
        s->count[part[furthest]]--;
        s->count[v] = 1;
        s->distance[furthest] = 0;
        part[furthest] = v;
    }
}

static void average(start_t *s, const int32_t *part)
{
    memset(s->mean, 0, (size_t)(s->n_part * s->n_dim) * sizeof *s->mean);
    for (int64_t i = 0; i < s->n_row; i++)
        for (int64_t j = 0; j < s->n_dim; j++)
            s->mean[part[i] * s->n_dim + j] += s->x[i * s->n_dim + j] / (double)s->count[part[i]];
}

int mdl_mixture_start(const double *x, int64_t n_row, int64_t n_dim, int64_t n_part, uint64_t seed,
                      int32_t *part, mdl_error_t *err)
{
    start_t s = {.x = x, .n_row = n_row, .n_dim = n_dim, .n_part = n_part};
    int rc;
    MDL_TRY(mdl_alloc(&s.mean, (size_t)(n_part * n_dim), sizeof *s.mean, "means", err));
    MDL_TRY(mdl_alloc(&s.distance, (size_t)n_row, sizeof *s.distance, "distances", err));
    MDL_TRY(mdl_alloc(&s.count, (size_t)n_part, sizeof *s.count, "counts", err));
    MDL_TRY(mdl_alloc(&s.draw, (size_t)n_part, sizeof *s.draw, "draws", err));
    mdl_random_uniform(s.draw, n_part, 1, seed, 0);
    seed_means(&s);
    memset(part, -1, (size_t)n_row * sizeof *part);
    for (int round = 0; round < 300 && assign(&s, part) > 0; round++) {
        fill_empty(&s, part);
        average(&s, part);
    }
    fill_empty(&s, part);
done:
    free(s.mean);
    free(s.distance);
    free(s.count);
    free(s.draw);
    return rc;
}
