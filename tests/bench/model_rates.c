/* Samples a second, and peak memory, of a model folder on this machine's processors: training steps
 * of projector and LoRA, or feature extraction. compare_pytorch.py makes the folders and runs
 * PyTorch on the same work.
 *
 * usage: mpiexec -n RANKS bench_model_rates train FOLDER STEPS BATCH VISUAL TOKENS [PACK_LENGTH]
 *                                           [checkpointed]
 *        mpiexec -n RANKS bench_model_rates extract FOLDER ROUNDS BATCH SIDE
 *        bench_model_rates load FOLDER float32|bfloat16
 * prints: wall and cpu seconds of the best step (round) or of loading, peak bytes of all ranks
 */
#include "models/encoder.h"
#include "models/training.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* PIECE: images that extract-vision encodes together. */
enum { N_VISION_FEAT = 768, N_SCORED = 8, PIECE = 4 };

static void check(int rc, const mdl_error_t *err)
{
    if (rc == MDL_OK)
        return;
    fprintf(stderr, "%s\n", err->text);
    MPI_Abort(MPI_COMM_WORLD, rc);
}

static double cpu_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void *take(size_t count, size_t size)
{
    mdl_error_t err;
    void *memory;
    check(mdl_alloc(&memory, count, size, "the bench", &err), &err);
    return memory;
}

/* Corpus and features of equal samples: a begin token, visual tokens, text with N_SCORED scored. */
static void make_data(mdl_corpus_t *corpus, mdl_features_t *features, int64_t n_sample,
                      int64_t n_visual, int64_t n_token, int64_t n_vocab)
{
    *corpus = (mdl_corpus_t){.path = (char *)"bench",
                             .vocab_size = n_vocab,
                             .n_sample = n_sample,
                             .n_train = n_sample,
                             .n_token = n_sample * n_token,
                             .max_length = n_token};
    corpus->token = take((size_t)corpus->n_token, sizeof *corpus->token);
    corpus->scored = take((size_t)corpus->n_token, 1);
    corpus->offset = take((size_t)n_sample + 1, sizeof *corpus->offset);
    corpus->visual_at = take((size_t)n_sample, sizeof *corpus->visual_at);
    corpus->train = take((size_t)n_sample, sizeof *corpus->train);
    *features =
        (mdl_features_t){.n_image = n_sample, .n_visual = n_visual, .n_feat = N_VISION_FEAT};
    features->image = take((size_t)n_sample, sizeof *features->image);
    features->value = take((size_t)(n_sample * n_visual), N_VISION_FEAT * sizeof(float));
    for (int64_t i = 0; i < n_sample; i++) {
        corpus->offset[i + 1] = (i + 1) * n_token;
        corpus->visual_at[i] = 1;
        corpus->train[i] = features->image[i] = i;
    }
    for (int64_t i = 0; i < corpus->n_token; i++) {
        corpus->token[i] = (int32_t)(i * 7919 % n_vocab);
        corpus->scored[i] = i % n_token >= n_token - N_SCORED;
    }
    for (int64_t i = 0; i < n_sample * n_visual * N_VISION_FEAT; i++)
        features->value[i] = (float)(i % 17 - 8) / 8;
}

/* The least of the times that step takes, of which the first are left out as warm-up. */
typedef struct {
    double wall, cpu;
} best_t;

