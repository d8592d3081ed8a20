/* Seconds of a training step of projector and LoRA on a backend; compare_gpu.py makes the folders
 * and runs transformers and peft on the same work.
 *
 * usage: bench_gpu_step FOLDER BACKEND PRECISION STEPS BATCH VISUAL TOKENS [shard] [checkpointed]
 * With shard the ranks, each of which does the same work, share the model's blocks out; with
 * checkpointed activations are computed again in the backward pass.
 * prints: seconds of the best step (the first is left out), seconds of loading the model
 */
#include "models/backend_choice.h"
#include "models/optimiser.h"
#include "models/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_VISION_FEAT = 1024, N_SCORED = 8 };

typedef struct {
    const mdl_backend_t *backend;
    mdl_decoder_t *decoder;
    mdl_adapter_t *adapter;
    mdl_workspace_t *workspace;
    float *m, *v;
    int64_t batch;
    mdl_sample_t sample;
} bench_t;

static void check(int rc, const mdl_error_t *err)
{
    if (rc == MDL_OK)
        return;
    fprintf(stderr, "%s\n", err->text);
    MPI_Abort(MPI_COMM_WORLD, rc);
}

static void *take(size_t count, size_t size)
{
    mdl_error_t err;
    void *memory;
    check(mdl_alloc(&memory, count, size, "the bench", &err), &err);
    return memory;
}

/* A begin token, visual tokens, text of which the last N_SCORED tokens count. */
static mdl_sample_t make_sample(int64_t n_visual, int64_t n_token, int64_t n_vocab)
{
    int32_t *token = take((size_t)n_token, sizeof *token);
    uint8_t *scored = take((size_t)n_token, 1);
    float *feature = take((size_t)n_visual * N_VISION_FEAT, sizeof *feature);
    for (int64_t i = 0; i < n_token; i++) {
        token[i] = (int32_t)(i * 7919 % n_vocab);
        scored[i] = i >= n_token - N_SCORED;
    }
    for (int64_t i = 0; i < n_visual * N_VISION_FEAT; i++)
        feature[i] = (float)(i % 17 - 8) / 8;
    return (mdl_sample_t){n_token, token, scored, 1, n_visual, feature};
}

static void open_bench(bench_t *bench, char **argv, int sharded, mdl_workspace_keep_t keep)
{
    mdl_error_t err;
    mdl_adapter_options_t options = {.rank = 8, .alpha = 16};
    int64_t n_visual = atoll(argv[6]), n_token = atoll(argv[7]);
    check(mdl_backend_choose(MPI_COMM_WORLD, argv[2], argv[3], &bench->backend, &err), &err);
    check(mdl_linear_targets("q_proj,v_proj", &options.targets, &err), &err);
    check(sharded ? mdl_decoder_load_sharded(bench->backend, MPI_COMM_WORLD, argv[1],
                                             &bench->decoder, &err)
                  : mdl_decoder_load(bench->backend, argv[1], &bench->decoder, &err),
          &err);
    const mdl_model_config_t *config = mdl_decoder_config(bench->decoder);
    check(
        mdl_adapter_new(bench->backend, config, N_VISION_FEAT, &options, 1, &bench->adapter, &err),
        &err);
    check(mdl_workspace_new(bench->decoder, bench->adapter, n_visual + n_token, keep,
                            &bench->workspace, &err),
          &err);
    size_t n_byte = (size_t)bench->adapter->n_param * sizeof(float);
    check(bench->backend->alloc(&bench->m, n_byte, "moments", &err), &err);
    check(bench->backend->alloc(&bench->v, n_byte, "moments", &err), &err);
    bench->batch = atoll(argv[5]);
    bench->sample = make_sample(n_visual, n_token, config->n_vocab);
}

static void train_step(bench_t *bench, int64_t step, int64_t n_step)
{
    mdl_error_t err;
    mdl_adapter_t *adapter = bench->adapter;
    const mdl_optimiser_settings_t settings = {
        .learning_rate = 1e-4, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    double loss, scale = 1 / (double)(bench->batch * N_SCORED);
    bench->backend->zero(adapter->grad, (size_t)adapter->n_param * sizeof(float));
    for (int64_t i = 0; i < bench->batch; i++)
        check(mdl_sample_gradient(bench->workspace, &bench->sample, scale, &loss, &err), &err);
    check(mdl_optimiser_step(bench->backend, &settings, adapter->param, adapter->grad, bench->m,
                             bench->v, adapter->n_param, step, n_step, &err),
          &err);
    check(bench->backend->download(&(float){0}, adapter->param, sizeof(float), &err), &err);
}

int main(int argc, char **argv)
{
    bench_t bench;
    double best = 0;
    MPI_Init(&argc, &argv);
    int sharded = argc > 8 && strcmp(argv[8], "shard") == 0, n_word = 8 + sharded;
    int checkpointed = argc > n_word && strcmp(argv[n_word], "checkpointed") == 0;
    if (argc != n_word + checkpointed)
        MPI_Abort(MPI_COMM_WORLD, MDL_E_USAGE);
    double start = MPI_Wtime();
    open_bench(&bench, argv, sharded, checkpointed ? MDL_KEEP_INPUTS : MDL_KEEP_ALL);
    double load = MPI_Wtime() - start;
    int64_t n_step = atoll(argv[4]);
    for (int64_t step = 0; step <= n_step; step++) {
        start = MPI_Wtime();
        train_step(&bench, step, n_step + 1);
        double seconds = MPI_Wtime() - start;
        best = step <= 1 || seconds < best ? seconds : best;
    }
    printf("%.6f %.3f\n", best, load);
    mdl_decoder_free(bench.decoder);
    MPI_Finalize();
    return 0;
}
