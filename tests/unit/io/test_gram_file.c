/* Gram files: the same bytes from any number of ranks, whole or not at all, damage that is seen. */
#include "io/gram_file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_SAMPLE = 21, BATCH = 6, N_BATCH = 3, N_VALUE = 16 };

static const mdl_provenance_t provenance = {MDL_GRAM_SCHEMA, MDL_GRAM_VERSION, "batch=6\n", "abc"};
static char names[N_SAMPLE][8];
static const char *ids[N_SAMPLE];
static int rank, n_rank;

static float value_at(int64_t number, int64_t at)
{
    return (float)(100 * number + at) / 8;
}

/* Writes the first n_batch of N_BATCH batches, dealt out to the ranks. */
static int write_file(const char *path, int64_t n_batch, int *made, mdl_error_t *err)
{
    mdl_gram_info_t info = {.model = "m",
                            .side = "vision",
                            .label = "l",
                            .encoding = MDL_FLOAT32,
                            .n_sample = N_SAMPLE,
                            .n_feat = 5,
                            .batch = BATCH,
                            .n_batch = N_BATCH,
                            .n_value = N_VALUE,
                            .sample_ids = ids};
    mdl_gram_writer_t *writer;
    int rc = mdl_gram_create(MPI_COMM_WORLD, path, &provenance, &info, &writer, err);
    for (int64_t k = rank; rc == MDL_OK && k < n_batch; k += n_rank) {
        float gram[N_VALUE];
        for (int64_t i = 0; i < N_VALUE; i++)
            gram[i] = value_at(k, i);
        rc = mdl_gram_write(writer, k, gram, N_VALUE, 0.5 * (double)k, (double)-k, err);
    }
    return mdl_gram_finish(writer, rc, made, err);
}

static void what_is_written_is_read(void **state)
{
    mdl_error_t err;
    mdl_gram_t *gram;
    char digits[MDL_DIGEST_SIZE], path[32];
    int made;
    (void)state;
    snprintf(path, sizeof path, "whole-%d.h5", n_rank);
    assert_int_equal(write_file(path, N_BATCH, &made, &err), MDL_OK);
    assert_int_equal(made, 1);
    assert_int_equal(mdl_gram_open(path, &gram, &err), MDL_OK);
    assert_int_equal(mdl_gram_sample_digest(ids, N_SAMPLE, digits, &err), MDL_OK);
    assert_string_equal(gram->sample_digest, digits);
    assert_string_equal(gram->archive_digest, "abc");
    assert_string_equal(gram->model, "m");
    assert_string_equal(gram->sample_ids[20], ids[20]);
    assert_true(gram->n_sample == N_SAMPLE && gram->n_feat == 5 && gram->batch == BATCH &&
                gram->n_batch == N_BATCH && gram->n_value == N_VALUE);
    for (int64_t k = 0; k < N_BATCH; k++) {
        float values[N_VALUE];
        assert_int_equal(mdl_gram_read(gram, k, N_VALUE, values, &err), MDL_OK);
        for (int64_t i = 0; i < N_VALUE; i++)
            assert_true(values[i] == value_at(k, i));
        assert_true(gram->power[k] == 0.5 * (double)k && gram->exponent[k] == (double)-k);
    }
    mdl_gram_close(gram);
}

static void batches_that_are_missing_are_known(void **state)
{
    mdl_error_t err;
    mdl_gram_t *gram;
    char path[32];
    int made;
    (void)state;
    snprintf(path, sizeof path, "part-%d.h5", n_rank);
    assert_int_equal(write_file("none.h5", 0, &made, &err), MDL_OK);
    assert_int_equal(made, 0);
    assert_int_not_equal(access("none.h5", F_OK), 0);
    assert_int_equal(write_file(path, N_BATCH - 1, &made, &err), MDL_OK);
    assert_int_equal(made, 1);
    assert_int_equal(mdl_gram_open(path, &gram, &err), MDL_OK);
    assert_int_equal(gram->n_kept, N_BATCH - 1);
    for (int64_t k = 0; k < N_BATCH; k++) {
        float values[N_VALUE];
        assert_int_equal(isnan(gram->power[k]), k == N_BATCH - 1);
        assert_int_equal(mdl_gram_read(gram, k, N_VALUE, values, &err),
                         k < N_BATCH - 1 ? MDL_OK : MDL_E_INPUT);
    }
    mdl_gram_close(gram);
    assert_int_equal(write_file("/proc/nowhere/x.h5", N_BATCH, &made, &err), MDL_E_IO);
}

static void flip(const char *path, long at)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, at, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(byte ^ 0x55, file);
    fclose(file);
}

/* Every byte of the file is under the guard, or else under the digest of its batch. */
static void every_damaged_byte_is_seen(void **state)
{
    mdl_error_t err;
    int made;
    (void)state;
    assert_int_equal(write_file("damaged.h5", N_BATCH, &made, &err), MDL_OK);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank != 0)
        return;
    FILE *file = fopen("damaged.h5", "rb");
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    fclose(file);
    for (long at = 0; at < size; at += 7) {
        mdl_gram_t *gram;
        float values[N_VALUE];
        flip("damaged.h5", at);
        int rc = mdl_gram_open("damaged.h5", &gram, &err);
        for (int64_t k = 0; rc == MDL_OK && k < N_BATCH; k++)
            rc = mdl_gram_read(gram, k, N_VALUE, values, &err);
        mdl_gram_close(gram);
        if (rc != MDL_E_INPUT && !(at < 512 && rc == MDL_OK))
            fail_msg("byte %ld: code %d", at, rc);
        flip("damaged.h5", at);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(batches_that_are_missing_are_known),
        cmocka_unit_test(every_damaged_byte_is_seen),
    };
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_rank);
    for (int i = 0; i < N_SAMPLE; i++) {
        snprintf(names[i], sizeof names[i], "s%d", i);
        ids[i] = names[i];
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
