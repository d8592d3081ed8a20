/* SVCCA, PWCCA and Procrustes on every process grid against NumPy, invariances, refusals. */
#include "core/log.h"
#include "matrices.h"
#include "similarity/measure.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_MODELS = 4 };

typedef struct {
    int n;
    matrix_t models[MOST_MODELS];
} case_t;

static double scrambled(int64_t place, uint32_t seed)
{
    uint32_t x = (uint32_t)place * 2654435761u + seed * 40503u;
    x ^= x >> 16;
    x *= 2246822519u;
    x ^= x >> 13;
    return (double)(x % 2048) / 1024 - 1;
}

static case_t related(int64_t n, int n_model, const int64_t *widths)
{
    case_t c = {.n = n_model};
    for (int a = 0; a < n_model; a++) {
        int64_t d = widths[a];
        c.models[a] = matrix(n, d);
        for (int64_t k = 0; k < n * d; k++) {
            double shared = a > 0 ? c.models[0].x[k / d * widths[0] + k % d % widths[0]] : 0;
            c.models[a].x[k] = shared + scrambled(k, (uint32_t)a + 1);
        }
    }
    return c;
}

static void shift(matrix_t *m, double by)
{
    for (int64_t i = 0; i < m->n * m->d; i++)
        m->x[i] += by;
}

static case_t make_case(const char *name)
{
    case_t c = {.n = 2};
    if (strcmp(name, "small") == 0) {
        c.models[0] = integers(64, 10, 3, 5, 17);
        c.models[1] = integers(64, 6, 5, 2, 13);
        for (int64_t k = 0; k < 64 * 6; k++)
            c.models[1].x[k] += c.models[0].x[k / 6 * 10 + k % 6] / 2;
    } else if (strcmp(name, "repeated") == 0) {
        c.models[0] = integers(40, 7, 3, 5, 17);
        c.models[1] = integers(40, 4, 5, 2, 13);
        for (int64_t i = 0; i < 40; i++)
            c.models[0].x[i * 7 + 3] = 9;
        for (int a = 0; a < 2; a++)
            memcpy(c.models[a].x + 20 * c.models[a].d, c.models[a].x,
                   (size_t)(20 * c.models[a].d) * sizeof(double));
    } else if (strcmp(name, "wide") == 0) {
        c = related(70, 3, (int64_t[]){100, 60, 130});
    } else if (strcmp(name, "lopsided") == 0) {
        c = related(250, 3, (int64_t[]){3, 100, 65});
    } else if (strcmp(name, "few") == 0) {
        c = related(3, 3, (int64_t[]){2, 2, 4});
    } else {
        c = related(200, 4, (int64_t[]){70, 40, 90, 70});
        for (int a = 0; strcmp(name, "offset") == 0 && a < c.n; a++)
            shift(&c.models[a], 1000);
    }
    return c;
}

static void free_case(case_t *c)
{
    for (int a = 0; a < c->n; a++)
        free(c->models[a].x);
}

static int measure_case(const char *measure, int rows, int cols, case_t *c, double *similarity,
                        mdl_error_t *err)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    mdl_measure_settings_t settings = {.grid_rows = rows, .grid_cols = cols};
    mdl_rows_t models[MOST_MODELS];
    uint8_t status[MOST_MODELS * MOST_MODELS];
    assert_true(mdl_measure_find(measure, &settings.measure));
    for (int a = 0; a < c->n; a++)
        models[a] = (mdl_rows_t){names[a], c->models[a].d, read_matrix, &c->models[a]};
    return mdl_measure_similarity(MPI_COMM_WORLD, &settings, models, c->n, c->models[0].n,
                                  similarity, status, err);
}

