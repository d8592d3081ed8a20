/* Time of one sample through the training engine on one core, over random weights.
 *
 *     bench_engine [n_feat [n_layer [n_vocab [n_token [n_sample]]]]]
 */
#include "models/decoder_weights.h"
#include "models/random_uniform.h"
#include "models/rope_frequency.h"
#include "models/sample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N_VISION_FEAT = 384 };

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

int main(int argc, char **argv)
{
    int64_t size[5] = {128, 4, 2048, 13, 2000};
    for (int i = 1; i < argc && i <= 5; i++)
        size[i - 1] = atoll(argv[i]);
    int64_t n_token = size[3], n_sample = size[4], n_out;
    mdl_error_t err;
    mdl_adapter_t *adapter;
    mdl_workspace_t *ws;
    mdl_decoder_t decoder = make_decoder(size[0], size[1], size[2]);
    mdl_adapter_options_t options = {.rank = 8, .alpha = 16};
    check(mdl_linear_targets("all", &options.targets, &err), &err);
    check(mdl_adapter_new(mdl_backend_cpu(), &decoder.config, N_VISION_FEAT, &options, 1, &adapter,
                          &err),
          &err);
    check(mdl_workspace_new(&decoder, adapter, n_token + 9, MDL_KEEP_ALL, &ws, &err), &err);

    int32_t *token = calloc((size_t)n_token, sizeof *token), answer[8];
    uint8_t *scored = calloc((size_t)n_token, 1);
    float feature[N_VISION_FEAT];
    mdl_random_uniform(feature, N_VISION_FEAT, 1.0f, 2, 0);
    for (int64_t i = 0; i < n_token; i++) {
        token[i] = (int32_t)(i * 7919 % size[2]);
        scored[i] = i >= n_token - 3; /* a short answer */
    }
    mdl_sample_t sample = {n_token, token, scored, 1, 1, feature};
    double loss, start = now();
    for (int64_t i = 0; i < n_sample; i++)
        check(mdl_sample_gradient(ws, &sample, 1e-3, &loss, &err), &err);
    double gradient = now() - start;
    start = now();
    for (int64_t i = 0; i < n_sample; i++)
        check(mdl_sample_loss(ws, &sample, &loss, &err), &err);
    double forward = now() - start;
    start = now();
    for (int64_t i = 0; i < n_sample; i++)
        check(mdl_sample_greedy(ws, &sample, 8, -1, answer, &n_out, &err), &err);
    double greedy = now() - start;
    printf("gradient %.3f ms, loss %.3f ms, greedy answer of 8 tokens %.3f ms a sample\n",
           1e3 * gradient / (double)n_sample, 1e3 * forward / (double)n_sample,
           1e3 * greedy / (double)n_sample);
    free(token);
    free(scored);
    mdl_workspace_free(ws);
    mdl_adapter_free(adapter);
    free(decoder.storage);
    free(decoder.frequency);
    free(decoder.block);
    return 0;
}
