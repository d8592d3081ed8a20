/* Archive files: the same bytes from any number of ranks, and damage that is always seen. */
#include "io/archive_file.h"

#include "io/path.h"
#include "mpi/agree.h"
#include "mpi/block.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_SAMPLE = 11, N_TOKEN = 2, N_FEAT = 3 };

static const mdl_provenance_t provenance = {MDL_ARCHIVE_SCHEMA, MDL_ARCHIVE_VERSION, "label=x",
                                            "abc"};
static const char *const ids[N_SAMPLE] = {"a",  "bb", "c c", "d\xc3\xa9", "e", "f",
                                          "g7", "h",  "i",   "j",         "k"};
static int rank, n_rank;

static mdl_archive_info_t info_of(mdl_encoding_t encoding, int64_t n_token)
{
    return (mdl_archive_info_t){.model = "m",
                                .side = "vision",
                                .label = "l",
                                .source = "s",
                                .encoding = encoding,
                                .n_sample = N_SAMPLE,
                                .n_token = n_token,
                                .n_feat = N_FEAT,
                                .sample_ids = ids};
}

/* Rows of small whole numbers, which every encoding holds exactly. */
static int write_archive(MPI_Comm comm, const char *path, mdl_encoding_t encoding, int64_t n_token,
                         int64_t bad_row, mdl_error_t *err)
{
    mdl_archive_info_t info = info_of(encoding, n_token);
    mdl_archive_writer_t *writer;
    int64_t n_value = (n_token > 0 ? n_token : 1) * N_FEAT, first, end;
    int own_rank, own_n_rank;
    float floats[N_SAMPLE * N_TOKEN * N_FEAT];
    double stored[N_SAMPLE * N_TOKEN * N_FEAT];
    MPI_Comm_rank(comm, &own_rank);
    MPI_Comm_size(comm, &own_n_rank);
    int rc = mdl_archive_create(comm, path, &provenance, &info, &writer, err);
    if (rc != MDL_OK)
        return rc;
    /* In two calls, of which the second is empty on the last rank. */
    mdl_block_range(N_SAMPLE, own_n_rank, own_rank, &first, &end);
    int64_t middle = own_rank == own_n_rank - 1 ? end : first + 1;
    for (int64_t i = first * n_value; i < end * n_value; i++)
        floats[i] = (float)(i - 5);
    if (bad_row >= first && bad_row < end)
        floats[bad_row * n_value + 1] = NAN;
    size_t n_byte = mdl_encoding_size(encoding) * (size_t)n_value;
    mdl_float_convert(MDL_FLOAT32, floats + first * n_value, encoding,
                      (char *)stored + (size_t)first * n_byte, (size_t)((end - first) * n_value));
    rc = mdl_archive_write(writer, first, middle - first, (char *)stored + (size_t)first * n_byte,
                           err);
    if (rc == MDL_OK)
        rc = mdl_archive_write(writer, middle, end - middle,
                               (char *)stored + (size_t)middle * n_byte, err);
    return mdl_archive_finish(writer, rc, err);
}

static char *read_bytes(const char *path, long *n_byte)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *n_byte = ftell(file);
    rewind(file);
    char *bytes = malloc((size_t)*n_byte);
    assert_int_equal(fread(bytes, 1, (size_t)*n_byte, file), *n_byte);
    fclose(file);
    return bytes;
}

