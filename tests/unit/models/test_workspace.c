/* Workspaces that keep less give the same bits as one that keeps everything, for every family, with
 * LoRA on all linear layers, on some and on none. */
#include "../backends.h"
#include "models/greedy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* N_TOKEN: more rows than the engine's own product takes, so that BLAS works too. */
enum { N_VISION_FEAT = 7, N_VISUAL = 2, N_TOKEN = 50, N_ANSWER = 8 };
enum { N_POSITION = N_TOKEN + N_VISUAL, SMALLEST_VOCABULARY = 61 };

typedef struct {
    const mdl_backend_t *backend;
    mdl_decoder_t *decoder;
    mdl_adapter_t *adapter;
    int64_t n_param, d, n_position;
    mdl_sample_t sample[2]; /* a long one and a short one */
} model_t;

static const char *const families[] = {"llama-2", "llama-3",       "llama-3.1",      "mistral",
                                       "qwen2",   "phi-3",         "mistral-window", "gemma",
                                       "gemma-3", "phi-3-longrope"};

static int32_t token[N_TOKEN];
static uint8_t scored[N_TOKEN];
static float feature[N_VISUAL * N_VISION_FEAT];

static void check(int rc, const mdl_error_t *err)
{
    if (rc != MDL_OK)
        fail_msg("%s", err->text);
}

static void *take(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    assert_non_null(memory);
    return memory;
}

static model_t open_model(const mdl_backend_t *backend, const char *family, const char *targets)
{
    mdl_error_t err;
    model_t model = {.backend = backend,
                     .sample = {{N_TOKEN, token, scored, 3, N_VISUAL, feature},
                                {9, token, scored, 1, N_VISUAL, feature}}};
    mdl_adapter_options_t options = {.rank = targets != NULL ? 2 : 0, .alpha = 4};
    char path[512];
    snprintf(path, sizeof path, "%s/tests/reference/parity/%s", MORDAL_SOURCE_DIR, family);
    check(mdl_linear_targets(targets != NULL ? targets : "all", &options.targets, &err), &err);
    check(mdl_decoder_load(backend, path, &model.decoder, &err), &err);
    const mdl_model_config_t *config = mdl_decoder_config(model.decoder);
    check(mdl_adapter_new(backend, config, N_VISION_FEAT, &options, 3, &model.adapter, &err), &err);
    model.n_param = model.adapter->n_param;
    model.d = config->n_feat;
    if (config->n_max_position < N_POSITION)
        model.sample[0].n_token = config->n_max_position - N_VISUAL;
    model.n_position = model.sample[0].n_token + N_VISUAL;
    size_t n_byte = (size_t)model.n_param * sizeof(float);
    float *param = take(1, n_byte);
    check(backend->download(param, model.adapter->param, n_byte, &err), &err);
    for (int64_t i = 0; i < model.n_param; i++)
        param[i] += 0.05f * sinf((float)i); /* B away from zero */
    check(backend->upload(model.adapter->param, param, n_byte, &err), &err);
    free(param);
    return model;
}

static void close_model(model_t *model)
{
    mdl_adapter_free(model->adapter);
    mdl_decoder_free(model->decoder);
}

static mdl_workspace_t *open_workspace(const model_t *model, mdl_workspace_keep_t keep)
{
    mdl_error_t err;
    mdl_workspace_t *ws;
    check(mdl_workspace_new(model->decoder, model->adapter, model->n_position, keep, &ws, &err),
          &err);
    return ws;
}

/* Losses and gradient of the long, the short and again the long sample, and of the short one twice
 * in a pack; freed by the caller. */
