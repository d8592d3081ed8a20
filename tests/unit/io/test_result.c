#include "io/path.h"
#include "io/result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const path = "test_result_folder/sub/result.h5";
static const mdl_provenance_t provenance = {"mordal-test", 1, "batch=64\nkernel=linear\n", "abc"};

static void write_result(void)
{
    mdl_error_t err;
    mdl_result_t result;
    const double values[3] = {1, 2, 3};
    const char *const names[2] = {"a", "bc"};
    int64_t n = 3;
    assert_int_equal(mdl_result_create(&result, path, &provenance, &err), MDL_OK);
    int rc = mdl_h5_write_double(result.file, "/values", 1, &n, values, &err);
    if (rc == MDL_OK)
        rc = mdl_h5_write_text(result.file, "/names", 2, names, &err);
    assert_int_equal(mdl_result_close(&result, rc, &err), MDL_OK);
}

static void round_trip(void **state)
{
    (void)state;
    mdl_error_t err;
    hid_t file;
    char why[256];
    write_result();
    assert_int_equal(mdl_result_open(path, "mordal-test", 1, "", &file, &err), MDL_OK);
    mdl_h5_close(file);
    assert_true(mdl_result_is_current(path, &provenance, why));
    assert_int_equal(mdl_result_open(path, "mordal-other", 1, "", &file, &err), MDL_E_INPUT);
    assert_int_equal(mdl_result_open(path, "mordal-test", 2, "", &file, &err), MDL_E_INPUT);
    assert_int_equal(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
}

static void touch(const char *name)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fclose(file);
}

/* Letters that mean something to a shell, too. */
static void unfinished_files_are_swept(void **state)
{
    (void)state;
    mdl_error_t err;
    assert_int_equal(mdl_path_make_folder("odd[1]", &err), MDL_OK);
    assert_int_equal(mdl_path_make_folder("odd1", &err), MDL_OK);
    touch("odd[1]/r.h5.tmp.host.12");
    touch("odd[1]/r.h5");
    touch("odd[1]/r.h52.tmp.host.12");
    touch("odd1/r.h5.tmp.host.12");
    mdl_path_sweep("odd[1]/r.h5");
    assert_int_not_equal(access("odd[1]/r.h5.tmp.host.12", F_OK), 0);
    assert_int_equal(access("odd[1]/r.h5", F_OK), 0);
    assert_int_equal(access("odd[1]/r.h52.tmp.host.12", F_OK), 0);
    assert_int_equal(access("odd1/r.h5.tmp.host.12", F_OK), 0);
    mdl_path_sweep_all("odd[1]/r.");
    assert_int_not_equal(access("odd[1]/r.h52.tmp.host.12", F_OK), 0);
}

/* The parent process lives, and may be writing. */
static void files_of_living_processes_are_spared(void **state)
{
    (void)state;
    char host[64] = "", name[128];
    gethostname(host, sizeof host - 1);
    snprintf(name, sizeof name, "r.h5.tmp.%s.%ld", host, (long)getppid());
    touch(name);
    mdl_path_sweep("r.h5");
    assert_int_equal(access(name, F_OK), 0);
    unlink(name);
}

/* An archive given as output by mistake, or a folder. */
static void other_files_are_not_replaced(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_provenance_t other = provenance;
    mdl_result_t result;
    write_result();
    other.schema = "mordal-other";
    assert_int_equal(mdl_result_create(&result, path, &other, &err), MDL_E_USAGE);
    assert_non_null(strstr(err.text, "holds a mordal-test"));
    assert_int_equal(mdl_result_check_place("test_result_folder", "mordal-test", &err),
                     MDL_E_USAGE);
    assert_int_equal(mdl_result_check_place(path, "mordal-test", &err), MDL_OK);
}

static void changes_are_named(void **state)
{
    (void)state;
    char why[256];
    write_result();
    mdl_provenance_t other = provenance;
    other.configuration = "batch=128\nkernel=linear\n";
    assert_false(mdl_result_is_current(path, &other, why));
    assert_string_equal(why, "settings changed, now batch=128");
    other = provenance;
    strcpy(other.inputs_digest, "def");
    assert_false(mdl_result_is_current(path, &other, why));
    assert_string_equal(why, "its inputs changed");
    assert_false(mdl_result_is_current("nowhere.h5", &provenance, why));
}

static void an_unfinished_result_leaves_the_old_one(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_result_t result;
    char why[256];
    write_result();
    assert_int_equal(mdl_result_create(&result, path, &provenance, &err), MDL_OK);
    assert_int_equal(mdl_result_close(&result, MDL_E_IO, &err), MDL_E_IO);
    assert_true(mdl_result_is_current(path, &provenance, why));
    assert_int_equal(mdl_result_create(&result, "/proc/x/y.h5", &provenance, &err), MDL_E_IO);
}

static void every_flipped_byte_is_seen(void **state)
{
    (void)state;
    write_result();
    FILE *file = fopen(path, "r+b");
    fseek(file, 0, SEEK_END);
    long n_byte = ftell(file);
    for (long i = 0; i < n_byte; i++) {
        fseek(file, i, SEEK_SET);
        int byte = fgetc(file);
        fseek(file, i, SEEK_SET);
        fputc(byte ^ 0x10, file);
        fflush(file);
        hid_t damaged;
        mdl_error_t err;
        assert_int_equal(mdl_result_open(path, "mordal-test", 1, "", &damaged, &err), MDL_E_INPUT);
        fseek(file, i, SEEK_SET);
        fputc(byte, file);
    }
    fclose(file);
}

static void truncated_files_are_seen(void **state)
{
    (void)state;
    write_result();
    FILE *file = fopen(path, "rb");
    fseek(file, 0, SEEK_END);
    long n_byte = ftell(file);
    fclose(file);
    for (long size = n_byte - 1; size > 0; size -= 97) {
        hid_t damaged;
        mdl_error_t err;
        assert_int_equal(truncate(path, size), 0);
        assert_int_equal(mdl_result_open(path, "mordal-test", 1, "", &damaged, &err), MDL_E_INPUT);
    }
}

static void inputs_digest_follows_content(void **state)
{
    (void)state;
    mdl_error_t err;
    char first[MDL_DIGEST_SIZE], second[MDL_DIGEST_SIZE];
    write_result();
    assert_int_equal(mdl_result_inputs_digest(&path, 1, first, &err), MDL_OK);
    write_result();
    assert_int_equal(mdl_result_inputs_digest(&path, 1, second, &err), MDL_OK);
    assert_string_equal(first, second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(unfinished_files_are_swept),
        cmocka_unit_test(files_of_living_processes_are_spared),
        cmocka_unit_test(other_files_are_not_replaced),
        cmocka_unit_test(changes_are_named),
        cmocka_unit_test(an_unfinished_result_leaves_the_old_one),
        cmocka_unit_test(every_flipped_byte_is_seen),
        cmocka_unit_test(truncated_files_are_seen),
        cmocka_unit_test(inputs_digest_follows_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
