/* Clusters and candidate clusters by hand, and their files: written, read back, refused. */
#include "cluster/group.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char *ve_names[] = {"dino", "eff", "ocr"};
static char *lm_names[] = {"a-lm", "b-lm"};

static mdl_provenance_t provenance(const char *schema)
{
    return (mdl_provenance_t){.schema = schema, .version = 1, .configuration = "threshold=0.7\n"};
}

/* dino and eff are alike, ocr is not. */
static mdl_similarity_t vision_similarity(double *values)
{
    static const double similarity[9] = {1, .8, .1, .8, 1, -.2, .1, -.2, 1};
    memcpy(values, similarity, sizeof similarity);
    return (mdl_similarity_t){.n_model = 3,
                              .n_sample = 64,
                              .models = ve_names,
                              .similarity = values,
                              .side = "vision",
                              .label = "pooled"};
}

static void cluster_vision(mdl_clusters_t *clusters)
{
    double values[9];
    mdl_similarity_t similarity = vision_similarity(values);
    mdl_error_t err = {.rank = -1};
    assert_int_equal(mdl_group_clusters(&similarity, "average", .7, clusters, &err), MDL_OK);
}

static void clusters_are_numbered_by_first_model_and_ties_go_by_name(void **state)
{
    (void)state;
    mdl_clusters_t c;
    cluster_vision(&c);
    assert_int_equal(c.n_cluster, 2);
    assert_int_equal(c.label[0], 0);
    assert_int_equal(c.label[1], 0);
    assert_int_equal(c.label[2], 1);
    assert_int_equal(c.medoid[0], 0);
    assert_int_equal(c.medoid[1], 2);
    mdl_group_clusters_free(&c);
}

/* The second and the fourth of five models have no similarity: they are alone, and the others'
 * merges are those of the three without them. */
static void undefined_models_are_clusters_of_their_own(void **state)
{
    (void)state;
    static char *names[] = {"a", "b", "c", "d", "e"};
    static const int at[] = {0, 2, 4};
    double three[9], values[25],
        merges[16] = {0, 2, 1 - .8, 2, 4, 5, 0, 3, 1, 6, INFINITY, 4, 3, 7, INFINITY, 5};
    uint8_t status[25];
    mdl_error_t err = {.rank = -1};
    mdl_clusters_t c;
    vision_similarity(three);
    for (int i = 0; i < 25; i++) {
        status[i] = MDL_SIMILARITY_CONSTANT;
        values[i] = NAN;
    }
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            values[5 * at[i] + at[j]] = three[3 * i + j];
            status[5 * at[i] + at[j]] = MDL_SIMILARITY_DEFINED;
        }
    }
    mdl_similarity_t similarity = {.n_model = 5,
                                   .models = names,
                                   .similarity = values,
                                   .status = status,
                                   .side = "vision",
                                   .label = "pooled",
                                   .n_sample = 64};
    merges[6] = 1 - (three[2] + three[5]) / 2;
    for (int t = 0; t < 2; t++) { /* at -1 all that is defined is one cluster, and nothing more */
        static const int32_t labels[2][5] = {{0, 1, 0, 2, 3}, {0, 1, 0, 2, 0}};
        assert_int_equal(mdl_group_clusters(&similarity, "average", t == 0 ? .7 : -1, &c, &err),
                         MDL_OK);
        for (int i = 0; i < 16; i++)
            if (!(c.linkage[i] == merges[i] || fabs(c.linkage[i] - merges[i]) < 1e-15))
                fail_msg("linkage[%d] is %g, not %g", i, c.linkage[i], merges[i]);
        assert_int_equal(c.n_cluster, t == 0 ? 4 : 3);
        assert_memory_equal(c.label, labels[t], sizeof labels[t]);
        mdl_group_clusters_free(&c);
    }
    mdl_provenance_t from = provenance(MDL_SIMILARITY_SCHEMA);
    mdl_similarity_t back;
    assert_int_equal(mdl_similarity_write("undefined.h5", &from, &similarity, &err), MDL_OK);
    assert_int_equal(mdl_similarity_read("undefined.h5", &back, &err), MDL_OK);
    assert_memory_equal(back.status, status, sizeof status);
    assert_true(isnan(back.similarity[1]) && back.similarity[2] == values[2]);
    mdl_similarity_free(&back);
    values[7] = .5; /* a number where the status says that there is none */
    values[11] = .5;
    assert_int_equal(mdl_similarity_write("undefined.h5", &from, &similarity, &err), MDL_OK);
    assert_int_equal(mdl_similarity_read("undefined.h5", &back, &err), MDL_E_INPUT);
    values[7] = values[11] = NAN;
    status[2] = status[10] = MDL_SIMILARITY_ZERO; /* undefined for no model's reason */
    values[2] = values[10] = NAN;
    assert_int_equal(mdl_similarity_write("undefined.h5", &from, &similarity, &err), MDL_OK);
    assert_int_equal(mdl_similarity_read("undefined.h5", &back, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "/status of c and a"));
    for (int i = 0; i < 25; i++) {
        values[i] = NAN;
        status[i] = MDL_SIMILARITY_ZERO;
    }
    assert_int_equal(mdl_group_clusters(&similarity, "single", .7, &c, &err), MDL_OK);
    assert_int_equal(c.n_cluster, 5);
    mdl_group_clusters_free(&c);
}

