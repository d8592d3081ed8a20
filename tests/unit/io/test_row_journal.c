/* The journal of rows: what is there after a run that ended at any byte, on other ranks. Run with 1
 * to 4 ranks; rank 0 makes and breaks files between the collective steps. */
#include "io/row_journal.h"

#include "core/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_ROW = 23, N_VALUE = 5, N_ROW_BYTE = N_VALUE * sizeof(float) };

static const char key[MDL_DIGEST_SIZE] = "00112233445566778899aabbccddeeff";
static char *path;
static int rank, n_rank;

static void check(int rc, const mdl_error_t *err)
{
    if (rc != MDL_OK)
        fail_msg("%s", err->text);
}

static mdl_row_journal_t *open_it(MPI_Comm comm, const char *of)
{
    mdl_error_t err;
    mdl_row_journal_t *journal;
    check(mdl_row_journal_open(comm, path, of, N_ROW, N_ROW_BYTE, &journal, &err), &err);
    return journal;
}

static void fill(float row[N_VALUE], int64_t number)
{
    for (int i = 0; i < N_VALUE; i++)
        row[i] = (float)(100 * number + i);
}

/* Every rank adds those of rows first .. end - 1 that are its turn. */
static void add(mdl_row_journal_t *journal, int64_t first, int64_t end)
{
    mdl_error_t err;
    float row[N_VALUE];
    for (int64_t i = first; i < end; i++) {
        fill(row, i);
        if (i % n_rank == rank && !mdl_row_journal_has(journal, i))
            check(mdl_row_journal_add(journal, i, row, &err), &err);
    }
}

static void assert_whole(mdl_row_journal_t *journal)
{
    mdl_error_t err;
    float row[N_VALUE], expected[N_VALUE];
    for (int64_t i = 0; i < N_ROW; i++) {
        assert_true(mdl_row_journal_has(journal, i));
        check(mdl_row_journal_read(journal, i, row, &err), &err);
        fill(expected, i);
        assert_memory_equal(row, expected, sizeof row);
    }
}

static int count(const mdl_row_journal_t *journal)
{
    int n = 0;
    for (int64_t i = 0; i < N_ROW; i++)
        n += mdl_row_journal_has(journal, i);
    return n;
}

static void start_anew(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0)
        mdl_row_journal_remove(path);
    MPI_Barrier(MPI_COMM_WORLD);
}

static void rows_outlive_a_run(void **state)
{
    (void)state;
    mdl_error_t err;
    start_anew();
    mdl_row_journal_t *journal = open_it(MPI_COMM_WORLD, key);
    assert_int_equal(count(journal), 0);
    add(journal, 4, 15);
    mdl_row_journal_close(journal);
    journal = open_it(MPI_COMM_WORLD, key);
    assert_int_equal(count(journal), 11);
    assert_true(mdl_row_journal_has(journal, 4) && !mdl_row_journal_has(journal, 15));
    add(journal, 0, N_ROW);
    check(mdl_row_journal_finish(journal, &err), &err);
    assert_whole(journal);
    mdl_row_journal_close(journal);
}

/* What all ranks wrote, rank 0 alone goes on with; and the other way round. */
static void other_ranks_go_on(void **state)
{
    (void)state;
    mdl_error_t err;
    start_anew();
    mdl_row_journal_t *journal = open_it(MPI_COMM_WORLD, key);
    add(journal, 0, 9);
    mdl_row_journal_close(journal);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0) {
        float row[N_VALUE];
        journal = open_it(MPI_COMM_SELF, key);
        assert_int_equal(count(journal), 9);
        for (int64_t i = 9; i < 14; i++) {
            fill(row, i);
            check(mdl_row_journal_add(journal, i, row, &err), &err);
        }
        mdl_row_journal_close(journal);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    journal = open_it(MPI_COMM_WORLD, key);
    assert_int_equal(count(journal), 14);
    add(journal, 0, N_ROW);
    check(mdl_row_journal_finish(journal, &err), &err);
    assert_whole(journal);
    mdl_row_journal_close(journal);
}

/* A file that ends at any byte, or holds a flipped one, keeps the whole records before. */
static void torn_records_are_made_again(void **state)
{
    (void)state;
    mdl_error_t err;
    const int n_record_byte = 16 + N_ROW_BYTE;
    for (int n_byte = 0; n_byte <= 64 + 3 * n_record_byte; n_byte += 7) {
        start_anew();
        mdl_row_journal_t *journal = open_it(MPI_COMM_WORLD, key);
        add(journal, 0, 3 * n_rank);
        mdl_row_journal_close(journal);
        MPI_Barrier(MPI_COMM_WORLD);
        if (rank == 0) {
            char *name = mdl_text("%s.rows-0", path);
            assert_int_equal(truncate(name, n_byte), 0);
            free(name);
        }
        MPI_Barrier(MPI_COMM_WORLD);
        journal = open_it(MPI_COMM_WORLD, key);
        int n_left = n_byte < 64 ? 0 : (n_byte - 64) / n_record_byte;
        assert_int_equal(count(journal), 3 * (n_rank - 1) + n_left);
        add(journal, 0, N_ROW);
        check(mdl_row_journal_finish(journal, &err), &err);
        assert_whole(journal);
        mdl_row_journal_close(journal);
    }
}

static void a_flipped_byte_is_found(void **state)
{
    (void)state;
    start_anew();
    mdl_row_journal_t *journal = open_it(MPI_COMM_WORLD, key);
    add(journal, 0, N_ROW);
    mdl_row_journal_close(journal);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0) {
        char *name = mdl_text("%s.rows-0", path);
        FILE *file = fopen(name, "r+b");
        assert_non_null(file);
        fseek(file, 64 + 16 + N_ROW_BYTE + 16 + 3, SEEK_SET);
        fputc(0x55, file);
        fclose(file);
        free(name);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    journal = open_it(MPI_COMM_WORLD, key);
    int n_own = (N_ROW + n_rank - 1) / n_rank; /* rows 0, n_rank, 2 n_rank, ... */
    assert_int_equal(count(journal), N_ROW - n_own + 1);
    mdl_row_journal_close(journal);
}

static void another_key_starts_anew(void **state)
{
    (void)state;
    static const char other[MDL_DIGEST_SIZE] = "ffffffffffffffffffffffffffffffff";
    start_anew();
    mdl_row_journal_t *journal = open_it(MPI_COMM_WORLD, key);
    add(journal, 0, N_ROW);
    mdl_row_journal_close(journal);
    journal = open_it(MPI_COMM_WORLD, other);
    assert_int_equal(count(journal), 0);
    mdl_row_journal_close(journal);
    start_anew();
    char *name = mdl_text("%s.rows-%d", path, rank);
    assert_int_not_equal(access(name, F_OK), 0);
    free(name);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_rank);
    path = mdl_text("row-journal-np%d/out.h5", n_rank);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_outlive_a_run),          cmocka_unit_test(other_ranks_go_on),
        cmocka_unit_test(torn_records_are_made_again), cmocka_unit_test(a_flipped_byte_is_found),
        cmocka_unit_test(another_key_starts_anew),
    };
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(path);
    MPI_Finalize();
    return n_failed;
}