static void keep_best(best_t *best, double wall, double cpu, int round)
{
    MPI_Allreduce(MPI_IN_PLACE, &wall, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    MPI_Allreduce(MPI_IN_PLACE, &cpu, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    if (round == 1 || wall < best->wall)
        best->wall = wall;
    if (round == 1 || cpu < best->cpu)
        best->cpu = cpu;
}

static best_t train(int argc, char **argv)
{
    mdl_error_t err;
    mdl_decoder_t *decoder;
    mdl_adapter_t *adapter;
    mdl_workspace_t *workspace;
    mdl_training_t *training;
    mdl_corpus_t corpus;
    mdl_features_t features;
    best_t best = {0, 0};
    int n_step = atoi(argv[3]);
    int64_t batch = atoll(argv[4]), n_visual = atoll(argv[5]), n_token = atoll(argv[6]);
    int checkpointed = strcmp(argv[argc - 1], "checkpointed") == 0;
    mdl_adapter_options_t options = {.rank = 8, .alpha = 16};
    const mdl_training_settings_t settings = {
        .epochs = 1,
        .batch = batch,
        .pack_length = argc - checkpointed > 7 ? atoll(argv[7]) : 0,
        .keep = checkpointed ? MDL_KEEP_INPUTS : MDL_KEEP_ALL,
        .optimiser = {.learning_rate = 1e-4, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8}};
    check(mdl_linear_targets("q_proj,v_proj", &options.targets, &err), &err);
    check(mdl_decoder_load(mdl_backend_cpu(), argv[2], &decoder, &err), &err);
    const mdl_model_config_t *config = mdl_decoder_config(decoder);
    make_data(&corpus, &features, (n_step + 1) * batch, n_visual, n_token, config->n_vocab);
    check(mdl_adapter_new(mdl_backend_cpu(), config, N_VISION_FEAT, &options, 1, &adapter, &err),
          &err);
    check(mdl_workspace_new(decoder, adapter,
                            mdl_training_max_length(&settings, config, n_token + n_visual),
                            settings.keep, &workspace, &err),
          &err);
    check(mdl_training_new(&settings, &corpus, &features, adapter, workspace, &training, &err),
          &err);
    for (int step = 0; step <= n_step; step++) {
        mdl_step_t told;
        MPI_Barrier(MPI_COMM_WORLD);
        double wall = MPI_Wtime(), cpu = cpu_seconds();
        check(mdl_training_step(training, MPI_COMM_WORLD, 0, &told, &err), &err);
        keep_best(&best, MPI_Wtime() - wall, cpu_seconds() - cpu, step);
    }
    return best;
}

static best_t extract(char **argv)
{
    mdl_error_t err;
    mdl_encoder_t *encoder;
    mdl_encoder_shape_t shape;
    best_t best = {0, 0};
    int n_round = atoi(argv[3]), rank, n_rank;
    int64_t batch = atoll(argv[4]), side = atoll(argv[5]);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_rank);
    check(mdl_encoder_load(mdl_backend_cpu(), argv[2], &encoder, &err), &err);
    int64_t n_state = mdl_encoder_n_state(encoder);
    check(mdl_encoder_shape(encoder, n_state - 1, side, side, &shape, &err), &err);
    float **state = take((size_t)n_state, sizeof *state);
    state[n_state - 1] = take((size_t)(PIECE * shape.n_token * shape.n_feat), sizeof(float));
    const mdl_encoder_output_t output = {.state = state};
    float *pixel = take((size_t)(PIECE * 3 * side * side), sizeof *pixel);
    for (int64_t i = 0; i < PIECE * 3 * side * side; i++)
        pixel[i] = (float)(i % 23 - 11) / 8;
    for (int round = 0; round <= n_round; round++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double wall = MPI_Wtime(), cpu = cpu_seconds();
        for (int64_t i = rank * PIECE; i < batch; i += n_rank * PIECE)
            check(mdl_encoder_forward(encoder, pixel, batch - i < PIECE ? batch - i : PIECE, side,
                                      side, &output, &err),
                  &err);
        keep_best(&best, MPI_Wtime() - wall, cpu_seconds() - cpu, round);
    }
    return best;
}

static best_t load(char **argv)
{
    mdl_error_t err;
    mdl_decoder_t *decoder;
    int bfloat16 = strcmp(argv[3], "bfloat16") == 0;
    double wall = MPI_Wtime(), cpu = cpu_seconds();
    check(mdl_decoder_load(bfloat16 ? mdl_backend_cpu_bfloat16() : mdl_backend_cpu(), argv[2],
                           &decoder, &err),
          &err);
    return (best_t){MPI_Wtime() - wall, cpu_seconds() - cpu};
}

int main(int argc, char **argv)
{
    int rank;
    best_t best;
    struct rusage usage;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (argc >= 7 && argc <= 9 && strcmp(argv[1], "train") == 0)
        best = train(argc, argv);
    else if (argc == 6 && strcmp(argv[1], "extract") == 0)
        best = extract(argv);
    else if (argc == 4 && strcmp(argv[1], "load") == 0)
        best = load(argv);
    else
        MPI_Abort(MPI_COMM_WORLD, MDL_E_USAGE);
    getrusage(RUSAGE_SELF, &usage);
    long peak = usage.ru_maxrss;
    MPI_Allreduce(MPI_IN_PLACE, &peak, 1, MPI_LONG, MPI_SUM, MPI_COMM_WORLD);
    if (rank == 0)
        printf("%.6f %.6f %ld\n", best.wall, best.cpu, peak * 1024);
    MPI_Finalize();
    return 0;
}
