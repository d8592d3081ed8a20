#include "io/h5.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const path = "test_h5.h5";

static hid_t make(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
}

static void values_come_back(void **state)
{
    (void)state;
    mdl_error_t err;
    hid_t file = make();
    const double matrix[6] = {1, 2, 3, 4, 5, 6.5};
    const char *const names[] = {"clip", "", "dinov2-é"};
    int64_t shape[2] = {2, 3}, n = -1, none = 0;
    assert_int_equal(mdl_h5_write_double(file, "/a/b", 2, shape, matrix, &err), MDL_OK);
    assert_int_equal(mdl_h5_write_text(file, "/names", 3, names, &err), MDL_OK);
    assert_int_equal(mdl_h5_write_int32(file, "/empty", 1, &none, NULL, &err), MDL_OK);
    assert_int_equal(mdl_h5_set_text(file, "schema", "x", &err), MDL_OK);
    assert_int_equal(mdl_h5_set_text(file, "schema", "mordal-test", &err), MDL_OK);
    assert_int_equal(mdl_h5_set_double(file, "threshold", 0.7, &err), MDL_OK);
    H5Fclose(file);

    double *values, threshold;
    char **texts, *schema;
    int32_t *empty;
    int64_t any[2] = {-1, 3};
    assert_int_equal(mdl_h5_open(path, "", &file, &err), MDL_OK);
    assert_int_equal(mdl_h5_read_double(file, "/a/b", 2, any, &values, &err), MDL_OK);
    assert_int_equal(any[0], 2);
    assert_memory_equal(values, matrix, sizeof matrix);
    assert_int_equal(mdl_h5_read_text(file, "/names", &n, &texts, &err), MDL_OK);
    assert_int_equal(n, 3);
    assert_string_equal(texts[1], "");
    assert_string_equal(texts[2], "dinov2-é");
    assert_int_equal(mdl_h5_read_int32(file, "/empty", 1, &none, &empty, &err), MDL_OK);
    assert_int_equal(mdl_h5_get_text(file, "schema", &schema, &err), MDL_OK);
    assert_string_equal(schema, "mordal-test");
    assert_int_equal(mdl_h5_get_double(file, "threshold", &threshold, &err), MDL_OK);
    assert_true(threshold == 0.7);
    free(values);
    free(texts);
    free(empty);
    free(schema);
    H5Fclose(file);
    assert_int_equal(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
}

static void wrong_expectations_are_explained(void **state)
{
    (void)state;
    mdl_error_t err;
    hid_t file = make();
    const double vector[4] = {0};
    const char *const name = "x";
    int64_t four = 4, three = 3, wide[2] = {2, 2}, *values, any = -1, number;
    char **texts;
    mdl_h5_write_double(file, "/v", 1, &four, vector, &err);
    mdl_h5_write_text(file, "/t", 1, &name, &err);
    assert_int_equal(mdl_h5_read_int64(file, "/v", 1, &three, &values, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "extent 4 in dimension 0, expected 3"));
    assert_int_equal(mdl_h5_read_int64(file, "/v", 2, wide, &values, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "1 dimensions, expected 2"));
    assert_int_equal(mdl_h5_read_int64(file, "/t", 1, &any, &values, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "holds no numbers"));
    any = -1;
    assert_int_equal(mdl_h5_read_text(file, "/v", &any, &texts, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "holds no strings"));
    assert_int_equal(mdl_h5_read_int64(file, "/none/there", 1, &any, &values, &err), MDL_E_INPUT);
    assert_int_equal(mdl_h5_get_int(file, "nothing", &number, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "attribute nothing is missing"));
    H5Fclose(file);
}

static void no_hdf5_file(void **state)
{
    (void)state;
    mdl_error_t err;
    hid_t file;
    assert_int_equal(mdl_h5_open("not-there.h5", "run mordal-cka", &file, &err), MDL_E_MISSING);
    assert_non_null(strstr(err.text, "run mordal-cka"));
    FILE *text = fopen(path, "w");
    fputs("hello", text);
    fclose(text);
    assert_int_equal(mdl_h5_open(path, "", &file, &err), MDL_E_INPUT);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_back),
        cmocka_unit_test(wrong_expectations_are_explained),
        cmocka_unit_test(no_hdf5_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