static float *gradient(const model_t *model, mdl_workspace_keep_t keep, double losses[4])
{
    static const int order[] = {0, 1, 0};
    mdl_error_t err;
    size_t n_byte = (size_t)model->n_param * sizeof(float);
    float *grad = take(1, n_byte);
    mdl_workspace_t *ws = open_workspace(model, keep);
    model->backend->zero(model->adapter->grad, n_byte);
    for (int i = 0; i < 3; i++)
        check(mdl_sample_gradient(ws, &model->sample[order[i]], 0.1, &losses[i], &err), &err);
    const mdl_sample_t pack[2] = {model->sample[1], model->sample[1]};
    check(mdl_pack_gradient(ws, pack, 2, 0.1, &losses[3], &err), &err);
    check(model->backend->download(grad, model->adapter->grad, n_byte, &err), &err);
    mdl_workspace_free(ws);
    return grad;
}

static void same_gradients(const model_t *model)
{
    double plain_losses[4], losses[4], largest = 0;
    float *plain = gradient(model, MDL_KEEP_ALL, plain_losses);
    float *grad = gradient(model, MDL_KEEP_INPUTS, losses);
    for (int64_t i = 0; i < model->n_param; i++)
        largest = fmax(largest, fabs((double)plain[i]));
    assert_true(largest > 0 && plain_losses[0] > plain_losses[1]);
    assert_memory_equal(losses, plain_losses, sizeof losses);
    assert_memory_equal(grad, plain, (size_t)model->n_param * sizeof *grad);
    free(plain);
    free(grad);
}

/* The loss, and the hidden states of the long sample; freed by the caller. */
static float *hidden(const model_t *model, mdl_workspace_keep_t keep, double *loss)
{
    mdl_error_t err;
    float *values = take((size_t)(model->n_position * model->d), sizeof *values);
    mdl_workspace_t *ws = open_workspace(model, keep);
    check(mdl_sample_loss(ws, &model->sample[0], loss, &err), &err);
    check(mdl_sample_hidden(ws, &model->sample[0], values, &err), &err);
    mdl_workspace_free(ws);
    return values;
}

static void same_hidden_states(const model_t *model)
{
    double plain_loss, loss;
    float *plain = hidden(model, MDL_KEEP_ALL, &plain_loss);
    for (mdl_workspace_keep_t keep = MDL_KEEP_INPUTS; keep <= MDL_KEEP_NOTHING; keep++) {
        float *values = hidden(model, keep, &loss);
        assert_true(loss == plain_loss);
        assert_memory_equal(values, plain, (size_t)(model->n_position * model->d) * sizeof *values);
        free(values);
    }
    free(plain);
}

static void answer(const model_t *model, mdl_workspace_keep_t keep, int32_t out[N_ANSWER])
{
    mdl_error_t err;
    int64_t n_out;
    mdl_workspace_t *ws = open_workspace(model, keep);
    check(mdl_sample_greedy(ws, &model->sample[1], N_ANSWER, -1, out, &n_out, &err), &err);
    assert_int_equal(n_out, N_ANSWER);
    mdl_workspace_free(ws);
}

static void same_answers(const model_t *model)
{
    int32_t plain[N_ANSWER], out[N_ANSWER];
    answer(model, MDL_KEEP_ALL, plain);
    answer(model, MDL_KEEP_KEYS, out);
    assert_memory_equal(out, plain, sizeof out);
}

static void same_bits_of(const mdl_backend_t *backend, const char *family, const char *targets)
{
    model_t model = open_model(backend, family, targets);
    same_gradients(&model);
    same_hidden_states(&model);
    same_answers(&model);
    close_model(&model);
}

static void same_bits(void **state)
{
    (void)state;
    static const char *const targets[] = {"all", "q_proj,v_proj,qkv_proj", NULL};
    const mdl_backend_t *backends[2 * MAX_BACKEND];
    int n_backend = find_backends(backends);
    n_backend += find_bfloat16_backends(backends + n_backend);
    for (int b = 0; b < n_backend; b++)
        for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
            print_message("%s on %s\n", families[i], backends[b]->name);
            for (size_t t = 0; t < sizeof targets / sizeof *targets; t++)
                same_bits_of(backends[b], families[i], targets[t]);
        }
}