static void check_case(const char *name, const char *measure, int rows, int cols)
{
    double similarity[MOST_MODELS * MOST_MODELS], expected;
    char line[256], wanted[64];
    mdl_error_t err;
    int a, b, n_checked = 0;
    case_t c = make_case(name);
    FILE *file = fopen(MORDAL_SOURCE_DIR "/tests/reference/measures.csv", "r");
    assert_non_null(file);
    snprintf(wanted, sizeof wanted, "%s,%s,", name, measure);
    if (measure_case(measure, rows, cols, &c, similarity, &err) != MDL_OK)
        fail_msg("%s", err.text);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, wanted, strlen(wanted)) != 0)
            continue;
        assert_int_equal(sscanf(line + strlen(wanted), "%d,%d,%lf", &a, &b, &expected), 3);
        double found = similarity[a * c.n + b];
        if (!(fabs(found - expected) <= 1e-10))
            fail_msg("%s%d,%d on %d x %d: %.17g, not %.17g", wanted, a, b, rows, cols, found,
                     expected);
        assert_true(found == similarity[b * c.n + a]);
        n_checked++;
    }
    assert_int_equal(n_checked, c.n * (c.n - 1) / 2);
    fclose(file);
    free_case(&c);
}

static const char *const measures[] = {"svcca", "pwcca", "procrustes"};

static void every_grid_matches_numpy(void **state)
{
    static const char *const names[] = {"small",    "uneven", "offset",  "wide",
                                        "lopsided", "few",    "repeated"};
    int n_rank;
    (void)state;
    MPI_Comm_size(MPI_COMM_WORLD, &n_rank);
    if (n_rank == 7) { /* not all grids of so many: each takes seconds where cores are few */
        static const int grids[][2] = {{1, 7}, {7, 1}, {2, 3}, {3, 2}};
        for (int g = 0; g < 4; g++)
            for (int m = 0; m < 3; m++)
                check_case(g % 2 == 0 ? "uneven" : "lopsided", measures[m], grids[g][0],
                           grids[g][1]);
        return;
    }
    for (int rows = 1; rows <= n_rank; rows++)
        for (int cols = 1; rows * cols <= n_rank; cols++)
            for (int m = 0; m < 3; m++)
                for (int k = 0; k < 7; k++)
                    check_case(names[k], measures[m], rows, cols);
    check_case("uneven", "svcca", 0, 0);
}

static double one_pair(const char *measure, case_t *c)
{
    double similarity[MOST_MODELS * MOST_MODELS];
    mdl_error_t err;
    if (measure_case(measure, 0, 0, c, similarity, &err) != MDL_OK)
        fail_msg("%s", err.text);
    return similarity[1];
}

static void scale_shift_and_signed_permutation_change_nothing(void **state)
{
    (void)state;
    for (int m = 0; m < 3; m++) {
        case_t c = related(90, 2, (int64_t[]){12, 9});
        double before = one_pair(measures[m], &c);
        for (int64_t i = 0; i < 90; i++) {
            double first = c.models[0].x[i * 12];
            for (int64_t j = 0; j < 11; j++)
                c.models[0].x[i * 12 + j] =
                    -ldexp(c.models[0].x[i * 12 + j + 1], 400) + ldexp(3, 400);
            c.models[0].x[i * 12 + 11] = ldexp(first, 400);
        }
        assert_true(fabs(one_pair(measures[m], &c) - before) < 1e-12);
        free_case(&c);
    }
}

static void a_copy_has_similarity_one(void **state)
{
    (void)state;
    for (int m = 0; m < 3; m++) {
        case_t c = related(90, 2, (int64_t[]){12, 12});
        memcpy(c.models[1].x, c.models[0].x, 90 * 12 * sizeof(double));
        assert_true(fabs(one_pair(measures[m], &c) - 1) < 1e-12);
        free_case(&c);
    }
}

static void refuses(const char *measure, int rows, int cols, case_t *c, int code, const char *words)
{
    double similarity[MOST_MODELS * MOST_MODELS];
    mdl_error_t err;
    assert_int_equal(measure_case(measure, rows, cols, c, similarity, &err), code);
    if (strstr(err.text, words) == NULL)
        fail_msg("'%s' isn't said: %s", words, err.text);
    free_case(c);
}

static void a_constant_model_is_undefined_and_poisons_no_other(void **state)
{
    (void)state;
    for (int m = 1; m < MDL_MEASURE_N; m++) {
        case_t c = related(20, 3, (int64_t[]){3, 4, 5}),
               others = related(20, 3, (int64_t[]){3, 4, 5});
        double similarity[9], plain[9];
        mdl_error_t err;
        for (int64_t k = 0; k < 80; k++)
            c.models[1].x[k] = 1234.567;
        assert_int_equal(measure_case(mdl_measure_name(m), 0, 0, &c, similarity, &err), MDL_OK);
        assert_int_equal(measure_case(mdl_measure_name(m), 0, 0, &others, plain, &err), MDL_OK);
        assert_true(similarity[2] == plain[2] && similarity[0] == 1 && similarity[8] == 1);
        for (int i = 0; i < 3; i++)
            assert_true(isnan(similarity[3 + i]) && isnan(similarity[3 * i + 1]));
        free_case(&c);
        free_case(&others);
    }
}

