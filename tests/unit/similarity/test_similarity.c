/* CKA against exact rational arithmetic (linear) and NumPy (RBF), its invariances, its refusals,
 * and the same bits on every number of ranks. */
#include "matrices.h"
#include "similarity/similarity.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static matrix_t mixed(int64_t n, const matrix_t *a)
{
    matrix_t m = integers(n, 6, 5, 2, 13);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < 6; j++)
            m.x[i * 6 + j] += a->x[i * a->d + j] / 2;
    return m;
}

static void repeat_half(matrix_t *m)
{
    memcpy(m->x + 20 * m->d, m->x, (size_t)(20 * m->d) * sizeof *m->x);
}

static void shift(matrix_t *m, double by)
{
    for (int64_t i = 0; i < m->n * m->d; i++)
        m->x[i] += by;
}

static void make_fixture(const char *id, matrix_t m[2])
{
    if (strcmp(id, "F1") == 0) {
        m[0] = integers(8, 5, 3, 5, 17);
        m[1] = integers(8, 3, 5, 2, 13);
    } else if (strcmp(id, "F4") == 0) {
        m[0] = integers(12, 200, 3, 5, 31);
        m[1] = integers(12, 150, 7, 3, 29);
    } else if (strcmp(id, "F6") == 0) {
        m[0] = integers(40, 7, 3, 5, 17);
        m[1] = integers(40, 4, 5, 2, 13);
        for (int64_t i = 0; i < 40; i++)
            m[0].x[i * 7 + 3] = 9;
        repeat_half(&m[0]);
        repeat_half(&m[1]);
    } else {
        int64_t n = strcmp(id, "F5") == 0 ? 70 : 64;
        m[0] = integers(n, 10, 3, 5, 17);
        m[1] = mixed(n, &m[0]);
    }
    if (strcmp(id, "F3") == 0) {
        shift(&m[0], 1000);
        shift(&m[1], -500);
    }
}

static void free_matrices(matrix_t *m, int n)
{
    for (int i = 0; i < n; i++)
        free(m[i].x);
}

static void rows_of(matrix_t *m, int n, mdl_rows_t *rows)
{
    static const char *const names[] = {"left", "right", "third", "fourth"};
    for (int i = 0; i < n; i++)
        rows[i] = (mdl_rows_t){names[i], m[i].d, read_matrix, &m[i]};
}

static mdl_cka_settings_t settings_of(const char *estimator, int64_t batch)
{
    mdl_cka_settings_t settings = {.batch = batch, .sigma = 1, .precision = MDL_FLOAT64};
    settings.estimator = strcmp(estimator, "biased") == 0     ? MDL_CKA_BIASED
                         : strcmp(estimator, "unbiased") == 0 ? MDL_CKA_UNBIASED
                                                              : MDL_CKA_MINIBATCH;
    return settings;
}

static double cka_of(MPI_Comm comm, mdl_cka_settings_t settings, matrix_t m[2])
{
    mdl_rows_t rows[2];
    double similarity[4];
    mdl_error_t err = {.rank = -1};
    rows_of(m, 2, rows);
    int rc = mdl_cka_similarity(comm, &settings, rows, 2, m[0].n, similarity, NULL, NULL, &err);
    if (rc != MDL_OK)
        fail_msg("%s", err.text);
    assert_true(similarity[0] == 1 && similarity[3] == 1);
    assert_true(similarity[1] == similarity[2]);
    return similarity[1];
}

static void assert_close(double found, double expected, double tolerance, const char *what)
{
    if (!(fabs(found - expected) <= tolerance * fmax(1, fabs(expected))))
        fail_msg("%s: %.17g, expected %.17g", what, found, expected);
}

static FILE *open_reference(const char *name)
{
    char path[512], header[256];
    snprintf(path, sizeof path, "%s/tests/reference/%s", MORDAL_SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(header, sizeof header, file));
    return file;
}