static void passes_that_need_more_are_refused(void **state)
{
    (void)state;
    mdl_error_t err;
    model_t model = open_model(mdl_backend_cpu(), "llama-2", "all");
    for (mdl_workspace_keep_t keep = MDL_KEEP_INPUTS; keep <= MDL_KEEP_NOTHING; keep++) {
        double loss;
        int32_t out[N_ANSWER];
        int64_t n_out;
        mdl_workspace_t *ws = open_workspace(&model, keep);
        assert_int_equal(mdl_sample_gradient(ws, &model.sample[1], 1, &loss, &err),
                         keep == MDL_KEEP_INPUTS ? MDL_OK : MDL_E_INTERNAL);
        assert_int_equal(mdl_sample_greedy(ws, &model.sample[1], 1, -1, out, &n_out, &err),
                         keep == MDL_KEEP_KEYS ? MDL_OK : MDL_E_INTERNAL);
        mdl_workspace_free(ws);
    }
    close_model(&model);
}

/* SmolLM2-135M's shape: what one more block takes for each position. All: five arrays of width 576
 * (input, attended, middle, two normed), two inverses, 9 sums of attention, 960 of queries, keys
 * and values, 3 x 1536 of the MLP. */
static void sizes(void **state)
{
    (void)state;
    mdl_model_config_t config = {.n_vocab = 49152,
                                 .n_feat = 576,
                                 .n_mlp_feat = 1536,
                                 .n_layer = 30,
                                 .n_head = 9,
                                 .n_kv_head = 3,
                                 .n_head_feat = 64};
    static const int64_t expected[] = {5 * 576 + 2 + 9 + 960 + 3 * 1536, 576, 960, 0};
    enum { N = 640 };
    for (mdl_workspace_keep_t keep = MDL_KEEP_ALL; keep <= MDL_KEEP_NOTHING; keep++) {
        size_t n_byte[2];
        for (int i = 0; i < 2; i++) {
            config.n_layer = 30 + i;
            n_byte[i] = mdl_workspace_n_byte(&mdl_backend_room_cpu, &config, 768, 0, N, keep);
        }
        assert_int_equal(n_byte[1] - n_byte[0], 4 * N * expected[keep]);
    }
}

/* Where GPUs compute, 1024 rows of logits (each with a hidden state, a sum and the best token) are
 * held in place of 32, and attention takes a number a head and position in place of two matrices of
 * 128 rows of scores. */
static void a_gpu_takes_its_own_room(void **state)
{
    (void)state;
    enum { N = 640, N_VOCAB = 49152, D = 576, N_HEAD = 9 };
    const mdl_model_config_t config = {.n_vocab = N_VOCAB,
                                       .n_feat = D,
                                       .n_mlp_feat = 1536,
                                       .n_layer = 30,
                                       .n_head = N_HEAD,
                                       .n_kv_head = 3,
                                       .n_head_feat = 64};
    int64_t host = (int64_t)mdl_workspace_n_byte(&mdl_backend_room_cpu, &config, 768, 0, N, 0);
    int64_t gpu = (int64_t)mdl_workspace_n_byte(&mdl_backend_room_cuda, &config, 768, 0, N, 0);
    int64_t logits = 1024 * (D + N_VOCAB + 2) - (32 * (D + N_VOCAB) + 2 * 64); /* 32 take 64 */
    assert_int_equal(gpu - host, 4 * (logits + N_HEAD * N - 2 * 128 * N));
}

int main(void)
{
    for (int i = 0; i < N_TOKEN; i++) {
        token[i] = (i * 31 + 1) % SMALLEST_VOCABULARY;
        scored[i] = i > 3;
    }
    for (int i = 0; i < N_VISUAL * N_VISION_FEAT; i++)
        feature[i] = sinf((float)(3 * i));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits),
        cmocka_unit_test(passes_that_need_more_are_refused),
        cmocka_unit_test(sizes),
        cmocka_unit_test(a_gpu_takes_its_own_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
