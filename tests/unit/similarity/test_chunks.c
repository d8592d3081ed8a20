/* Sums in the order of the items, whoever computes them. */
#include "mpi/chunks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_VALUE = 3 };

typedef struct {
    int64_t next, fails_at; /* the item that is due next; the one that fails, or -1 */
    double cost;            /* of what was computed */
} own_t;

static double cost_of(const void *data, int64_t item)
{
    (void)data;
    return 1 + (double)(item % 7) + (double)item / 100;
}

static int begin(void *data, int64_t first, int64_t n_own, mdl_error_t *err)
{
    own_t *own = data;
    (void)n_own;
    (void)err;
    own->next = first;
    return MDL_OK;
}

/* Numbers whose sum depends on the order of the additions. */
static int compute(void *data, int64_t item, double *values, mdl_error_t *err)
{
    own_t *own = data;
    assert_int_equal(item, own->next++);
    if (item == own->fails_at)
        return mdl_fail(err, MDL_E_INPUT, "item %lld is bad", (long long)item);
    own->cost += cost_of(NULL, item);
    for (int v = 0; v < N_VALUE; v++)
        values[v] += 1 / (double)(1 + item * N_VALUE + v);
    return MDL_OK;
}

static int run(MPI_Comm comm, int64_t n_item, int64_t fails_at, mdl_chunk_sums_t *sums)
{
    own_t own = {.fails_at = fails_at};
    mdl_chunks_t work = {.n_item = n_item,
                         .n_value = N_VALUE,
                         .what = "items",
                         .begin = begin,
                         .compute = compute,
                         .data = &own};
    mdl_error_t err = {.rank = -1};
    int rc = mdl_chunks_run(comm, &work, sums, &err);
    if (fails_at >= 0)
        assert_non_null(strstr(err.text, "is bad"));
    return rc;
}

static void ranks_have_the_same_sums_as_one(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 5, 100, 2520, 2521, 20001};
    for (int k = 0; k < 7; k++) {
        mdl_chunk_sums_t together, alone;
        assert_int_equal(run(MPI_COMM_WORLD, sizes[k], -1, &together), MDL_OK);
        assert_int_equal(run(MPI_COMM_SELF, sizes[k], -1, &alone), MDL_OK);
        assert_int_equal(together.n_chunk, mdl_chunks_count(sizes[k], N_VALUE));
        assert_int_equal(together.n_chunk, alone.n_chunk);
        assert_memory_equal(together.values, alone.values,
                            (size_t)alone.n_chunk * N_VALUE * sizeof(double));
        assert_int_equal(alone.bytes_sent, 0);
        free(together.values);
        free(alone.values);
    }
}

/* No rank has more than its share and half of the dearest chunk on either side. */
static void ranks_share_items_out_by_cost(void **state)
{
    (void)state;
    enum { N = 1000 };
    int n_rank;
    own_t own = {.fails_at = -1};
    mdl_chunks_t work = {.n_item = N,
                         .n_value = N_VALUE,
                         .what = "items",
                         .begin = begin,
                         .compute = compute,
                         .cost = cost_of,
                         .data = &own};
    mdl_chunk_sums_t sums, alone;
    mdl_error_t err = {.rank = -1};
    MPI_Comm_size(MPI_COMM_WORLD, &n_rank);
    assert_int_equal(mdl_chunks_run(MPI_COMM_WORLD, &work, &sums, &err), MDL_OK);
    assert_int_equal(run(MPI_COMM_SELF, N, -1, &alone), MDL_OK);
    assert_memory_equal(sums.values, alone.values, N * N_VALUE * sizeof(double));
    double total = 0;
    MPI_Allreduce(&own.cost, &total, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    assert_true(own.cost <= total / n_rank + cost_of(NULL, N - 1));
    free(sums.values);
    free(alone.values);
}

static void a_rank_that_fails_ends_all(void **state)
{
    (void)state;
    for (int64_t item = 0; item < 100; item += 33) {
        mdl_chunk_sums_t sums;
        assert_int_equal(run(MPI_COMM_WORLD, 100, item, &sums), MDL_E_INPUT);
        assert_null(sums.values);
    }
}

static void what_is_sent_does_not_grow_with_the_items(void **state)
{
    (void)state;
    assert_int_equal(mdl_chunks_count(7, 42), 7);
    assert_int_equal(mdl_chunks_count(1000000, 42), mdl_chunks_count(10000, 42));
    assert_true(mdl_chunks_count(1000000, 100000) < mdl_chunks_count(1000000, 42));
}

int main(void)
{
    MPI_Init(NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_have_the_same_sums_as_one),
        cmocka_unit_test(ranks_share_items_out_by_cost),
        cmocka_unit_test(a_rank_that_fails_ends_all),
        cmocka_unit_test(what_is_sent_does_not_grow_with_the_items),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed != 0;
}