static void check_fixture(const char *id, mdl_cka_settings_t settings, double cka,
                          const double expected[3])
{
    int wide = settings.precision == MDL_FLOAT64;
    matrix_t m[2];
    mdl_rows_t rows[2];
    mdl_cka_sums_t sums;
    mdl_error_t err = {.rank = -1};
    make_fixture(id, m);
    rows_of(m, 2, rows);
    assert_close(cka_of(MPI_COMM_WORLD, settings, m), cka, wide ? 1e-13 : 2e-6, id);
    assert_int_equal(mdl_cka_hsic(MPI_COMM_WORLD, &settings, rows, 2, m[0].n, &sums, &err), MDL_OK);
    assert_close(sums.hsic[mdl_cka_pair(0, 0)], expected[1], wide ? 1e-13 : 2e-6, id);
    assert_close(sums.hsic[mdl_cka_pair(1, 1)], expected[2], wide ? 1e-13 : 2e-6, id);
    /* F4's HSIC is a difference of numbers a hundred times as large. */
    assert_close(sums.hsic[mdl_cka_pair(1, 0)], expected[0], wide ? 1e-12 : 2e-5, id);
    mdl_cka_sums_free(&sums);
    free_matrices(m, 2);
}

static void linear_matches_exact_arithmetic(void **state)
{
    (void)state;
    FILE *file = open_reference("cka_fixtures.csv");
    char id[8], estimator[16];
    long long batch;
    double cka, expected[3];
    int n_case = 0;
    while (fscanf(file, "%7[^,],%15[^,],%lld,%lf,%lf,%lf,%lf\n", id, estimator, &batch, &cka,
                  &expected[0], &expected[1], &expected[2]) == 7) {
        for (int k = 0; k < 4; k++) {
            mdl_cka_settings_t settings = settings_of(estimator, batch);
            settings.precision = k % 2 == 0 ? MDL_FLOAT64 : MDL_FLOAT32;
            settings.route = k < 2 ? MDL_CKA_GRAM : MDL_CKA_FEATURE;
            check_fixture(id, settings, cka, expected);
        }
        n_case++;
    }
    fclose(file);
    assert_int_equal(n_case, 18);
}

static void rbf_matches_numpy(void **state)
{
    (void)state;
    FILE *file = open_reference("cka_rbf.csv");
    char id[8], estimator[16];
    long long batch;
    double sigma, cka;
    int n_case = 0;
    while (fscanf(file, "%7[^,],%15[^,],%lld,%lf,%lf\n", id, estimator, &batch, &sigma, &cka) ==
           5) {
        matrix_t m[2];
        make_fixture(id, m);
        mdl_cka_settings_t settings = settings_of(estimator, batch);
        settings.kernel = MDL_CKA_RBF;
        settings.sigma = sigma;
        assert_close(cka_of(MPI_COMM_WORLD, settings, m), cka, 1e-12, id);
        settings.precision = MDL_FLOAT32;
        assert_close(cka_of(MPI_COMM_WORLD, settings, m), cka, 5e-6, id);
        free_matrices(m, 2);
        n_case++;
    }
    fclose(file);
    assert_int_equal(n_case, 18);
}

static const char *const estimators[] = {"biased", "unbiased", "minibatch"};

/* float32 as far as the type holds the values. */
static void scaling_by_powers_of_two_keeps_every_bit(void **state)
{
    (void)state;
    static const int exponents[] = {3, -7, 60, -80, 110, -110, 400, -400};
    for (int e = 0; e < 6; e++) {
        matrix_t m[2];
        make_fixture("F5", m);
        mdl_cka_settings_t settings = settings_of(estimators[e % 3], 16);
        settings.precision = e < 3 ? MDL_FLOAT64 : MDL_FLOAT32;
        double plain = cka_of(MPI_COMM_WORLD, settings, m);
        for (int k = 0; k < (e < 3 ? 8 : 6); k++) {
            for (int64_t i = 0; i < m[0].n * m[0].d; i++)
                m[0].x[i] = ldexp(m[0].x[i], exponents[k]);
            assert_true(cka_of(MPI_COMM_WORLD, settings, m) == plain);
            for (int64_t i = 0; i < m[0].n * m[0].d; i++)
                m[0].x[i] = ldexp(m[0].x[i], -exponents[k]);
        }
        free_matrices(m, 2);
    }
}