static mdl_clusters_t language(int together)
{
    static double merge[4] = {0, 1, .1, 2};
    static int32_t labels[2][2] = {{0, 1}, {0, 0}}, medoids[2][2] = {{0, 1}, {1, 1}};
    return (mdl_clusters_t){.n_model = 2,
                            .n_cluster = together ? 1 : 2,
                            .models = lm_names,
                            .linkage = merge,
                            .label = labels[together],
                            .medoid = medoids[together],
                            .threshold = .8,
                            .method = "average",
                            .side = "language"};
}

static void candidates_are_each_encoders_cluster_times_its_language_clusters(void **state)
{
    (void)state;
    mdl_clusters_t vision, sides[2] = {language(0), language(1)};
    mdl_candidates_t c, back;
    mdl_error_t err = {.rank = -1};
    mdl_provenance_t from = provenance(MDL_CANDIDATES_SCHEMA);
    cluster_vision(&vision);
    assert_int_equal(mdl_group_candidates(&vision, sides, &c, &err), MDL_OK);
    static const int32_t cluster[6] = {0, 1, 0, 1, 2, 2}, medoid[3] = {0, 1, 5};
    assert_int_equal(c.n_candidate, 6);
    assert_int_equal(c.n_cluster, 3);
    assert_memory_equal(c.cluster, cluster, sizeof cluster);
    assert_memory_equal(c.medoid, medoid, sizeof medoid);
    assert_string_equal(c.candidate[5], "ocr+b-lm");
    assert_int_equal(mdl_candidates_write("candidates.h5", &from, &c, &err), MDL_OK);
    assert_int_equal(mdl_candidates_read("candidates.h5", &back, &err), MDL_OK);
    assert_memory_equal(back.cluster, cluster, sizeof cluster);
    assert_memory_equal(back.medoid, medoid, sizeof medoid);
    assert_string_equal(back.candidate[3], "eff+b-lm");
    mdl_candidates_free(&back);
    mdl_group_candidates_free(&c);
    mdl_group_clusters_free(&vision);
}

static void language_sides_of_different_models_are_refused(void **state)
{
    (void)state;
    static char *others[] = {"a-lm", "c-lm"};
    mdl_clusters_t vision, sides[2] = {language(0), language(1)};
    mdl_candidates_t c;
    mdl_error_t err = {.rank = -1};
    sides[1].models = others;
    cluster_vision(&vision);
    assert_int_equal(mdl_group_candidates(&vision, sides, &c, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "dino and ocr are of different models"));
    mdl_group_candidates_free(&c);
    mdl_group_clusters_free(&vision);
}

