/* A rank's GPU: of this node, shared with every other rank where it has one alone, or none with the
 * reason. mpi.kernels_rank_device_on_host is the same program where the host is the only GPU. */
#include "core/log.h"
#include "kernels/rank_device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void every_rank_has_a_device_or_none(void **state)
{
    (void)state;
    const char *none;
    mdl_rank_device_t found;
    mdl_error_t err;
    int rank, n_rank, n_device = mdl_device_count(&none);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_rank);
    assert_int_equal(mdl_rank_device(MPI_COMM_WORLD, 0, &found, &err), MDL_OK);
    if (n_device == 0) {
        assert_int_equal(found.number, -1);
        assert_string_equal(found.why_none.text, none);
        assert_int_equal(mdl_rank_device(MPI_COMM_WORLD, 1, &found, &err), MDL_E_USAGE);
        assert_non_null(strstr(err.text, none));
        return;
    }
    assert_int_equal(found.number, rank % n_device);
    assert_int_equal(found.n_sharer, n_rank / n_device + (rank % n_device < n_rank % n_device));
    assert_int_equal(mdl_rank_device(MPI_COMM_WORLD, 1, &found, &err), MDL_OK);
    assert_int_equal(found.number, rank % n_device);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_rank_has_a_device_or_none)};
    MPI_Init(&argc, &argv);
    mdl_log_setup("test", 0, MDL_LOG_ERROR);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed != 0;
}
