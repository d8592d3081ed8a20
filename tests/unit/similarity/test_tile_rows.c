/* Rows for the tiles of Gram matrices: the right ones, whatever stays in memory and whoever asks.
 */
#include "similarity/tile_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_SAMPLE = 1200, N_MODEL = 2 };

static int read_numbers(const mdl_rows_t *rows, int64_t first, int64_t n_row,
                        mdl_encoding_t encoding, void *out, mdl_error_t *err)
{
    (void)encoding;
    (void)err;
    for (int64_t i = 0; i < n_row * rows->n_feat; i++)
        ((double *)out)[i] = (double)((first * rows->n_feat + i) * 7919 % 1013);
    return MDL_OK;
}

static void assert_right(mdl_tile_rows_t *rows, int model, int64_t tile, int side)
{
    const mdl_means_t *means = rows->means;
    const mdl_rows_t *from = &means->task->models[model];
    int64_t n_row = mdl_means_rows(means, tile);
    size_t n_value = (size_t)(mdl_real_padded(n_row) * from->n_feat);
    double *x = calloc((size_t)(n_row * from->n_feat), sizeof *x);
    double *expected = calloc(n_value, sizeof *expected);
    mdl_error_t err = {.rank = -1};
    void *packed;
    assert_int_equal(mdl_tile_rows_get(rows, model, tile, side, &packed, &err), MDL_OK);
    read_numbers(from, tile * means->tile, n_row, MDL_FLOAT64, x, &err);
    mdl_means_pack(means, model, n_row, x, expected);
    assert_memory_equal(packed, expected, n_value * sizeof *expected);
    free(x);
    free(expected);
}

static void check_tiles(const mdl_means_t *means, int64_t n_slot, int64_t first, int64_t step)
{
    mdl_tile_rows_t rows;
    mdl_error_t err = {.rank = -1};
    int64_t n_item = means->n_tile * (means->n_tile + 1) / 2;
    assert_int_equal(mdl_tile_rows_init(&rows, means, &err), MDL_OK);
    assert_int_equal(rows.n_slot, means->n_tile);
    rows.n_slot = n_slot;
    assert_int_equal(mdl_tile_rows_start(&rows, first, n_item, step, &err), MDL_OK);
    for (int64_t item = first; item < n_item; item += step) {
        int64_t i, j;
        mdl_tile_of_item(item, &i, &j);
        for (int model = 0; model < N_MODEL; model++) {
            assert_right(&rows, model, i, 0);
            if (i != j)
                assert_right(&rows, model, j, 1);
        }
    }
    mdl_tile_rows_free(&rows);
}

static void every_tile_gets_its_rows(void **state)
{
    (void)state;
    mdl_cka_settings_t settings = {.precision = MDL_FLOAT64};
    mdl_rows_t models[N_MODEL] = {{"left", 5, read_numbers, NULL},
                                  {"right", 12, read_numbers, NULL}};
    mdl_cka_sums_t sums = {0};
    mdl_cka_task_t task = {.settings = &settings,
                           .real = mdl_real(MDL_FLOAT64),
                           .models = models,
                           .n_model = N_MODEL,
                           .n_sample = N_SAMPLE,
                           .n_pair = mdl_cka_pair(N_MODEL, 0),
                           .sums = &sums};
    mdl_means_t means;
    mdl_error_t err = {.rank = -1};
    assert_int_equal(mdl_means_find(MPI_COMM_WORLD, &means, &task, &err), MDL_OK);
    assert_int_equal(means.n_tile, 3);
    for (int64_t step = 1; step < 4; step++) {
        check_tiles(&means, means.n_tile, step - 1, step);
        check_tiles(&means, 1, step - 1, step);
        check_tiles(&means, 0, step - 1, step);
    }
    mdl_means_free(&means);
}

int main(void)
{
    MPI_Init(NULL, NULL);
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_tile_gets_its_rows)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed != 0;
}
