#include "similarity/settled.h"

#include "similarity/similarity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* No similarity is known better. */
#define ROUNDING 1e-15

typedef struct {
    const mdl_settled_cut_t *cut;
    int n;
    int64_t n_pair, n_unit;
    double *ratio;     /* [n_pair] */
    double *influence; /* [n_unit, n_pair] a unit's share of a ratio's error */
    double *distance;  /* [n, n] */
    double *linkage;   /* [n - 1, 4] */
    char *member;      /* [2n - 1, n] models of a node */
    int *top;          /* [2n - 1] the largest node below the cut that a node is part of */
    int *gone;         /* [2n - 1] number of the merge that takes a node up */
    double *weight;    /* [n_pair] of the comparison that is tested */
    int64_t *used;     /* [n_pair] pairs whose weight isn't 0 */
    mdl_settled_t *out;
} test_t;

double mdl_settled_tail(double t, int64_t n)
{
    double angle = atan(t / sqrt((double)n)), sine = sin(angle), square = cos(angle) * cos(angle);
    double term = 1, sum = 0;
    for (int64_t k = n % 2 == 0 ? 1 : 2; k < n; k += 2) {
        sum += term;
        term *= (double)k / (double)(k + 1) * square;
    }
    double inside = n % 2 == 0 ? sine * sum : (angle + sine * cos(angle) * sum) / atan(INFINITY);
    return fmax(0, (1 - inside) / 2);
}

/* Ratios, their influences and distances; 0 when some ratio is undefined. */
static int take_ratios(test_t *test, const double *hsic, const double *unit)
{
    int n = test->n;
    for (int a = 0; a < n; a++)
        if (!(hsic[mdl_cka_pair(a, a)] > 0))
            return 0;
    for (int a = 0; a < n; a++) {
        for (int b = 0; b < a; b++) {
            int64_t ab = mdl_cka_pair(a, b), aa = mdl_cka_pair(a, a), bb = mdl_cka_pair(b, b);
            double norm = sqrt(hsic[aa]) * sqrt(hsic[bb]), ratio = hsic[ab] / norm;
            test->ratio[ab] = ratio;
            test->distance[a * n + b] = test->distance[b * n + a] = 1 - ratio;
            for (int64_t k = 0; k < test->n_unit; k++) {
                const double *u = unit + k * test->n_pair;
                test->influence[k * test->n_pair + ab] =
                    u[ab] / norm - ratio / 2 * (u[aa] / hsic[aa] + u[bb] / hsic[bb]);
            }
        }
    }
    return 1;
}

static void describe_tree(test_t *test)
{
    int n = test->n;
    for (int node = 0; node < 2 * n - 1; node++) {
        test->top[node] = node;
        test->gone[node] = n;
        if (node < n)
            test->member[node * n + node] = 1;
    }
    for (int k = 0; k < n - 1; k++) {
        const double *row = test->linkage + 4 * k;
        for (int part = 0; part < 2; part++) {
            int child = (int)row[part];
            test->gone[child] = k;
            for (int i = 0; i < n; i++)
                test->member[(n + k) * n + i] |= test->member[child * n + i];
        }
    }
    for (int k = n - 2; k >= 0; k--) {
        const double *row = test->linkage + 4 * k;
        if (row[2] <= 1 - test->cut->threshold)
            test->top[(int)row[0]] = test->top[(int)row[1]] = test->top[n + k];
    }
}

/* Adds the similarity of two nodes to the comparison: the mean over their pairs, or the pair that
 * the linkage goes by. */
static void weigh(test_t *test, int x, int y, double sign)
{
    int n = test->n, n_x = 0, n_y = 0;
    int64_t deciding = -1;
    const char *in_x = test->member + x * n, *in_y = test->member + y * n;
    mdl_linkage_t linkage = test->cut->linkage;
    for (int i = 0; i < n; i++) {
        n_x += in_x[i];
        n_y += in_y[i];
    }
    for (int a = 0; a < n; a++) {
        for (int b = 0; in_x[a] && b < n; b++) {
            if (!in_y[b])
                continue;
            int64_t pair = a > b ? mdl_cka_pair(a, b) : mdl_cka_pair(b, a);
            if (linkage == MDL_LINKAGE_AVERAGE)
                test->weight[pair] += sign / (n_x * n_y);
            else if (deciding < 0 ||
                     (linkage == MDL_LINKAGE_COMPLETE ? test->ratio[pair] < test->ratio[deciding]
                                                      : test->ratio[pair] > test->ratio[deciding]))
                deciding = pair;
        }
    }
    if (deciding >= 0)
        test->weight[deciding] += sign;
}