static void features_may_be_permuted_and_negated_and_rows_within_a_batch_too(void **state)
{
    (void)state;
    for (int e = 0; e < 3; e++) {
        matrix_t m[2], changed[2];
        make_fixture("F5", m);
        make_fixture("F5", changed);
        for (int64_t i = 0; i < 70; i++)
            for (int64_t j = 0; j < 10; j++)
                changed[0].x[i * 10 + j] = (j % 2 == 0 ? -1 : 1) * m[0].x[i * 10 + (3 * j) % 10];
        mdl_cka_settings_t settings = settings_of(estimators[e], 16);
        double plain = cka_of(MPI_COMM_WORLD, settings, m);
        assert_close(cka_of(MPI_COMM_WORLD, settings, changed), plain, 1e-13, "features");
        for (int k = 0; k < 2; k++)
            for (int64_t i = 0; i < 64; i++)
                memcpy(changed[k].x + i * m[k].d,
                       m[k].x + (i - i % 16 + (i % 16 * 5) % 16) * m[k].d,
                       (size_t)m[k].d * sizeof(double));
        memcpy(changed[0].x + 64 * 10, m[0].x + 64 * 10, 60 * sizeof(double));
        assert_close(cka_of(MPI_COMM_WORLD, settings, changed), plain, 1e-13, "rows");
        free_matrices(m, 2);
        free_matrices(changed, 2);
    }
}

static void a_copy_has_similarity_one(void **state)
{
    (void)state;
    for (int e = 0; e < 3; e++) {
        matrix_t m[2] = {integers(64, 10, 3, 5, 17), integers(64, 10, 3, 5, 17)};
        assert_close(cka_of(MPI_COMM_WORLD, settings_of(estimators[e], 16), m), 1, 4e-16, "copy");
        free_matrices(m, 2);
    }
}

/* Several tiles and a ragged last one; each rank also computes all of it by itself. */
static void ranks_agree_to_the_last_bit(void **state)
{
    (void)state;
    enum { n = 1100 };
    matrix_t m[3] = {matrix(n, 9), matrix(n, 30), matrix(n, 17)};
    mdl_rows_t rows[3];
    rows_of(m, 3, rows);
    unsigned seed = 1;
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < m[k].n * m[k].d; i++) {
            seed = seed * 1664525u + 1013904223u;
            m[k].x[i] = (double)(seed >> 8) / 16777216 + 0.01 * (double)(i % 7);
        }
    for (int e = 0; e < 18; e++) {
        mdl_cka_settings_t settings = settings_of(estimators[e % 3], 33);
        settings.precision = e % 2 == 0 ? MDL_FLOAT32 : MDL_FLOAT64;
        settings.kernel = e < 12 ? MDL_CKA_LINEAR : MDL_CKA_RBF;
        settings.route = e < 6 ? MDL_CKA_FEATURE : MDL_CKA_GRAM;
        double together[2][9], alone[2][9];
        mdl_error_t err = {.rank = -1};
        assert_int_equal(mdl_cka_similarity(MPI_COMM_WORLD, &settings, rows, 3, n, together[0],
                                            together[1], NULL, &err),
                         MDL_OK);
        assert_int_equal(mdl_cka_similarity(MPI_COMM_SELF, &settings, rows, 3, n, alone[0],
                                            alone[1], NULL, &err),
                         MDL_OK);
        assert_memory_equal(together, alone, sizeof alone);
    }
    free_matrices(m, 3);
}

static void expect_refusal(mdl_cka_settings_t settings, matrix_t *m, int n_model, int64_t n,
                           int code, const char *words)
{
    mdl_rows_t rows[2];
    double similarity[4];
    mdl_error_t err = {.rank = -1};
    rows_of(m, 2, rows);
    assert_int_equal(mdl_cka_similarity(MPI_COMM_WORLD, &settings, rows, n_model, n, similarity,
                                        NULL, NULL, &err),
                     code);
    if (strstr(err.text, words) == NULL)
        fail_msg("'%s' doesn't say '%s'", err.text, words);
}

