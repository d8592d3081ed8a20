/* Reading ahead: order, blocks that stay the caller's, failures where they happened, early ends. */
#include "similarity/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_FEAT = 3, N_REQUEST = 40, N_ROW = 5 };

/* Every value says where it is from; row 77 of model 1 cannot be read when the flag is set. */
static int read_numbers(const mdl_rows_t *rows, int64_t first, int64_t n_row,
                        mdl_encoding_t encoding, void *out, mdl_error_t *err)
{
    const int *fails = rows->data;
    assert_int_equal(encoding, MDL_FLOAT32);
    for (int64_t i = 0; i < n_row * rows->n_feat; i++)
        ((float *)out)[i] = (float)(first * rows->n_feat + i);
    if (*fails && first <= 77 && 77 < first + n_row)
        return mdl_fail(err, MDL_E_IO, "row 77 of %s cannot be read", rows->model);
    return MDL_OK;
}

static mdl_read_t ask(void *data, int64_t request)
{
    (void)data;
    return (mdl_read_t){.model = (int)(request % 2), .first = request * N_ROW, .n_row = N_ROW};
}

static mdl_reader_t *start(const mdl_rows_t *models, int64_t max_values, int n_kept)
{
    mdl_reader_t *reader;
    mdl_error_t err = {.rank = -1};
    assert_int_equal(mdl_reader_start(&reader, models, MDL_FLOAT32, N_REQUEST, max_values, n_kept,
                                      ask, NULL, &err),
                     MDL_OK);
    return reader;
}

static void assert_is_of(const float *x, int64_t request)
{
    for (int64_t i = 0; i < N_ROW * N_FEAT; i++)
        assert_true(x[i] == (float)(request * N_ROW * N_FEAT + i));
}

/* With small blocks, of which there are many, and with large ones, which are reused soonest. */
static void blocks_come_in_order_and_stay_until_the_next(void **state)
{
    (void)state;
    static const int64_t sizes[] = {N_ROW * N_FEAT, 1 << 20};
    int fails = 0;
    mdl_rows_t models[2] = {{"left", N_FEAT, read_numbers, &fails},
                            {"right", N_FEAT, read_numbers, &fails}};
    for (int n_kept = 1; n_kept <= 2; n_kept++) {
        for (int size = 0; size < 2; size++) {
            mdl_reader_t *reader = start(models, sizes[size], n_kept);
            mdl_error_t err = {.rank = -1};
            void *x = NULL;
            for (int64_t k = 0; k < N_REQUEST; k++) {
                void *before = x;
                assert_int_equal(mdl_reader_next(reader, &x, &err), MDL_OK);
                for (int round = 0; round < 2; round++)
                    assert_is_of(x, k);
                if (n_kept == 2 && k > 0)
                    assert_is_of(before, k - 1);
            }
            mdl_reader_stop(reader);
        }
    }
}

static void a_failure_comes_with_its_own_request(void **state)
{
    (void)state;
    int fails = 1;
    mdl_rows_t models[2] = {{"left", N_FEAT, read_numbers, &fails},
                            {"right", N_FEAT, read_numbers, &fails}};
    mdl_reader_t *reader = start(models, N_ROW * N_FEAT, 1);
    mdl_error_t err = {.rank = -1};
    void *x;
    for (int64_t k = 0; k < 77 / N_ROW; k++)
        assert_int_equal(mdl_reader_next(reader, &x, &err), MDL_OK);
    assert_int_equal(mdl_reader_next(reader, &x, &err), MDL_E_IO);
    assert_non_null(strstr(err.text, "row 77 of right"));
    mdl_reader_stop(reader);
}

static void it_may_be_stopped_at_any_time(void **state)
{
    (void)state;
    int fails = 0;
    mdl_rows_t models[2] = {{"left", N_FEAT, read_numbers, &fails},
                            {"right", N_FEAT, read_numbers, &fails}};
    for (int taken = 0; taken < 5; taken++) {
        mdl_reader_t *reader = start(models, N_ROW * N_FEAT, 1);
        mdl_error_t err = {.rank = -1};
        for (int k = 0; k < taken; k++) {
            void *x;
            assert_int_equal(mdl_reader_next(reader, &x, &err), MDL_OK);
        }
        mdl_reader_stop(reader);
    }
    mdl_reader_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_come_in_order_and_stay_until_the_next),
        cmocka_unit_test(a_failure_comes_with_its_own_request),
        cmocka_unit_test(it_may_be_stopped_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
