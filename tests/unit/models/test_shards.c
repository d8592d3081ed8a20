/* Decoders whose blocks are shared out over 1 to 4 ranks compute what whole ones compute, bit by
 * bit, however many passes each rank makes. */
#include "../backends.h"
#include "models/greedy.h"
#include "models/shards.h"

#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PARITY MORDAL_SOURCE_DIR "/tests/reference/parity/"

enum { N_VISION_FEAT = 7, MAX_LENGTH = 24, N_TOKEN = 9, MAX_NEW = 5 };

static const char *const families[] = {"llama-2",        "llama-3", "llama-3.1", "mistral",
                                       "mistral-window", "qwen2",   "phi-3",     "phi-3-longrope",
                                       "gemma",          "gemma-3"};
enum { N_FAMILY = sizeof families / sizeof *families };

static int rank, n_rank;

/* What a pass of one sample gives. */
typedef struct {
    double loss;
    int64_t n_param, n_answer;
    float *grad; /* [n_param] */
    int32_t answer[MAX_NEW];
} result_t;

static void check(int rc, const mdl_error_t *err)
{
    if (rc != MDL_OK)
        fail_msg("%s", err->text);
}

static mdl_sample_t make_sample(int seed, int32_t *token)
{
    static const uint8_t scored[N_TOKEN] = {0, 0, 0, 1, 0, 1, 1, 1, 0};
    static const float feature[2 * N_VISION_FEAT] = {0.3f,  -1, 0.7f, 2, -0.2f, 0.1f, 1,
                                                     -0.5f, 1,  0,    3, 0.4f,  -2,   1};
    for (int i = 0; i < N_TOKEN; i++)
        token[i] = (i * 31 + seed) % 61; /* the smallest of the vocabularies */
    return (mdl_sample_t){N_TOKEN, token, scored, 3, 2, feature};
}

static void free_results(result_t *results, int n)
{
    for (int i = 0; i < n; i++)
        free(results[i].grad);
}

/* n samples through decoder: gradients and answers. Frees the decoder. */
static void run(mdl_decoder_t *decoder, int n, result_t *results)
{
    const mdl_backend_t *be = mdl_decoder_backend(decoder);
    mdl_adapter_options_t options = {.rank = 2, .alpha = 4};
    mdl_adapter_t *adapter;
    mdl_workspace_t *ws;
    mdl_error_t err;
    check(mdl_linear_targets("all", &options.targets, &err), &err);
    check(mdl_adapter_new(be, mdl_decoder_config(decoder), N_VISION_FEAT, &options, 3, &adapter,
                          &err),
          &err);
    check(mdl_workspace_new(decoder, adapter, MAX_LENGTH, MDL_KEEP_ALL, &ws, &err), &err);
    for (int i = 0; i < n; i++) {
        int32_t token[N_TOKEN];
        result_t *result = &results[i];
        mdl_sample_t sample = make_sample(i + 1, token);
        size_t n_byte = (size_t)adapter->n_param * sizeof(float);
        result->n_param = adapter->n_param;
        result->grad = malloc(n_byte);
        assert_non_null(result->grad);
        be->zero(adapter->grad, n_byte);
        check(mdl_sample_gradient(ws, &sample, 0.5, &result->loss, &err), &err);
        check(be->download(result->grad, adapter->grad, n_byte, &err), &err);
        check(mdl_sample_greedy(ws, &sample, MAX_NEW, -1, result->answer, &result->n_answer, &err),
              &err);
    }
    mdl_workspace_free(ws);
    mdl_adapter_free(adapter);
    mdl_decoder_free(decoder);
}

static void assert_same_results(const char *what, const result_t *left, const result_t *right,
                                int n)
{
    for (int i = 0; i < n; i++)
        if (left[i].loss != right[i].loss ||
            memcmp(left[i].grad, right[i].grad, (size_t)left[i].n_param * sizeof(float)) != 0 ||
            memcmp(left[i].answer, right[i].answer, sizeof left[i].answer) != 0)
            fail_msg("%s, sample %d: losses %.17g and %.17g", what, i, left[i].loss, right[i].loss);
}