static void similarity_files_come_back_and_unsound_ones_are_refused(void **state)
{
    (void)state;
    double values[9];
    mdl_similarity_t similarity = vision_similarity(values), back;
    mdl_provenance_t from = provenance(MDL_SIMILARITY_SCHEMA);
    mdl_error_t err = {.rank = -1};
    assert_int_equal(mdl_similarity_write("similarity.h5", &from, &similarity, &err), MDL_OK);
    assert_int_equal(mdl_similarity_read("similarity.h5", &back, &err), MDL_OK);
    assert_memory_equal(back.similarity, values, sizeof values);
    assert_string_equal(back.models[2], "ocr");
    assert_int_equal(back.n_sample, 64);
    mdl_similarity_free(&back);
    values[1] = .9; /* no longer symmetric */
    assert_int_equal(mdl_similarity_write("similarity.h5", &from, &similarity, &err), MDL_OK);
    assert_int_equal(mdl_similarity_read("similarity.h5", &back, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "one way"));
    assert_int_equal(mdl_similarity_read("none.h5", &back, &err), MDL_E_MISSING);
    assert_int_equal(mdl_clusters_read("similarity.h5", &(mdl_clusters_t){0}, &err), MDL_E_INPUT);
}

static void expect_unsound(mdl_clusters_t *clusters, const char *words)
{
    mdl_provenance_t from = provenance(MDL_CLUSTERS_SCHEMA);
    mdl_clusters_t back;
    mdl_error_t err = {.rank = -1};
    assert_int_equal(mdl_clusters_write("clusters.h5", &from, clusters, &err), MDL_OK);
    assert_int_equal(mdl_clusters_read("clusters.h5", &back, &err), MDL_E_INPUT);
    if (strstr(err.text, words) == NULL)
        fail_msg("'%s' doesn't say '%s'", err.text, words);
}

static void cluster_files_come_back_and_unsound_ones_are_refused(void **state)
{
    (void)state;
    mdl_clusters_t clusters, back;
    mdl_provenance_t from = provenance(MDL_CLUSTERS_SCHEMA);
    mdl_error_t err = {.rank = -1};
    cluster_vision(&clusters);
    assert_int_equal(mdl_clusters_write("clusters.h5", &from, &clusters, &err), MDL_OK);
    assert_int_equal(mdl_clusters_read("clusters.h5", &back, &err), MDL_OK);
    assert_memory_equal(back.linkage, clusters.linkage, 8 * sizeof(double));
    assert_string_equal(back.method, "average");
    mdl_clusters_free(&back);
    clusters.medoid[1] = 0;
    expect_unsound(&clusters, "/medoid of cluster 1");
    clusters.medoid[1] = 2;
    clusters.label[2] = 7;
    expect_unsound(&clusters, "/label of ocr");
    clusters.label[2] = 1;
    clusters.linkage[4] = 9;
    expect_unsound(&clusters, "row 1 of /linkage");
    mdl_group_clusters_free(&clusters);
}

static void one_model_makes_one_cluster_with_an_empty_linkage(void **state)
{
    (void)state;
    double one = 1;
    mdl_similarity_t similarity = {.n_model = 1,
                                   .n_sample = 64,
                                   .models = ve_names,
                                   .similarity = &one,
                                   .side = "vision",
                                   .label = "pooled"};
    mdl_clusters_t clusters, back;
    mdl_provenance_t from = provenance(MDL_CLUSTERS_SCHEMA);
    mdl_error_t err = {.rank = -1};
    assert_int_equal(mdl_group_clusters(&similarity, "single", .7, &clusters, &err), MDL_OK);
    assert_int_equal(mdl_clusters_write("one.h5", &from, &clusters, &err), MDL_OK);
    assert_int_equal(mdl_clusters_read("one.h5", &back, &err), MDL_OK);
    assert_int_equal(back.n_cluster, 1);
    mdl_clusters_free(&back);
    mdl_group_clusters_free(&clusters);
}

int main(void)
{
    char folder[] = "/tmp/mordal-group-XXXXXX", command[64];
    if (mkdtemp(folder) == NULL || chdir(folder) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clusters_are_numbered_by_first_model_and_ties_go_by_name),
        cmocka_unit_test(undefined_models_are_clusters_of_their_own),
        cmocka_unit_test(candidates_are_each_encoders_cluster_times_its_language_clusters),
        cmocka_unit_test(language_sides_of_different_models_are_refused),
        cmocka_unit_test(similarity_files_come_back_and_unsound_ones_are_refused),
        cmocka_unit_test(cluster_files_come_back_and_unsound_ones_are_refused),
        cmocka_unit_test(one_model_makes_one_cluster_with_an_empty_linkage),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return failed != 0 || system(command) != 0;
}