static void what_cannot_be_computed_is_refused(void **state)
{
    (void)state;
    for (int e = 0; e < 12; e++) {
        matrix_t m[2];
        make_fixture("F2", m);
        mdl_cka_settings_t settings = settings_of(estimators[e % 3], 16);
        settings.kernel = e < 6 ? MDL_CKA_LINEAR : MDL_CKA_RBF;
        settings.precision = e % 2 == 0 ? MDL_FLOAT32 : MDL_FLOAT64;
        expect_refusal(settings, m, 0, 64, MDL_E_INPUT, "there is none");
        expect_refusal(settings, m, 2, 3, MDL_E_INPUT, "fewer than 4");
        m[1].x[40 * 6 + 5] = NAN;
        expect_refusal(settings, m, 2, 64, MDL_E_INPUT, "model right: the value in row 40, col");
        m[1].x[40 * 6 + 5] = -INFINITY;
        expect_refusal(settings, m, 2, 64, MDL_E_INPUT, "row 40, column 5");
        free_matrices(m, 2);
    }
}

/* Models left, right and third, of which right is undefined: what is between the others keeps its
 * bits, and all of right's entries are NaN with the status. */
static void check_undefined(mdl_cka_settings_t settings, matrix_t m[3], int expected)
{
    matrix_t others[2] = {m[0], m[2]};
    mdl_rows_t rows[3], two[2];
    double similarity[9], error[9], plain[4];
    uint8_t status[9];
    mdl_error_t err = {.rank = -1};
    rows_of(m, 3, rows);
    rows_of(others, 2, two);
    if (mdl_cka_similarity(MPI_COMM_WORLD, &settings, rows, 3, m[0].n, similarity, error, status,
                           &err) != MDL_OK)
        fail_msg("%s", err.text);
    assert_int_equal(
        mdl_cka_similarity(MPI_COMM_WORLD, &settings, two, 2, m[0].n, plain, NULL, NULL, &err),
        MDL_OK);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            int undefined = i == 1 || j == 1;
            assert_int_equal(status[3 * i + j], undefined ? expected : MDL_SIMILARITY_DEFINED);
            if (undefined)
                assert_true(isnan(similarity[3 * i + j]) && isnan(error[3 * i + j]));
            else
                assert_true(similarity[3 * i + j] == plain[i / 2 * 2 + j / 2]);
        }
    }
}

static void a_constant_model_is_undefined_and_poisons_no_other(void **state)
{
    (void)state;
    static const double constants[] = {0, 1234.567, -1e30, 1e-30};
    for (int k = 0; k < 48; k++) {
        matrix_t m[3];
        make_fixture("F2", m);
        m[2] = integers(64, 7, 7, 3, 11);
        mdl_cka_settings_t settings = settings_of(estimators[k % 3], 16);
        settings.precision = k % 2 == 0 ? MDL_FLOAT32 : MDL_FLOAT64;
        settings.kernel = k / 6 % 2 == 0 ? MDL_CKA_LINEAR : MDL_CKA_RBF;
        settings.route =
            settings.kernel == MDL_CKA_LINEAR && k / 24 == 1 ? MDL_CKA_FEATURE : MDL_CKA_GRAM;
        for (int64_t i = 0; i < 64 * 6; i++)
            m[1].x[i] = constants[k / 12];
        check_undefined(settings, m,
                        settings.kernel == MDL_CKA_RBF ? MDL_SIMILARITY_BANDWIDTH
                                                       : MDL_SIMILARITY_CONSTANT);
        free_matrices(m, 3);
    }
}

static void wrong_settings_are_refused(void **state)
{
    (void)state;
    matrix_t m[2];
    make_fixture("F2", m);
    expect_refusal(settings_of("minibatch", 3), m, 2, 64, MDL_E_USAGE, "batch of 3 rows");
    mdl_cka_settings_t rbf = settings_of("biased", 16);
    rbf.kernel = MDL_CKA_RBF;
    rbf.sigma = 0;
    expect_refusal(rbf, m, 2, 64, MDL_E_USAGE, "sigma");
    free_matrices(m, 2);
}

