#include "io/sample_ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int rank;
static const char *const path = "test_sample_ids.txt";

static int read_ids(const char *text, size_t n_byte, int64_t n_row, char ***ids, mdl_error_t *err)
{
    if (rank == 0) {
        FILE *file = fopen(path, "wb");
        fwrite(text, 1, n_byte, file);
        fclose(file);
    }
    *err = (mdl_error_t){0};
    return mdl_sample_ids_read(MPI_COMM_WORLD, path, n_row, ids, err);
}

static void good_files(void **state)
{
    (void)state;
    static const char *const texts[] = {"a\nb b\nc\n", "a\nb b\nc", "a\r\nb b\r\nc\r\n"};
    for (size_t i = 0; i < 3; i++) {
        mdl_error_t err;
        char **ids;
        assert_int_equal(read_ids(texts[i], strlen(texts[i]), 3, &ids, &err), MDL_OK);
        assert_string_equal(ids[0], "a");
        assert_string_equal(ids[1], "b b");
        assert_string_equal(ids[2], "c");
        free(ids);
    }
}

static void bad_files(void **state)
{
    (void)state;
    static char long_id[400];
    memset(long_id, 'x', 300);
    strcpy(long_id + 300, "\nb\nc\n");
    static const struct {
        const char *text;
        size_t n_byte;
        const char *says;
    } cases[] = {
        {"a\nb\n", 4, "2 lines but the array has 3 rows"},
        {"a\nb\nc\nd\n", 8, "4 lines but the array has 3 rows"},
        {"", 0, "0 lines"},
        {"a\n\nc\n", 5, "row 1 is empty"},
        {"a\nb\na\n", 6, "rows 0 and 2 have the same sample id 'a'"},
        {"a\nb\0\nc\n", 7, "zero byte"},
        {long_id, 305, "row 0 has over 255 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mdl_error_t err;
        char **ids;
        assert_int_equal(read_ids(cases[i].text, cases[i].n_byte, 3, &ids, &err), MDL_E_INPUT);
        assert_null(ids);
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("case %zu: '%s' doesn't say '%s'", i, err.text, cases[i].says);
    }
    mdl_error_t err = {0};
    char **ids;
    assert_int_equal(mdl_sample_ids_read(MPI_COMM_WORLD, "nowhere.txt", 3, &ids, &err),
                     MDL_E_MISSING);
    assert_int_equal(mdl_sample_ids_read(MPI_COMM_WORLD, "/", 3, &ids, &err), MDL_E_INPUT);
    if (rank == 0)
        remove(path);
}

static void a_million_ids(void **state)
{
    (void)state;
    enum { N = 1000000 };
    mdl_error_t err = {0};
    mdl_id_table_t *table;
    char **ids;
    assert_int_equal(mdl_sample_ids_read(MPI_COMM_SELF, NULL, N, &ids, &err), MDL_OK);
    assert_int_equal(mdl_id_table_new((const char *const *)ids, N, "x", &table, &err), MDL_OK);
    for (int64_t i = 0; i < N; i++)
        assert_true(mdl_id_table_find(table, ids[i]) == i);
    assert_int_equal(mdl_id_table_find(table, "1000000"), -1);
    assert_int_equal(mdl_id_table_find(table, ""), -1);
    free(table);
    free(ids);
}

/* In ascending order, which is enough to be unique, and in others. */
static void checked_without_reading(void **state)
{
    (void)state;
    static const struct {
        const char *ids[4];
        int rc;
    } cases[] = {
        {{"8", "9", "10", "11"}, MDL_OK},      {{"a1", "a2", "b1", "b10"}, MDL_OK},
        {{"10", "9", "b", "a"}, MDL_OK},       {{"8", "9", "10", "10"}, MDL_E_INPUT},
        {{"9", "10", "11", "9"}, MDL_E_INPUT}, {{"b", "a", "aa", "b"}, MDL_E_INPUT},
        {{"", "a", "b", "c"}, MDL_E_INPUT},    {{"a", "b", "", "c"}, MDL_E_INPUT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mdl_error_t err = {0};
        assert_int_equal(mdl_sample_ids_check(cases[i].ids, 4, "x", &err), cases[i].rc);
    }
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_files),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(a_million_ids),
        cmocka_unit_test(checked_without_reading),
    };
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return n_failed;
}