/* Rank r makes r passes, so that the first one makes none. */
static void compare_families(const mdl_backend_t *backend)
{
    for (int i = 0; i < N_FAMILY; i++) {
        char folder[256], what[64];
        mdl_decoder_t *whole, *sharded;
        mdl_error_t err;
        result_t expected[4], results[4];
        snprintf(folder, sizeof folder, PARITY "%s", families[i]);
        snprintf(what, sizeof what, "%s on %s", families[i], backend->name);
        check(mdl_decoder_load(backend, folder, &whole, &err), &err);
        run(whole, n_rank == 1 ? 2 : rank, expected);
        check(mdl_decoder_load_sharded(backend, MPI_COMM_WORLD, folder, &sharded, &err), &err);
        run(sharded, n_rank == 1 ? 2 : rank, results);
        assert_same_results(what, expected, results, n_rank == 1 ? 2 : rank);
        free_results(expected, n_rank == 1 ? 2 : rank);
        free_results(results, n_rank == 1 ? 2 : rank);
    }
}

static void sharded_is_whole(void **state)
{
    (void)state;
    const mdl_backend_t *backends[MAX_BACKEND];
    int n = find_backends(backends);
    for (int i = 0; i < n; i++)
        compare_families(backends[i]);
}

static void sharded_is_whole_in_bfloat16(void **state)
{
    (void)state;
    const mdl_backend_t *backends[MAX_BACKEND];
    int n = find_bfloat16_backends(backends);
    for (int i = 0; i < n; i++)
        compare_families(backends[i]);
}

/* Parts cover a block once, in order, in steps of 64 bytes; also where there are more ranks than
 * that. */
static void parts_cover_a_block(void **state)
{
    (void)state;
    static const size_t sizes[] = {4, 64, 100, 128, 6400, 6404, 1000004};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int n = 1; n <= 9; n++) {
            size_t covered = 0;
            for (int r = 0; r < n; r++) {
                size_t first, end;
                mdl_shards_part(sizes[i], n, r, &first, &end);
                assert_int_equal(first, covered);
                assert_true(first == sizes[i] || first % 64 == 0);
                assert_true(end - first <= (sizes[i] + (size_t)n - 1) / (size_t)n + 63);
                covered = end;
            }
            assert_int_equal(covered, sizes[i]);
        }
}

/* Blocks in any order, some asked for again, some expected and never used. */
static void any_order_of_blocks(void **state)
{
    (void)state;
    enum { N_LAYER = 5, N_BYTE = 1000 };
    static const int order[][2] = {{0, 1}, {1, 2}, {2, 3}, {3, 4},  {4, 5}, {4, 3}, {3, 2},
                                   {2, 1}, {0, 1}, {3, 4}, {0, -1}, {1, 2}, {4, 3}, {4, 5}};
    const mdl_backend_t *backends[MAX_BACKEND];
    int n = find_backends(backends);
    for (int b = 0; b < n; b++) {
        mdl_shards_t *shards;
        mdl_error_t err;
        size_t first, end;
        check(mdl_shards_open(backends[b], MPI_COMM_WORLD, N_LAYER, N_BYTE, &shards, &err), &err);
        for (int layer = 0; layer < N_LAYER; layer++) {
            char *own = mdl_shards_own(shards, layer, &first, &end);
            for (size_t i = first; i < end; i++)
                own[i - first] = (char)(layer * 31 + (int)(i % 97));
        }
        mdl_shards_share(shards, MPI_COMM_WORLD);
        for (size_t k = 0; k < sizeof order / sizeof *order; k++) {
            char block[N_BYTE];
            mdl_shards_use(shards, order[k][0], order[k][1]);
            check(
                backends[b]->download(block, mdl_shards_buffer(shards, order[k][0]), N_BYTE, &err),
                &err);
            for (int i = 0; i < N_BYTE; i++)
                assert_int_equal(block[i], (char)(order[k][0] * 31 + i % 97));
        }
        mdl_shards_close(shards);
    }
}

/* Backends that count what they hand out. */
static const mdl_backend_t *counted;
static size_t n_counted, n_counted_host;

static int count_alloc(void *pointer_to_pointer, size_t n_byte, const char *what, mdl_error_t *err)
{
    n_counted += n_byte;
    return counted->alloc(pointer_to_pointer, n_byte, what, err);
}

static int count_host_alloc(void *pointer_to_pointer, size_t n_byte, const char *what,
                            mdl_error_t *err)
{
    n_counted_host += n_byte;
    return counted->host_alloc(pointer_to_pointer, n_byte, what, err);
}