/* The chance that the weighted sum of ratios plus offset has the other sign; clears the weights. */
static void decide(test_t *test, double offset, int first, int second, int rival)
{
    double margin = offset, squares = 0, n = (double)test->n_unit;
    int64_t n_used = 0;
    for (int64_t pair = 0; pair < test->n_pair; pair++)
        if (test->weight[pair] != 0)
            test->used[n_used++] = pair;
    for (int64_t u = 0; u < n_used; u++)
        margin += test->weight[test->used[u]] * test->ratio[test->used[u]];
    for (int64_t k = 0; k < test->n_unit; k++) {
        const double *influence = test->influence + k * test->n_pair;
        double sum = 0;
        for (int64_t u = 0; u < n_used; u++)
            sum += test->weight[test->used[u]] * influence[test->used[u]];
        squares += sum * sum;
    }
    memset(test->weight, 0, (size_t)test->n_pair * sizeof *test->weight);
    double error = fmax(sqrt(squares * n / (n - 1)), ROUNDING);
    double tail = margin == 0 ? 0.5 : mdl_settled_tail(fabs(margin) / error, test->n_unit - 1);
    mdl_settled_t *out = test->out;
    if (out->first < 0 || tail > out->tail)
        *out = (mdl_settled_t){.doubt = out->doubt,
                               .first = first,
                               .second = second,
                               .rival = rival,
                               .margin = margin,
                               .standard_error = error,
                               .tail = tail};
    out->doubt += tail;
}

static int first_member(const test_t *test, int node)
{
    int i = 0;
    while (!test->member[node * test->n + i])
        i++;
    return i;
}

/* Could what is outside of their cluster be nearer to one of the parts than they are to each other?
 */
static void decide_rivals(test_t *test, int merge, const int parts[2])
{
    int n = test->n;
    for (int node = 0; node < n + merge; node++) {
        if (test->gone[node] < merge || test->top[node] == test->top[n + merge])
            continue;
        for (int p = 0; p < 2; p++) {
            weigh(test, parts[0], parts[1], 1);
            weigh(test, parts[p], node, -1);
            decide(test, 0, first_member(test, parts[p]), first_member(test, parts[1 - p]),
                   first_member(test, node));
        }
    }
}

static void decide_all(test_t *test)
{
    double height = 1 - test->cut->threshold;
    for (int k = 0; k < test->n - 1; k++) {
        const double *row = test->linkage + 4 * k;
        int parts[2] = {(int)row[0], (int)row[1]};
        weigh(test, parts[0], parts[1], 1);
        decide(test, -test->cut->threshold, first_member(test, parts[0]),
               first_member(test, parts[1]), -1);
        if (row[2] <= height && test->cut->linkage != MDL_LINKAGE_SINGLE)
            decide_rivals(test, k, parts);
    }
}

static int allocate(test_t *test, mdl_error_t *err)
{
    size_t n = (size_t)test->n, n_pair = (size_t)test->n_pair;
    int rc;
    MDL_TRY(mdl_alloc(&test->ratio, n_pair, sizeof(double), "ratios", err));
    MDL_TRY(mdl_alloc(&test->influence, (size_t)test->n_unit * n_pair, sizeof(double),
                      "influences of batches", err));
    MDL_TRY(mdl_alloc(&test->distance, n * n, sizeof(double), "distances", err));
    MDL_TRY(mdl_alloc(&test->linkage, 4 * n, sizeof(double), "the linkage", err));
    MDL_TRY(mdl_alloc(&test->member, 2 * n * n, 1, "members of clusters", err));
    MDL_TRY(mdl_alloc(&test->top, 2 * n, sizeof(int), "clusters", err));
    MDL_TRY(mdl_alloc(&test->gone, 2 * n, sizeof(int), "merges", err));
    MDL_TRY(mdl_alloc(&test->weight, n_pair, sizeof(double), "a comparison", err));
    MDL_TRY(mdl_alloc(&test->used, n_pair, sizeof(int64_t), "a comparison", err));
done:
    return rc;
}

int mdl_settled_test(const double *hsic, const double *unit, int64_t n_unit, int n_model,
                     const mdl_settled_cut_t *cut, mdl_settled_t *settled, mdl_error_t *err)
{
    test_t test = {.cut = cut,
                   .n = n_model,
                   .n_pair = mdl_cka_pair(n_model, 0),
                   .n_unit = n_unit,
                   .out = settled};
    int rc;
    *settled = (mdl_settled_t){.first = -1, .second = -1, .rival = -1};
    MDL_TRY(allocate(&test, err));
    if (n_unit < 2 || !take_ratios(&test, hsic, unit)) {
        settled->doubt = 1;
        goto done;
    }
    MDL_TRY(mdl_linkage(test.distance, n_model, cut->linkage, test.linkage, err));
    describe_tree(&test);
    decide_all(&test);
    settled->doubt = fmin(1, settled->doubt);
done:
    free(test.ratio);
    free(test.influence);
    free(test.distance);
    free(test.linkage);
    free(test.member);
    free(test.top);
    free(test.gone);
    free(test.weight);
    free(test.used);
    return rc;
}