/* One-hot rows: every pair is equally far, so HSIC_1 is 0 although nothing is constant. */
static void a_model_whose_unbiased_hsic_vanishes_is_undefined(void **state)
{
    (void)state;
    matrix_t m[3] = {integers(16, 10, 3, 5, 17), matrix(16, 16), integers(16, 7, 7, 3, 11)};
    for (int64_t i = 0; i < 16; i++)
        m[1].x[i * 17] = 3;
    for (int k = 0; k < 4; k++) {
        mdl_cka_settings_t settings = settings_of(k < 2 ? "unbiased" : "minibatch", k < 2 ? 16 : 8);
        settings.precision = k % 2 == 0 ? MDL_FLOAT32 : MDL_FLOAT64;
        check_undefined(settings, m, MDL_SIMILARITY_ZERO);
    }
    free_matrices(m, 3);
}

/* Values from 2^-550 to 2^550: no one power of two brings all into range. */
static void values_of_far_apart_sizes_poison_no_other_model(void **state)
{
    (void)state;
    for (int e = 0; e < 3; e++) {
        matrix_t m[3];
        make_fixture("F2", m);
        m[2] = integers(64, 7, 7, 3, 11);
        for (int64_t i = 0; i < 64 * 6; i++)
            m[1].x[i] = ldexp(m[1].x[i], i % 2 == 0 ? 550 : -550);
        mdl_rows_t rows[3];
        double similarity[9];
        uint8_t status[9];
        mdl_error_t err = {.rank = -1};
        mdl_cka_settings_t settings = settings_of(estimators[e], 16);
        rows_of(m, 3, rows);
        assert_int_equal(mdl_cka_similarity(MPI_COMM_WORLD, &settings, rows, 3, 64, similarity,
                                            NULL, status, &err),
                         MDL_OK);
        assert_true(isfinite(similarity[2]) && status[2] == MDL_SIMILARITY_DEFINED);
        assert_true(isnan(similarity[1]) == (status[1] != MDL_SIMILARITY_DEFINED));
        free_matrices(m, 3);
    }
}

static void a_tail_of_less_than_four_rows_is_dropped(void **state)
{
    (void)state;
    assert_int_equal(mdl_cka_n_batch(66, 16), 4);
    assert_int_equal(mdl_cka_n_batch(68, 16), 5);
    assert_int_equal(mdl_cka_n_batch(5, 64), 1);
    matrix_t whole[2] = {integers(64, 10, 3, 5, 17), integers(64, 6, 5, 2, 13)};
    matrix_t tail[2] = {integers(66, 10, 3, 5, 17), integers(66, 6, 5, 2, 13)};
    mdl_cka_settings_t settings = settings_of("minibatch", 16);
    assert_true(cka_of(MPI_COMM_WORLD, settings, whole) == cka_of(MPI_COMM_WORLD, settings, tail));
    free_matrices(whole, 2);
    free_matrices(tail, 2);
}

int main(void)
{
    MPI_Init(NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_matches_exact_arithmetic),
        cmocka_unit_test(rbf_matches_numpy),
        cmocka_unit_test(scaling_by_powers_of_two_keeps_every_bit),
        cmocka_unit_test(features_may_be_permuted_and_negated_and_rows_within_a_batch_too),
        cmocka_unit_test(a_copy_has_similarity_one),
        cmocka_unit_test(ranks_agree_to_the_last_bit),
        cmocka_unit_test(what_cannot_be_computed_is_refused),
        cmocka_unit_test(wrong_settings_are_refused),
        cmocka_unit_test(a_constant_model_is_undefined_and_poisons_no_other),
        cmocka_unit_test(a_model_whose_unbiased_hsic_vanishes_is_undefined),
        cmocka_unit_test(values_of_far_apart_sizes_poison_no_other_model),
        cmocka_unit_test(a_tail_of_less_than_four_rows_is_dropped),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed != 0;
}
