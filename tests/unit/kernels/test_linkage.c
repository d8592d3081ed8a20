/* Linkage, flat clusters and medoids against SciPy's answers (tests/reference/cluster_cases.txt).
 */
#include "kernels/linkage.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MAX = 32 };

typedef struct {
    int n;
    mdl_linkage_t method;
    double threshold;
    double similarity[MAX * MAX], linkage[MAX * 4];
    int label[MAX], medoid[MAX];
} case_t;

static void read_numbers(FILE *file, int n, double *values)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(fscanf(file, "%lf", &values[i]), 1);
}

static int read_case(FILE *file, case_t *c)
{
    char method[16];
    if (fscanf(file, "%d %15s %lf", &c->n, method, &c->threshold) != 3)
        return 0;
    assert_in_range(c->n, 1, MAX);
    c->method = strcmp(method, "average") == 0    ? MDL_LINKAGE_AVERAGE
                : strcmp(method, "complete") == 0 ? MDL_LINKAGE_COMPLETE
                                                  : MDL_LINKAGE_SINGLE;
    read_numbers(file, c->n * c->n, c->similarity);
    read_numbers(file, 4 * (c->n - 1), c->linkage);
    int n_cluster = 0;
    for (int i = 0; i < c->n; i++) {
        assert_int_equal(fscanf(file, "%d", &c->label[i]), 1);
        n_cluster = c->label[i] >= n_cluster ? c->label[i] + 1 : n_cluster;
    }
    for (int k = 0; k < n_cluster; k++)
        assert_int_equal(fscanf(file, "%d", &c->medoid[k]), 1);
    return n_cluster;
}

static void check_case(const case_t *c, int n_expected)
{
    double distance[MAX * MAX], linkage[MAX * 4];
    int32_t label[MAX], medoid[MAX];
    int64_t n_cluster;
    mdl_error_t err;
    for (int i = 0; i < c->n * c->n; i++)
        distance[i] = 1 - c->similarity[i];
    assert_int_equal(mdl_linkage(distance, c->n, c->method, linkage, &err), MDL_OK);
    for (int i = 0; i < 4 * (c->n - 1); i++)
        if (linkage[i] != c->linkage[i])
            fail_msg("n %d: linkage[%d][%d] is %.17g, SciPy says %.17g", c->n, i / 4, i % 4,
                     linkage[i], c->linkage[i]);
    assert_int_equal(mdl_linkage_cut(linkage, c->n, 1 - c->threshold, label, &n_cluster, &err),
                     MDL_OK);
    assert_int_equal(n_cluster, n_expected);
    mdl_linkage_medoids(distance, c->n, label, n_cluster, medoid);
    for (int i = 0; i < c->n; i++)
        assert_int_equal(label[i], c->label[i]);
    for (int k = 0; k < n_cluster; k++)
        assert_int_equal(medoid[k], c->medoid[k]);
}

static void linkage_labels_and_medoids_are_those_of_scipy(void **state)
{
    (void)state;
    FILE *file = fopen(MORDAL_SOURCE_DIR "/tests/reference/cluster_cases.txt", "r");
    assert_non_null(file);
    static case_t c;
    int n_case = 0, n_cluster;
    while ((n_cluster = read_case(file, &c)) > 0) {
        check_case(&c, n_cluster);
        n_case++;
    }
    fclose(file);
    assert_int_equal(n_case, 9 * 3 * 4);
}

static void a_single_model_is_a_cluster(void **state)
{
    (void)state;
    double distance = 0, linkage[4];
    int32_t label = -1, medoid = -1;
    int64_t n_cluster;
    mdl_error_t err;
    assert_int_equal(mdl_linkage(&distance, 1, MDL_LINKAGE_AVERAGE, linkage, &err), MDL_OK);
    assert_int_equal(mdl_linkage_cut(linkage, 1, 0.3, &label, &n_cluster, &err), MDL_OK);
    mdl_linkage_medoids(&distance, 1, &label, n_cluster, &medoid);
    assert_int_equal(n_cluster, 1);
    assert_int_equal(label, 0);
    assert_int_equal(medoid, 0);
}

/* The cut includes merges at exactly 1 - threshold. */
static void a_merge_at_the_threshold_is_made(void **state)
{
    (void)state;
    double distance[4] = {0, 1 - 0.7, 1 - 0.7, 0}, linkage[4];
    int32_t label[2];
    int64_t n_cluster;
    mdl_error_t err;
    assert_int_equal(mdl_linkage(distance, 2, MDL_LINKAGE_AVERAGE, linkage, &err), MDL_OK);
    assert_int_equal(mdl_linkage_cut(linkage, 2, 1 - 0.7, label, &n_cluster, &err), MDL_OK);
    assert_int_equal(n_cluster, 1);
    assert_int_equal(mdl_linkage_cut(linkage, 2, nextafter(1 - 0.7, 0), label, &n_cluster, &err),
                     MDL_OK);
    assert_int_equal(n_cluster, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linkage_labels_and_medoids_are_those_of_scipy),
        cmocka_unit_test(a_single_model_is_a_cluster),
        cmocka_unit_test(a_merge_at_the_threshold_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
