#include "mpi/group.h"
#include "mpi/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { N = 40 };

static int rank, n_rank;
static mdl_error_t err;

static void rest(long microseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000 * microseconds}, NULL);
}

/* Sums over the ranks how often each item was taken. */
static void share(int taken[N])
{
    MPI_Allreduce(MPI_IN_PLACE, taken, N, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
}

static void every_item_is_taken_once(void **state)
{
    (void)state;
    double costs[N];
    int taken[N] = {0};
    mdl_queue_t *queue;
    for (int i = 0; i < N; i++)
        costs[i] = (i * 7) % 10;
    assert_int_equal(mdl_queue_open(MPI_COMM_WORLD, N, costs, &queue, &err), MDL_OK);
    for (int64_t item; (item = mdl_queue_take(queue)) >= 0;) {
        assert_true(item < N);
        taken[item]++;
        rest(100 * (long)costs[item]);
    }
    assert_int_equal(mdl_queue_take(queue), -1);
    mdl_queue_close(queue);
    share(taken);
    for (int i = 0; i < N; i++)
        assert_int_equal(taken[i], 1);
}

static void the_costliest_comes_first_and_ties_by_index(void **state)
{
    (void)state;
    const double costs[] = {1, 5, 3, 5, 0, 3};
    const int64_t expected[] = {1, 3, 2, 5, 0, 4};
    mdl_queue_t *queue;
    assert_int_equal(mdl_queue_open(MPI_COMM_WORLD, 6, costs, &queue, &err), MDL_OK);
    if (rank == n_rank - 1)
        for (int i = 0; i < 6; i++)
            assert_int_equal(mdl_queue_take(queue), expected[i]);
    mdl_queue_close(queue);
}

static void a_stop_ends_the_queue_for_all(void **state)
{
    (void)state;
    double costs[N] = {0};
    mdl_queue_t *queue;
    assert_int_equal(mdl_queue_open(MPI_COMM_WORLD, N, costs, &queue, &err), MDL_OK);
    if (rank == 0) {
        for (int i = 0; i < 5; i++)
            assert_int_equal(mdl_queue_take(queue), i);
        mdl_queue_stop(queue);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(mdl_queue_take(queue) < 0);
    mdl_queue_close(queue);
}

static void done_items_are_counted(void **state)
{
    (void)state;
    double costs[N] = {0};
    int64_t largest = 0;
    mdl_queue_t *queue;
    assert_int_equal(mdl_queue_open(MPI_COMM_WORLD, N, costs, &queue, &err), MDL_OK);
    while (mdl_queue_take(queue) >= 0)
        largest = mdl_queue_done(queue);
    mdl_queue_close(queue);
    MPI_Allreduce(MPI_IN_PLACE, &largest, 1, MPI_INT64_T, MPI_MAX, MPI_COMM_WORLD);
    assert_int_equal(largest, N);
}

static void an_empty_queue_gives_nothing(void **state)
{
    (void)state;
    mdl_queue_t *queue;
    assert_int_equal(mdl_queue_open(MPI_COMM_WORLD, 0, NULL, &queue, &err), MDL_OK);
    assert_int_equal(mdl_queue_take(queue), -1);
    mdl_queue_close(queue);
}

/* One rank may empty the queue while the others wait for its end. */
static void waiting_ranks_only_meet(void **state)
{
    (void)state;
    const double costs[] = {1, 1};
    mdl_queue_t *queue;
    assert_int_equal(mdl_queue_open(MPI_COMM_WORLD, 2, costs, &queue, &err), MDL_OK);
    if (rank == 0)
        while (mdl_queue_take(queue) >= 0)
            ;
    mdl_queue_close(queue);
}

static void group_sizes(void **state)
{
    (void)state;
    const struct {
        int n_rank;
        int64_t n_item, asked, batch;
        int expected;
    } cases[] = {
        {1, 10, 0, 4, 1}, {4, 10, 0, 4, 1}, {16, 4, 0, 4, 4}, {16, 3, 0, 8, 4},
        {16, 1, 0, 8, 8}, {64, 2, 0, 4, 4}, {7, 1, 0, 64, 4}, {8, 4, 3, 4, 3},
        {2, 4, 3, 4, 2},  {16, 0, 0, 4, 1}, {6, 2, 0, 4, 2},  {5, 2, 5, 1, 5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(
            mdl_group_size(cases[i].n_rank, cases[i].n_item, cases[i].asked, cases[i].batch),
            cases[i].expected);
}

static void groups_of_two_leave_an_odd_rank_over(void **state)
{
    (void)state;
    mdl_group_t group;
    int size = n_rank < 2 ? 1 : 2, n;
    mdl_group_split(MPI_COMM_WORLD, size, &group);
    assert_int_equal(group.n_group, n_rank / size);
    if (n_rank % size == 1 && rank == n_rank - 1) {
        assert_int_equal(group.index, -1);
        assert_true(group.comm == MPI_COMM_NULL);
    } else {
        assert_int_equal(group.index, rank / size);
        assert_int_equal(group.rank, rank % size);
        MPI_Comm_size(group.comm, &n);
        assert_int_equal(n, size);
    }
    mdl_group_free(&group);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_rank);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_is_taken_once),
        cmocka_unit_test(the_costliest_comes_first_and_ties_by_index),
        cmocka_unit_test(a_stop_ends_the_queue_for_all),
        cmocka_unit_test(done_items_are_counted),
        cmocka_unit_test(an_empty_queue_gives_nothing),
        cmocka_unit_test(waiting_ranks_only_meet),
        cmocka_unit_test(group_sizes),
        cmocka_unit_test(groups_of_two_leave_an_odd_rank_over),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