static void what_cannot_be_computed_is_refused(void **state)
{
    (void)state;
    case_t infinite = related(20, 2, (int64_t[]){3, 4});
    infinite.models[1].x[4 * 17 + 2] = INFINITY;
    refuses("pwcca", 0, 0, &infinite, MDL_E_INPUT, "model b: the value in row 17, column 2");
    case_t single = related(1, 2, (int64_t[]){3, 4});
    refuses("procrustes", 0, 0, &single, MDL_E_INPUT, "at least 2");
    case_t any = related(20, 2, (int64_t[]){3, 4});
    refuses("svcca", 3, 5, &any, MDL_E_USAGE, "a grid of 3 x 5 needs 15 ranks");
}

/* 2000 x 1000 and 2000 x 700 numbers, of which a rank of p x q has its whole blocks. */
static void memory_falls_with_the_ranks(void **state)
{
    (void)state;
    mdl_rows_t models[2] = {{.n_feat = 1000}, {.n_feat = 700}};
    mdl_measure_settings_t settings = {.measure = MDL_MEASURE_SVCCA};
    double one = mdl_measure_memory(&settings, models, 2, 2000, 1) - 8.0 * MDL_MEASURE_PIECE;
    assert_true(one == 8.0 * (2000 * 1000 + 2000 * 700 + 2 * 2000 * 1000 + 5 * 1000 * 1000));
    for (int n_rank = 2; n_rank <= 64; n_rank *= 2) {
        double part = mdl_measure_memory(&settings, models, 2, 2000, n_rank);
        assert_true(part - 8.0 * MDL_MEASURE_PIECE < 1.3 * one / n_rank);
    }
    settings.grid_rows = settings.grid_cols = 2; /* the grid counts, not the ranks beside it */
    assert_true(mdl_measure_memory(&settings, models, 2, 2000, 64) ==
                mdl_measure_memory(&settings, models, 2, 2000, 4));
}

static void grids_are_read(void **state)
{
    mdl_measure_settings_t settings;
    mdl_error_t err;
    (void)state;
    assert_int_equal(mdl_measure_read_grid("3x12", &settings, &err), MDL_OK);
    assert_int_equal(settings.grid_rows, 3);
    assert_int_equal(settings.grid_cols, 12);
    static const char *const bad[] = {
        "", "3", "3x", "x3", "0x3", "3x-1", "3x3x3", "3 by 3", "99999999999x99999999999"};
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++)
        assert_int_equal(mdl_measure_read_grid(bad[k], &settings, &err), MDL_E_USAGE);
}

/* A build without ScaLAPACK says so, and there is nothing else to test. */
static int is_built(void)
{
    double similarity[4];
    mdl_error_t err;
    case_t c = related(20, 2, (int64_t[]){3, 4});
    int rc = measure_case("svcca", 1, 1, &c, similarity, &err);
    free_case(&c);
    if (rc == MDL_E_USAGE && strstr(err.text, "built without it") != NULL)
        printf("skipped: %s\n", err.text);
    return rc != MDL_E_USAGE;
}

int main(void)
{
    MPI_Init(NULL, NULL);
    mdl_log_setup("test", 0, MDL_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_grid_matches_numpy),
        cmocka_unit_test(scale_shift_and_signed_permutation_change_nothing),
        cmocka_unit_test(a_copy_has_similarity_one),
        cmocka_unit_test(a_constant_model_is_undefined_and_poisons_no_other),
        cmocka_unit_test(what_cannot_be_computed_is_refused),
        cmocka_unit_test(memory_falls_with_the_ranks),
        cmocka_unit_test(grids_are_read),
    };
    int built = is_built();
    int failed = built && cmocka_run_group_tests(tests, NULL, NULL) != 0;
    MPI_Finalize();
    return built ? failed : 77;
}
