/* Time of one sample through the training engine on one core, over random weights; n_pack of them
 * pass together.
 *
 *     bench_engine [n_feat [n_layer [n_vocab [n_token [n_sample [n_pack]]]]]]
 */
#include "models/decoder_weights.h"
#include "models/greedy.h"
#include "models/random_uniform.h"
#include "models/rope_frequency.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N_VISION_FEAT = 384, N_NEW = 8 };

/* Processor seconds of this process: other work on the machine counts little. */
static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void check(int rc, const mdl_error_t *err)
{
    if (rc != MDL_OK) {
        fprintf(stderr, "%s\n", err->text);
        exit(rc);
    }
}

/* A decoder with random weights and norms of one. */
static mdl_decoder_t make_decoder(int64_t n_feat, int64_t n_layer, int64_t n_vocab)
{
    mdl_error_t err;
    mdl_decoder_t decoder = {.config = {.model_type = "llama",
                                        .n_vocab = n_vocab,
                                        .n_feat = n_feat,
                                        .n_mlp_feat = n_feat * 8 / 3 / 16 * 16,
                                        .n_layer = n_layer,
                                        .n_head = 4,
                                        .n_kv_head = 2,
                                        .n_head_feat = n_feat / 4,
                                        .n_max_position = 4096,
                                        .norm_eps = 1e-6,
                                        .tied_head = 1,
                                        .rope = {.theta = 10000}}};
    const mdl_model_config_t *config = &decoder.config;
    size_t n_weight = (size_t)mdl_model_config_n_weight(config);
    decoder.backend = mdl_backend_cpu();
    check(mdl_alloc(&decoder.storage, n_weight, sizeof(float), "weights", &err), &err);
    check(mdl_alloc(&decoder.frequency, (size_t)n_feat, sizeof(float), "frequencies", &err), &err);
    check(mdl_alloc(&decoder.block, (size_t)n_layer, sizeof *decoder.block, "blocks", &err), &err);
    mdl_random_uniform(decoder.storage, (int64_t)n_weight, 1.0f / sqrtf((float)n_feat), 1, 0);
    float *next = decoder.storage;
    mdl_rope_frequency(&config->rope, config->n_head_feat, decoder.frequency);
    decoder.embedding = decoder.head = next;
    next += n_vocab * n_feat;
    decoder.norm = next;
    for (int64_t layer = 0; layer < n_layer; layer++) {
        mdl_block_weights_t *block = &decoder.block[layer];
        block->norm_attention = block->norm_mlp = decoder.norm;
        for (int group = 0; group < MDL_N_GROUP; group++) {
            block->weight[group] = next;
            next += mdl_group_n_out(config, (mdl_linear_group_t)group) *
                    mdl_linear_n_in(config, mdl_group_first(config, (mdl_linear_group_t)group));
        }
    }
    for (int64_t i = 0; i < n_feat; i++)
        decoder.norm[i] = 1.0f;
    return decoder;
}

/* Samples of n_token tokens with a short answer at the end. */
static mdl_pack_t make_pack(int64_t n_pack, int64_t n_token, int64_t n_vocab)
{
    static float feature[N_VISION_FEAT];
    mdl_sample_t *samples = calloc((size_t)n_pack, sizeof *samples);
    int32_t *token = calloc((size_t)(n_pack * n_token), sizeof *token);
    uint8_t *scored = calloc((size_t)n_token, 1);
    mdl_random_uniform(feature, N_VISION_FEAT, 1.0f, 2, 0);
    for (int64_t i = 0; i < n_pack * n_token; i++)
        token[i] = (int32_t)(i * 7919 % n_vocab);
    for (int64_t i = n_token - 3; i < n_token; i++)
        scored[i] = 1;
    for (int64_t i = 0; i < n_pack; i++)
        samples[i] = (mdl_sample_t){n_token, token + i * n_token, scored, 1, 1, feature};
    return (mdl_pack_t){samples, n_pack};
}

int main(int argc, char **argv)
{
    int64_t size[6] = {128, 4, 2048, 13, 2000, 1};
    for (int i = 1; i < argc && i <= 6; i++)
        size[i - 1] = atoll(argv[i]);
    int64_t n_token = size[3], n_pack = size[5], n_pass = size[4] / n_pack;
    mdl_error_t err;
    mdl_adapter_t *adapter;
    mdl_workspace_t *ws;
    mdl_decoder_t decoder = make_decoder(size[0], size[1], size[2]);
    mdl_adapter_options_t options = {.rank = 8, .alpha = 16};
    check(mdl_linear_targets("all", &options.targets, &err), &err);
    check(mdl_adapter_new(mdl_backend_cpu(), &decoder.config, N_VISION_FEAT, &options, 1, &adapter,
                          &err),
          &err);
    check(mdl_workspace_new(&decoder, adapter, n_pack * (n_token + 1 + N_NEW), MDL_KEEP_ALL, &ws,
                            &err),
          &err);
    mdl_pack_t pack = make_pack(n_pack, n_token, size[2]);
    int32_t *answer = calloc((size_t)(n_pack * N_NEW), sizeof *answer);
    int64_t *n_out = calloc((size_t)n_pack, sizeof *n_out);
    double loss, start = now();
    for (int64_t i = 0; i < n_pass; i++)
        check(mdl_pack_gradient(ws, pack.sample, n_pack, 1e-3, &loss, &err), &err);
    double gradient = now() - start;
    start = now();
    for (int64_t i = 0; i < n_pass; i++)
        check(mdl_pack_loss_each(&ws, &pack, 1, &loss, &err), &err);
    double forward = now() - start;
    start = now();
    for (int64_t i = 0; i < n_pass; i++)
        check(mdl_pack_greedy_each(&ws, &pack, 1, N_NEW, -1, answer, n_out, &err), &err);
    double greedy = now() - start, n_sample = (double)(n_pass * n_pack);
    printf("gradient %.3f ms, loss %.3f ms, greedy answer of %d tokens %.3f ms a sample\n",
           1e3 * gradient / n_sample, 1e3 * forward / n_sample, N_NEW, 1e3 * greedy / n_sample);
    free(answer);
    free(n_out);
    mdl_workspace_free(ws);
    mdl_adapter_free(adapter);
    free(decoder.storage);
    free(decoder.frequency);
    free(decoder.block);
    return 0;
}