/* What is taken is what plans say; the last rank may have a little less. */
static void memory_is_as_planned(void **state)
{
    (void)state;
    const mdl_backend_t *backends[] = {mdl_backend_cpu(), mdl_backend_strict(),
                                       mdl_backend_cpu_bfloat16()};
    for (int b = 0; b < 3; b++)
        for (int i = 0; i < N_FAMILY; i++) {
            char folder[256];
            mdl_decoder_t *decoder;
            mdl_error_t err;
            mdl_backend_t counting = *backends[b];
            counted = backends[b];
            counting.alloc = count_alloc;
            counting.host_alloc = count_host_alloc;
            snprintf(folder, sizeof folder, PARITY "%s", families[i]);
            for (int n = 0; n <= n_rank; n += n_rank) {
                n_counted = n_counted_host = 0;
                check(n > 0 ? mdl_decoder_load_sharded(&counting, MPI_COMM_WORLD, folder, &decoder,
                                                       &err)
                            : mdl_decoder_load(&counting, folder, &decoder, &err),
                      &err);
                mdl_decoder_memory_t planned = mdl_decoder_memory(
                    mdl_decoder_config(decoder), counting.bfloat16, counting.on_host, n);
                size_t n_taken = n_counted + n_counted_host;
                size_t n_planned = planned.n_backend + planned.n_host;
                assert_true(n_taken <= n_planned);
                assert_true(rank == n_rank - 1 || n_taken == n_planned);
                assert_true(counting.on_host || n_counted == planned.n_backend);
                mdl_decoder_free(decoder);
            }
        }
}

/* Llama 3 with 8 billion weights in bfloat16 on GPUs. */
static void eight_billion_weights(void **state)
{
    (void)state;
    const mdl_model_config_t config = {.n_vocab = 128256,
                                       .n_feat = 4096,
                                       .n_mlp_feat = 14336,
                                       .n_layer = 32,
                                       .n_head = 32,
                                       .n_kv_head = 8,
                                       .n_head_feat = 128};
    mdl_decoder_memory_t whole = mdl_decoder_memory(&config, 1, 0, 0);
    assert_in_range(whole.n_backend, 16059000000, 16063000000); /* 8.03e9 weights */
    assert_int_equal(whole.n_host, 0);
    mdl_decoder_memory_t gpu = mdl_decoder_memory(&config, 1, 0, 4);
    assert_in_range(gpu.n_backend, 2970000000, 2980000000);
    mdl_decoder_memory_t host = mdl_decoder_memory(&config, 1, 1, 4);
    assert_in_range(host.n_backend, 6460000000, 6470000000);
}

/* What one rank alone can't read, no rank has. */
static void one_failure_is_everyones(void **state)
{
    (void)state;
    mdl_decoder_t *decoder = NULL;
    mdl_error_t err;
    const char *folder = rank == n_rank - 1 ? "no-such-folder" : PARITY "llama-2";
    assert_int_equal(
        mdl_decoder_load_sharded(mdl_backend_cpu(), MPI_COMM_WORLD, folder, &decoder, &err),
        MDL_E_MISSING);
    assert_null(decoder);
    assert_non_null(strstr(err.text, "no-such-folder"));
}

static int refuse(void *pointer_to_pointer, size_t n_byte, const char *what, mdl_error_t *err)
{
    void *nothing = NULL;
    memcpy(pointer_to_pointer, &nothing, sizeof nothing);
    if (strstr(what, "part") == NULL)
        return mdl_backend_cpu()->alloc(pointer_to_pointer, n_byte, what, err);
    return mdl_fail(err, MDL_E_MEMORY, "no memory for %s", what);
}

static void one_without_memory_is_everyones(void **state)
{
    (void)state;
    mdl_decoder_t *decoder = NULL;
    mdl_error_t err;
    mdl_backend_t backend = *mdl_backend_cpu();
    if (rank == 0)
        backend.alloc = refuse;
    assert_int_equal(
        mdl_decoder_load_sharded(&backend, MPI_COMM_WORLD, PARITY "llama-2", &decoder, &err),
        MDL_E_MEMORY);
    assert_non_null(strstr(err.text, "a rank's part"));
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_rank);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_cover_a_block),
        cmocka_unit_test(any_order_of_blocks),
        cmocka_unit_test(sharded_is_whole),
        cmocka_unit_test(sharded_is_whole_in_bfloat16),
        cmocka_unit_test(memory_is_as_planned),
        cmocka_unit_test(eight_billion_weights),
        cmocka_unit_test(one_failure_is_everyones),
        cmocka_unit_test(one_without_memory_is_everyones),
    };
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return n_failed;
}
