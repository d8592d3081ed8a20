#include "io/npy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const path = "test_npy.npy";

/* Writes magic, version, header length, header and n_value zero bytes. claimed < 0: the true
 * length. */
static void write_file(int version, long claimed, const char *header, size_t n_value)
{
    FILE *file = fopen(path, "wb");
    long length = claimed < 0 ? (long)strlen(header) : claimed;
    fwrite("\x93NUMPY", 1, 6, file);
    fputc(version, file);
    fputc(0, file);
    for (int i = 0; i < (version == 1 ? 2 : 4); i++)
        fputc((int)(length >> 8 * i) & 0xff, file);
    fputs(header, file);
    for (size_t i = 0; i < n_value; i++)
        fputc(0, file);
    fclose(file);
}

static void good_headers(void **state)
{
    (void)state;
    static const struct {
        int version;
        const char *header;
        size_t n_value;
        mdl_encoding_t encoding;
        int n_dim;
        int64_t dims[3];
    } cases[] = {
        {1,
         "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }    \n",
         24,
         MDL_FLOAT32,
         2,
         {3, 2}},
        {2,
         "{'descr': '<f2', 'fortran_order': False, 'shape': (3, 2, 5), }\n",
         60,
         MDL_FLOAT16,
         3,
         {3, 2, 5}},
        {3,
         "{\"shape\":(1,1),\"descr\":\"<f8\",\"fortran_order\":False}",
         8,
         MDL_FLOAT64,
         2,
         {1, 1}},
        {1,
         "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 7), }\n",
         0,
         MDL_FLOAT32,
         2,
         {0, 7}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mdl_error_t err = {0};
        mdl_npy_t npy;
        write_file(cases[i].version, -1, cases[i].header, cases[i].n_value);
        assert_int_equal(mdl_npy_open(path, &npy, &err), MDL_OK);
        assert_int_equal(npy.encoding, cases[i].encoding);
        assert_int_equal(npy.n_dim, cases[i].n_dim);
        for (int d = 0; d < npy.n_dim; d++)
            assert_int_equal(npy.dims[d], cases[i].dims[d]);
        mdl_npy_close(&npy, &err);
    }
}

static void bad_headers(void **state)
{
    (void)state;
    static const struct {
        int version;
        long claimed;
        const char *header;
        size_t n_value;
        const char *says;
    } cases[] = {
        {1, -1, "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }", 24, "Fortran"},
        {1, -1, "{'descr': '>f4', 'fortran_order': False, 'shape': (3, 2), }", 24, "big-endian"},
        {1, -1, "{'descr': '<i8', 'fortran_order': False, 'shape': (3, 2), }", 48, "integers"},
        {1, -1, "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 2), }", 6, "integers"},
        {1, -1, "{'descr': '|b1', 'fortran_order': False, 'shape': (3, 2), }", 6, "integers"},
        {1, -1, "{'descr': '|O', 'fortran_order': False, 'shape': (3, 2), }", 24, "objects"},
        {1, -1, "{'descr': '<V2', 'fortran_order': False, 'shape': (3, 2), }", 12, "bfloat16"},
        {1, -1, "{'descr': '<c8', 'fortran_order': False, 'shape': (3, 2), }", 48, "not a float"},
        {1, -1, "{'descr': '<', 'fortran_order': False, 'shape': (3, 2), }", 48, "not a float"},
        {1, -1, "{'descr': '', 'fortran_order': False, 'shape': (3, 2), }", 48, "not a float"},
        {1, -1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), } {}", 24, "behind"},
        {1, -1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3, 2), }", 24,
         "structure"},
        {1, -1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", 23, "truncated"},
        {1, -1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", 25, "followed"},
        {1, -1, "{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 2), }", 24, "shape"},
        {1, -1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2.5), }", 24, "shape"},
        {1, -1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 12, "fewer than two"},
        {1, -1, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }", 4, "fewer than two"},
        {1, -1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1), }", 4, "range"},
        {1, -1, "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 2), }",
         24, "range"},
        {1, -1, "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 24,
         "larger than any file"},
        {1, -1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2", 24, "shape"},
        {1, -1, "{'descr': '<f4', 'fortran_order': False, }", 24, "lacks"},
        {1, -1, "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", 24,
         "doubled"},
        {1, -1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), 'x': 1}", 24, "unknown"},
        {1, -1, "[1, 2]", 24, "no Python dict"},
        {1, -1, "", 24, "no Python dict"},
        {1, 60000, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", 24, "longer"},
        {2, 0x7fffffff, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", 24,
         "longer"},
        {4, -1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", 24, "version"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mdl_error_t err = {0};
        mdl_npy_t npy;
        write_file(cases[i].version, cases[i].claimed, cases[i].header, cases[i].n_value);
        assert_int_equal(mdl_npy_open(path, &npy, &err), MDL_E_INPUT);
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("case %zu: '%s' doesn't say '%s'", i, err.text, cases[i].says);
        assert_non_null(strstr(err.text, path));
    }
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    write_file(1, -1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n", 24);
    for (long n_byte = 93; n_byte >= 0; n_byte--) {
        mdl_error_t err = {0};
        mdl_npy_t npy;
        assert_int_equal(truncate(path, n_byte), 0);
        assert_int_equal(mdl_npy_open(path, &npy, &err), MDL_E_INPUT);
    }
}

static void missing_files(void **state)
{
    (void)state;
    mdl_error_t err = {0};
    mdl_npy_t npy;
    assert_int_equal(mdl_npy_open("nowhere.npy", &npy, &err), MDL_E_MISSING);
    assert_int_equal(mdl_npy_open(".", &npy, &err), MDL_E_INPUT);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(mdl_npy_open(path, &npy, &err), MDL_E_INPUT);
    assert_int_equal(unlink(path), 0);
    const int64_t dims[2] = {1, 1};
    assert_int_equal(mdl_npy_create("/proc/x.npy", MDL_FLOAT32, 2, dims, &npy, &err), MDL_E_IO);
    assert_int_equal(mdl_npy_create(path, MDL_BFLOAT16, 2, dims, &npy, &err), MDL_E_INPUT);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    mdl_error_t err = {0};
    mdl_npy_t npy;
    const int64_t dims[3] = {3, 2, 2};
    const double values[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, -11.5};
    double back[8];
    assert_int_equal(mdl_npy_create(path, MDL_FLOAT64, 3, dims, &npy, &err), MDL_OK);
    assert_int_equal(npy.n_header % 64, 0);
    assert_int_equal(mdl_npy_append(&npy, 1, values, &err), MDL_OK);
    assert_int_equal(mdl_npy_append(&npy, 2, values + 4, &err), MDL_OK);
    assert_int_equal(mdl_npy_close(&npy, &err), MDL_OK);
    assert_int_equal(mdl_npy_open(path, &npy, &err), MDL_OK);
    assert_int_equal(mdl_npy_read(&npy, 1, 2, back, &err), MDL_OK);
    assert_memory_equal(back, values + 4, sizeof back);
    assert_int_equal(mdl_npy_read(&npy, 2, 2, back, &err), MDL_E_IO);
    mdl_npy_close(&npy, &err);
    remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_headers),
        cmocka_unit_test(bad_headers),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(missing_files),
        cmocka_unit_test(what_is_written_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
