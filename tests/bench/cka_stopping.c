/* How often sequential stopping ends with clusters that all rows don't give, and after how many
 * rows: the HSICs of every batch are computed once, then many random orders are gone through. */
#include "similarity/archives.h"
#include "similarity/similarity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int n_model;
    int64_t n_pair, n_batch;
    const double *unit; /* [n_batch, n_pair] */
    mdl_stopping_t stopping;
    int32_t *truth, *label; /* [n_model] */
    double *hsic, *read;    /* [n_pair], [n_batch, n_pair] */
    int64_t *order;
} bench_t;

static int cluster(const bench_t *b, const double *hsic, int32_t *label, mdl_error_t *err)
{
    int n = b->n_model;
    double distance[n * n], tree[4 * n];
    int64_t n_cluster;
    for (int i = 0; i < n; i++) {
        distance[i * n + i] = 0;
        for (int j = 0; j < i; j++)
            distance[i * n + j] = distance[j * n + i] =
                1 - hsic[mdl_cka_pair(i, j)] /
                        sqrt(hsic[mdl_cka_pair(i, i)] * hsic[mdl_cka_pair(j, j)]);
    }
    int rc = mdl_linkage(distance, n, b->stopping.cut.linkage, tree, err);
    if (rc == MDL_OK)
        rc = mdl_linkage_cut(tree, n, 1 - b->stopping.cut.threshold, label, &n_cluster, err);
    return rc;
}

/* One order: batches read, whether the clusters were settled. */
static int64_t go_through(const bench_t *b, int *decided, mdl_error_t *err)
{
    int64_t looks[MDL_STOPPING_MOST], n = 0;
    int n_look = mdl_stopping_looks(b->n_batch, looks);
    *decided = 0;
    memset(b->hsic, 0, (size_t)b->n_pair * sizeof(double));
    for (int l = 0; l < n_look && !*decided; l++) {
        mdl_settled_t settled;
        for (; n < looks[l]; n++) {
            const double *unit = b->unit + b->order[n] * b->n_pair;
            memcpy(b->read + n * b->n_pair, unit, (size_t)b->n_pair * sizeof(double));
            for (int64_t p = 0; p < b->n_pair; p++)
                b->hsic[p] += unit[p];
        }
        if (mdl_settled_test(b->hsic, b->read, n, b->n_model, &b->stopping.cut, &settled, err) !=
            MDL_OK)
            exit(err->code);
        *decided = mdl_stopping_is_settled(&settled, b->stopping.alpha, n_look);
    }
    return n;
}

static int ascending(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static void simulate(bench_t *b, int n_order, int64_t batch, mdl_error_t *err)
{
    int n_wrong = 0, n_decided = 0;
    int64_t *read = calloc((size_t)n_order, sizeof *read);
    if (cluster(b, b->hsic, b->truth, err) != MDL_OK)
        exit(err->code);
    for (int o = 0; o < n_order; o++) {
        int decided;
        mdl_stopping_order(b->order, b->n_batch, (uint64_t)o + 1);
        read[o] = go_through(b, &decided, err) * batch;
        if (cluster(b, b->hsic, b->label, err) != MDL_OK)
            exit(err->code);
        n_decided += decided;
        n_wrong +=
            decided && memcmp(b->truth, b->label, (size_t)b->n_model * sizeof *b->label) != 0;
    }
    qsort(read, (size_t)n_order, sizeof *read, ascending);
    double all = (double)(b->n_batch * batch);
    printf("%d models, %lld batches of %lld, threshold %g, alpha %g, %d orders: wrong %.1f%%, "
           "undecided %.1f%%, rows median %lld (%.0f%%) p90 %lld max %lld\n",
           b->n_model, (long long)b->n_batch, (long long)batch, b->stopping.cut.threshold,
           b->stopping.alpha, n_order, 100.0 * n_wrong / n_order, 100 - 100.0 * n_decided / n_order,
           (long long)read[n_order / 2], 100 * (double)read[n_order / 2] / all,
           (long long)read[n_order * 9 / 10], (long long)read[n_order - 1]);
    free(read);
}

/* bench_cka_stopping BATCH LINKAGE ALPHA ORDERS THRESHOLD[,THRESHOLD...] FILE.h5... */
int main(int argc, char **argv)
{
    mdl_error_t err = {.rank = -1};
    mdl_cka_archives_t archives;
    mdl_cka_sums_t sums;
    if (argc < 8) {
        fprintf(stderr, "usage: %s BATCH LINKAGE ALPHA ORDERS THRESHOLD,... FILE.h5...\n", argv[0]);
        return 64;
    }
    MPI_Init(&argc, &argv);
    mdl_cka_settings_t settings = {.estimator = MDL_CKA_MINIBATCH, .batch = atoll(argv[1])};
    int rc = mdl_cka_archives_open(&archives, (const char *const *)argv + 6, argc - 6, 0, &err);
    if (rc == MDL_OK) {
        settings.precision = mdl_cka_archives_precision(&archives);
        rc = mdl_cka_hsic(MPI_COMM_SELF, &settings, archives.models, archives.n_model,
                          archives.n_sample, &sums, &err);
    }
    if (rc != MDL_OK) {
        fprintf(stderr, "%s\n", err.text);
        return rc;
    }
    int n = archives.n_model;
    bench_t b = {.n_model = n,
                 .n_pair = mdl_cka_pair(n, 0),
                 .n_batch = sums.n_unit,
                 .unit = sums.unit,
                 .stopping = {.cut.linkage = mdl_linkage_named(argv[2]), .alpha = atof(argv[3])}};
    b.truth = calloc((size_t)n, sizeof *b.truth);
    b.label = calloc((size_t)n, sizeof *b.label);
    b.hsic = calloc((size_t)b.n_pair, sizeof *b.hsic);
    b.read = calloc((size_t)(b.n_batch * b.n_pair), sizeof *b.read);
    b.order = calloc((size_t)b.n_batch, sizeof *b.order);
    for (char *at = strtok(argv[5], ","); at != NULL; at = strtok(NULL, ",")) {
        b.stopping.cut.threshold = atof(at);
        memcpy(b.hsic, sums.hsic, (size_t)b.n_pair * sizeof *b.hsic);
        simulate(&b, atoi(argv[4]), settings.batch, &err);
    }
    free(b.truth);
    free(b.label);
    free(b.hsic);
    free(b.read);
    free(b.order);
    mdl_cka_sums_free(&sums);
    mdl_cka_archives_close(&archives);
    return MPI_Finalize();
}