static void any_ranks_give_the_same_bytes(void **state)
{
    (void)state;
    mdl_error_t err = {0};
    for (int encoding = MDL_FLOAT16; encoding <= MDL_FLOAT64; encoding++) {
        for (int64_t n_token = 0; n_token <= N_TOKEN; n_token += N_TOKEN) {
            assert_int_equal(write_archive(MPI_COMM_WORLD, "all.h5", (mdl_encoding_t)encoding,
                                           n_token, -1, &err),
                             MDL_OK);
            if (rank == 0) {
                long n_all, n_one;
                assert_int_equal(write_archive(MPI_COMM_SELF, "one.h5", (mdl_encoding_t)encoding,
                                               n_token, -1, &err),
                                 MDL_OK);
                char *all = read_bytes("all.h5", &n_all), *one = read_bytes("one.h5", &n_one);
                assert_int_equal(n_all, n_one);
                assert_memory_equal(all, one, (size_t)n_all);
                free(all);
                free(one);
            }
            MPI_Barrier(MPI_COMM_WORLD);
        }
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    mdl_error_t err = {0};
    mdl_archive_t *archive;
    float floats[4 * N_TOKEN * N_FEAT];
    double doubles[N_SAMPLE * N_TOKEN * N_FEAT];
    const char *const wanted[] = {"k", "nobody", "a", "d\xc3\xa9"};
    int64_t rows[4];
    assert_int_equal(write_archive(MPI_COMM_WORLD, "all.h5", MDL_BFLOAT16, N_TOKEN, -1, &err),
                     MDL_OK);
    assert_int_equal(mdl_archive_open("all.h5", &archive, &err), MDL_OK);
    assert_string_equal(archive->model, "m");
    assert_string_equal(archive->side, "vision");
    assert_int_equal(archive->encoding, MDL_BFLOAT16);
    assert_int_equal(archive->n_token, N_TOKEN);
    assert_int_equal(mdl_archive_row_size(archive), N_TOKEN * N_FEAT);
    assert_string_equal(archive->sample_ids[2], "c c");
    assert_int_equal(mdl_archive_read_float(archive, 3, 4, floats, &err), MDL_OK);
    assert_true(floats[0] == 3 * N_TOKEN * N_FEAT - 5);
    assert_int_equal(mdl_archive_read_double(archive, 0, N_SAMPLE, doubles, &err), MDL_OK);
    for (int i = 0; i < N_SAMPLE * N_TOKEN * N_FEAT; i++)
        assert_true(doubles[i] == i - 5);
    assert_int_equal(mdl_archive_read_float(archive, 8, 4, floats, &err), MDL_E_INTERNAL);
    assert_int_equal(mdl_archive_find_rows(archive, wanted, 4, rows, &err), MDL_OK);
    assert_int_equal(rows[0], 10);
    assert_int_equal(rows[1], -1);
    assert_int_equal(rows[2], 0);
    assert_int_equal(rows[3], 3);
    mdl_archive_close(archive);
    assert_int_equal(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
    MPI_Barrier(MPI_COMM_WORLD);
}

static void bad_content_is_refused(void **state)
{
    (void)state;
    mdl_error_t err = {0};
    mdl_archive_writer_t *writer;
    if (rank == 0)
        remove("bad.h5");
    assert_int_equal(write_archive(MPI_COMM_WORLD, "bad.h5", MDL_FLOAT32, N_TOKEN, 9, &err),
                     MDL_E_INPUT);
    assert_non_null(strstr(err.text, "model m, sample 'j', token 0, column 1"));
    mdl_archive_info_t info = info_of(MDL_FLOAT32, 0);
    const char *doubled[N_SAMPLE];
    memcpy(doubled, ids, sizeof ids);
    doubled[7] = "c c";
    info.sample_ids = doubled;
    assert_int_equal(
        mdl_archive_create(MPI_COMM_WORLD, "bad.h5", &provenance, &info, &writer, &err),
        MDL_E_INPUT);
    assert_non_null(strstr(err.text, "rows 2 and 7 have the same sample id 'c c'"));
    doubled[7] = "";
    assert_int_equal(
        mdl_archive_create(MPI_COMM_WORLD, "bad.h5", &provenance, &info, &writer, &err),
        MDL_E_INPUT);
    info.n_sample = 0;
    assert_int_equal(
        mdl_archive_create(MPI_COMM_WORLD, "bad.h5", &provenance, &info, &writer, &err),
        MDL_E_INPUT);
    info = info_of(MDL_FLOAT32, INT64_MAX / 2);
    assert_int_equal(
        mdl_archive_create(MPI_COMM_WORLD, "bad.h5", &provenance, &info, &writer, &err),
        MDL_E_INPUT);
    info = info_of(MDL_FLOAT32, 0);
    assert_int_equal(
        mdl_archive_create(MPI_COMM_WORLD, "/proc/x/y.h5", &provenance, &info, &writer, &err),
        MDL_E_IO);
    assert_null(writer);
    assert_int_equal(access("bad.h5", F_OK), -1);
}

/* A row that nobody wrote must not pass as zeros. */
static void missing_rows_are_noticed(void **state)
{
    (void)state;
    mdl_error_t err = {0};
    mdl_archive_info_t info = info_of(MDL_FLOAT32, 0);
    mdl_archive_writer_t *writer;
    const float row[N_FEAT] = {1, 2, 3};
    assert_int_equal(
        mdl_archive_create(MPI_COMM_WORLD, "bad.h5", &provenance, &info, &writer, &err), MDL_OK);
    int rc = mdl_archive_write(writer, 0, rank == 0, row, &err);
    assert_int_equal(rc, MDL_OK);
    assert_int_equal(mdl_archive_finish(writer, rc, &err), MDL_E_INTERNAL);
    assert_int_equal(access("bad.h5", F_OK), -1);
}

/* 1 when opening or reading says that the file is damaged. */
static int is_seen(const char *path, mdl_error_t *err)
{
    mdl_archive_t *archive;
    double values[N_SAMPLE * N_FEAT];
    if (mdl_archive_open(path, &archive, err) != MDL_OK)
        return err->code == MDL_E_INPUT;
    int rc = mdl_archive_read_double(archive, 0, N_SAMPLE, values, err);
    mdl_archive_close(archive);
    return rc == MDL_E_INPUT;
}

static void every_flipped_byte_is_seen(void **state)
{
    (void)state;
    mdl_error_t err = {0};
    if (rank > 0)
        return;
    assert_int_equal(write_archive(MPI_COMM_SELF, "flip.h5", MDL_FLOAT16, 0, -1, &err), MDL_OK);
    long n_byte;
    char *bytes = read_bytes("flip.h5", &n_byte);
    FILE *file = fopen("flip.h5", "r+b");
    int n_row_seen = 0;
    for (long i = 0; i < n_byte; i += i < 1024 ? 1 : 7) {
        fseek(file, i, SEEK_SET);
        fputc(bytes[i] ^ 0x10, file);
        fflush(file);
        if (!is_seen("flip.h5", &err))
            fail_msg("byte %ld of %ld was flipped and not seen", i, n_byte);
        n_row_seen += strstr(err.text, "(sample '") != NULL;
        fseek(file, i, SEEK_SET);
        fputc(bytes[i], file);
    }
    fclose(file);
    assert_in_range(n_row_seen, 1, N_SAMPLE * N_FEAT * 2);
    assert_false(is_seen("flip.h5", &err));
    for (long cut = n_byte - 1; cut > 0; cut -= 101) {
        assert_int_equal(truncate("flip.h5", cut), 0);
        assert_true(is_seen("flip.h5", &err));
    }
    free(bytes);
    remove("flip.h5");
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_rank);
    char folder[64];
    snprintf(folder, sizeof folder, "test_archive_file.np%d", n_rank);
    mdl_error_t err;
    if (mdl_on_root(MPI_COMM_WORLD, rank, mdl_path_make_folder(folder, &err), &err) != MDL_OK ||
        chdir(folder) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_ranks_give_the_same_bytes), cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(bad_content_is_refused),        cmocka_unit_test(missing_rows_are_noticed),
        cmocka_unit_test(every_flipped_byte_is_seen),
    };
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return n_failed;
}
