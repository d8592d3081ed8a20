#include "mpi/agree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int rank, n_rank;

static void all_well(void **state)
{
    (void)state;
    mdl_error_t err = {0};
    assert_int_equal(mdl_agree(MPI_COMM_WORLD, MDL_OK, &err), MDL_OK);
}

static void last_rank_fails_for_all(void **state)
{
    (void)state;
    mdl_error_t err = {0};
    int rc = MDL_OK;
    if (rank == n_rank - 1)
        rc = mdl_fail(&err, MDL_E_INPUT, "row %d is bad", 7);
    assert_int_equal(mdl_agree(MPI_COMM_WORLD, rc, &err), MDL_E_INPUT);
    assert_string_equal(err.text, "row 7 is bad");
    assert_int_equal(err.rank, n_rank - 1);
}

static void a_failure_outweighs_a_clean_stop(void **state)
{
    (void)state;
    mdl_error_t err = {0};
    int rc = rank == 0 ? mdl_fail(&err, MDL_E_AGAIN, "stopped") : MDL_OK;
    assert_int_equal(mdl_agree(MPI_COMM_WORLD, rc, &err), MDL_E_AGAIN);
    if (n_rank == 1)
        return;
    rc = rank == 0 ? mdl_fail(&err, MDL_E_AGAIN, "stopped") : mdl_fail(&err, MDL_E_IO, "full");
    assert_int_equal(mdl_agree(MPI_COMM_WORLD, rc, &err), MDL_E_IO);
    assert_string_equal(err.text, "full");
    assert_int_equal(err.rank, 1);
}

/* A candidate's group agrees first, then all groups: the rank is the one of all. */
static void the_rank_is_that_of_the_world(void **state)
{
    (void)state;
    mdl_error_t err = {0};
    MPI_Comm pair;
    int last = rank == n_rank - 1;
    MPI_Comm_split(MPI_COMM_WORLD, rank / 2, rank, &pair);
    int rc = mdl_agree(pair, last ? mdl_fail(&err, MDL_E_IO, "full") : MDL_OK, &err);
    assert_int_equal(mdl_agree(MPI_COMM_WORLD, rc, &err), MDL_E_IO);
    assert_int_equal(err.rank, n_rank - 1);
    MPI_Comm_free(&pair);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_rank);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_well),
        cmocka_unit_test(last_rank_fails_for_all),
        cmocka_unit_test(a_failure_outweighs_a_clean_stop),
        cmocka_unit_test(the_rank_is_that_of_the_world),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
