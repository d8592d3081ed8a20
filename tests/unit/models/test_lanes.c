/* Shards whose blocks go to a GPU by the CUDA bodies of the lanes, on the CUDA runtime of
 * tests/host_cuda, which puts every operation off as long as it may: what a block's operations read
 * must be there, and stay until they have run. */
#include "models/shards.h"

#include "lanes.h"

#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { N_LAYER = 7, N_BYTE = 5000, N_PASS = 20 };

static mdl_shards_t *shards;
static int n_wrong, n_checked;

static char byte_of(int64_t layer, size_t at)
{
    return (char)(layer * 31 + (int64_t)(at % 97));
}

/* An operation of block layer. */
static void look(int64_t layer)
{
    const char *block = mdl_shards_buffer(shards, layer);
    n_checked++;
    for (size_t i = 0; i < N_BYTE; i++)
        n_wrong += block[i] != byte_of(layer, i);
}

static void make_shards(const mdl_backend_t *backend)
{
    mdl_error_t err;
    size_t first, end;
    if (mdl_shards_open(backend, MPI_COMM_WORLD, N_LAYER, N_BYTE, &shards, &err) != MDL_OK)
        fail_msg("%s", err.text);
    for (int layer = 0; layer < N_LAYER; layer++) {
        char *own = mdl_shards_own(shards, layer, &first, &end);
        for (size_t i = first; i < end; i++)
            own[i - first] = byte_of(layer, i);
    }
    mdl_shards_share(shards, MPI_COMM_WORLD);
}

static void operations_find_their_block(void **state)
{
    (void)state;
    mdl_backend_t backend = host_cuda_lanes();
    make_shards(&backend);
    for (int pass = 0; pass < N_PASS; pass++) {
        for (int64_t layer = 0; layer < N_LAYER; layer++) {
            mdl_shards_use(shards, layer, layer + 1);
            host_cuda_operation(look, layer);
            host_cuda_operation(look, layer);
        }
        for (int64_t layer = N_LAYER - 1; pass % 2 == 0 && layer >= 0; layer--) {
            mdl_shards_use(shards, layer, layer - 1);
            host_cuda_operation(look, layer);
        }
    }
    host_cuda_finish();
    mdl_shards_close(shards);
    assert_int_equal(n_checked, N_PASS / 2 * (2 + 3) * N_LAYER);
    assert_int_equal(n_wrong, 0);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(operations_find_their_block)};
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return n_failed;
}
