/* The passes of one sample on each backend: greedy answers, where visual tokens go, what is
 * refused.
 */
#include "../backends.h"
#include "models/greedy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_VISION_FEAT = 7, MAX_LENGTH = 64, MAX_NEW = 20, N_VOCAB = 97, D = 48 };

typedef struct {
    mdl_decoder_t *decoder;
    mdl_adapter_t *adapter;
    mdl_workspace_t *ws;
    size_t n_byte;       /* of param */
    float *param, *grad; /* of the adapter, in the host's memory */
} model_t;

static const mdl_backend_t *backend; /* that the tests run on */

static const float feature[2 * N_VISION_FEAT] = {0.3f,  -1, 0.7f, 2, -0.2f, 0.1f, 1,
                                                 -0.5f, 1,  0,    3, 0.4f,  -2,   1};

static void check(int rc, const mdl_error_t *err)
{
    if (rc != MDL_OK)
        fail_msg("%s", err->text);
}

static void send_param(const model_t *model)
{
    mdl_error_t err;
    check(backend->upload(model->adapter->param, model->param, model->n_byte, &err), &err);
}

static void fetch_grad(const model_t *model)
{
    mdl_error_t err;
    check(backend->download(model->grad, model->adapter->grad, model->n_byte, &err), &err);
}

static model_t open_model(const char *name)
{
    mdl_error_t err;
    model_t model;
    char path[512];
    mdl_adapter_options_t options = {.rank = 2, .alpha = 4};
    snprintf(path, sizeof path, "%s/tests/reference/parity/%s", MORDAL_SOURCE_DIR, name);
    check(mdl_linear_targets("q_proj,v_proj,up_proj,qkv_proj", &options.targets, &err), &err);
    check(mdl_decoder_load(backend, path, &model.decoder, &err), &err);
    check(mdl_adapter_new(backend, mdl_decoder_config(model.decoder), N_VISION_FEAT, &options, 3,
                          &model.adapter, &err),
          &err);
    model.n_byte = (size_t)model.adapter->n_param * sizeof *model.param;
    model.param = malloc(model.n_byte);
    model.grad = malloc(model.n_byte);
    assert_true(model.param != NULL && model.grad != NULL);
    check(backend->download(model.param, model.adapter->param, model.n_byte, &err), &err);
    for (int64_t i = 0; i < model.adapter->n_param; i++)
        model.param[i] += 0.05f * sinf((float)i); /* B away from zero */
    send_param(&model);
    check(
        mdl_workspace_new(model.decoder, model.adapter, MAX_LENGTH, MDL_KEEP_ALL, &model.ws, &err),
        &err);
    return model;
}

static void close_model(model_t *model)
{
    mdl_workspace_free(model->ws);
    mdl_adapter_free(model->adapter);
    mdl_decoder_free(model->decoder);
    free(model->param);
    free(model->grad);
}

/* Greedy by computing the whole sequence again for every token. */
static void greedy_again(const model_t *model, const mdl_sample_t *prompt, int32_t *out)
{
    mdl_error_t err;
    int32_t n_vocab = (int32_t)mdl_decoder_config(model->decoder)->n_vocab;
    int32_t token[MAX_LENGTH];
    float *logits = malloc(sizeof(float) * MAX_LENGTH * N_VOCAB);
    mdl_sample_t sample = *prompt;
    assert_non_null(logits);
    memcpy(token, prompt->token, (size_t)prompt->n_token * sizeof *token);
    sample.token = token;
    for (int i = 0; i < MAX_NEW; i++) {
        check(mdl_sample_logits(model->ws, &sample, logits, &err), &err);
        const float *last = logits + (sample.n_token + sample.n_visual - 1) * n_vocab;
        int32_t best = 0;
        for (int32_t k = 1; k < n_vocab; k++)
            best = last[k] > last[best] ? k : best;
        out[i] = token[sample.n_token++] = best;
    }
    free(logits);
}

static void greedy_equals_full_computation(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-2",        "llama-3", "llama-3.1",
                                        "mistral-window", "phi-3",   "gemma-3"};
    const int32_t token[6] = {1, 17, 44, 58, 3, 60};
    for (size_t m = 0; m < sizeof names / sizeof *names; m++) {
        model_t model = open_model(names[m]);
        for (int64_t visual_at = 0; visual_at <= 6; visual_at += 3) {
            mdl_error_t err;
            int32_t cached[MAX_NEW], full[MAX_NEW];
            int64_t n_out;
            mdl_sample_t sample = {6, token, NULL, visual_at, 2, feature};
            check(mdl_sample_greedy(model.ws, &sample, MAX_NEW, -1, cached, &n_out, &err), &err);
            assert_int_equal(n_out, MAX_NEW);
            greedy_again(&model, &sample, full);
            assert_memory_equal(cached, full, sizeof full);

            check(mdl_sample_greedy(model.ws, &sample, MAX_NEW, full[4], cached, &n_out, &err),
                  &err);
            int64_t n_before = 0;
            while (full[n_before] != full[4])
                n_before++;
            assert_int_equal(n_out, n_before); /* stops at its first place, without it */
            check(mdl_sample_greedy(model.ws, &sample, 0, -1, cached, &n_out, &err), &err);
            assert_int_equal(n_out, 0);
        }
        close_model(&model);
    }
}

/* Samples of several lengths that pass together, one of them without a loss; with an end token they
 * leave one after the other. */
static void together_is_each_alone(void **state)
{
    (void)state;
    enum { N = 4 };
    static const uint8_t scored[6] = {0, 0, 1, 1, 0, 1}, none[6] = {0};
    const int32_t token[6] = {1, 17, 44, 58, 3, 60};
    static const char *const names[] = {"llama-2", "gemma-3", "mistral-window"};
    const mdl_sample_t samples[N] = {{6, token, scored, 3, 2, feature},
                                     {4, token + 1, scored, 0, 1, feature},
                                     {5, token, none, 5, 2, feature},
                                     {6, token, scored, 0, 0, NULL}};
    for (size_t m = 0; m < sizeof names / sizeof *names; m++) {
        model_t model = open_model(names[m]);
        mdl_workspace_t *ws[N];
        mdl_error_t err;
        int32_t together[N][MAX_NEW], alone[MAX_NEW];
        mdl_pack_t packs[N];
        int64_t n_out[N], n_alone;
        double losses[N], loss;
        for (int i = 0; i < N; i++) {
            packs[i] = (mdl_pack_t){&samples[i], 1};
            check(mdl_workspace_new(model.decoder, model.adapter, MAX_LENGTH, MDL_KEEP_KEYS, &ws[i],
                                    &err),
                  &err);
        }
        check(mdl_pack_loss_each(ws, packs, N, losses, &err), &err);
        check(mdl_sample_greedy(ws[0], &samples[0], MAX_NEW, -1, alone, &n_alone, &err), &err);
        int32_t eos_id = alone[2];
        check(mdl_pack_greedy_each(ws, packs, N, MAX_NEW, eos_id, together[0], n_out, &err), &err);
        assert_true(n_out[0] <= 2);
        for (int i = 0; i < N; i++) {
            check(mdl_sample_loss(model.ws, &samples[i], &loss, &err), &err);
            assert_true(loss == losses[i] && (loss > 0) == (i != 2));
            check(mdl_sample_greedy(model.ws, &samples[i], MAX_NEW, eos_id, alone, &n_alone, &err),
                  &err);
            assert_int_equal(n_out[i], n_alone);
            assert_memory_equal(together[i], alone, (size_t)n_alone * sizeof *alone);
            mdl_workspace_free(ws[i]);
        }
        close_model(&model);
    }
}

/* The loss is the sum of -log softmax over the rows of mdl_sample_logits before scored tokens. */
static void loss_follows_from_logits(void **state)
{
    (void)state;
    enum { N = 45 };
    model_t model = open_model("llama-3");
    int32_t token[N];
    uint8_t scored[N];
    float *logits = malloc(sizeof(float) * MAX_LENGTH * N_VOCAB);
    assert_non_null(logits);
    for (int i = 0; i < N; i++) {
        token[i] = i * 31 % N_VOCAB;
        scored[i] = i > 2 && i != 20 && i < 43; /* more than are held at once */
    }
    for (int64_t visual_at = 0; visual_at <= 24; visual_at += 12) {
        mdl_error_t err;
        mdl_sample_t sample = {N, token, scored, visual_at, 2, feature};
        double loss, expected = 0;
        check(mdl_sample_logits(model.ws, &sample, logits, &err), &err);
        for (int64_t i = 0; i < N; i++) {
            const float *row = logits + (i < visual_at ? i - 1 : i + 1) * N_VOCAB;
            double sum = 0;
            for (int k = 0; k < N_VOCAB && scored[i]; k++)
                sum += exp((double)row[k]);
            expected += scored[i] ? log(sum) - (double)row[token[i]] : 0;
        }
        check(mdl_sample_loss(model.ws, &sample, &loss, &err), &err);
        assert_true(fabs(loss - expected) < 1e-5 * expected);
    }
    free(logits);
    close_model(&model);
}

/* Central differences of the loss along directions of all parameters. Steps of 1e-3 leave some
 * 5e-4 of the steepest slope to the third derivative and to rounding. */
static void compare_slopes(model_t *model, const mdl_sample_t *sample)
{
    mdl_error_t err;
    double loss, above, below, steepest = 0, difference = 0;
    float *param = model->param;
    int64_t n_param = model->adapter->n_param;
    backend->zero(model->adapter->grad, model->n_byte);
    check(mdl_sample_gradient(model->ws, sample, 0.5, &loss, &err), &err);
    fetch_grad(model);
    for (int trial = 0; trial < 5; trial++) {
        double slope = 0;
        for (int64_t i = 0; i < n_param; i++) {
            float direction = sinf((float)(i * (trial + 1)) + (float)trial);
            slope += 2 * (double)model->grad[i] * (double)direction; /* undo the scale of 0.5 */
            param[i] += 1e-3f * direction;
        }
        send_param(model);
        check(mdl_sample_loss(model->ws, sample, &above, &err), &err);
        for (int64_t i = 0; i < n_param; i++)
            param[i] -= 2e-3f * sinf((float)(i * (trial + 1)) + (float)trial);
        send_param(model);
        check(mdl_sample_loss(model->ws, sample, &below, &err), &err);
        for (int64_t i = 0; i < n_param; i++)
            param[i] += 1e-3f * sinf((float)(i * (trial + 1)) + (float)trial);
        send_param(model);
        double numeric = (above - below) / 2e-3;
        print_message("slope %.6f by differences %.6f\n", slope, numeric);
        steepest = fmax(steepest, fabs(slope));
        difference = fmax(difference, fabs(slope - numeric));
    }
    assert_true(difference < 2e-3 * steepest);
}

/* A short sample, scored before and after its visual tokens, and one that is long enough to leave
 * the products for few rows and to need its logits in two parts. */
static void gradient_by_differences(void **state)
{
    (void)state;
    enum { N = 50 };
    static const char *const names[] = {"llama-3.1", "gemma-3", "mistral-window"};
    int32_t token[N];
    uint8_t scored[N];
    for (int i = 0; i < N; i++) {
        token[i] = (i * 31 + 1) % 61; /* the smallest of the vocabularies */
        scored[i] = i == 1 || (i > 2 && i != 20);
    }
    for (size_t m = 0; m < sizeof names / sizeof *names; m++) {
        model_t model = open_model(names[m]);
        compare_slopes(&model, &(mdl_sample_t){7, token, scored, 3, 2, feature});
        compare_slopes(&model, &(mdl_sample_t){N, token, scored, 3, 2, feature});
        close_model(&model);
    }
}

static void gradients_add_up(void **state)
{
    (void)state;
    model_t model = open_model("llama-2");
    mdl_error_t err;
    const int32_t token[4] = {1, 17, 44, 90};
    const uint8_t scored[4] = {0, 0, 1, 1};
    mdl_sample_t sample = {4, token, scored, 1, 1, feature};
    double loss;
    float *once = malloc(model.n_byte);
    assert_non_null(once);
    check(mdl_sample_gradient(model.ws, &sample, 1, &loss, &err), &err);
    fetch_grad(&model);
    memcpy(once, model.grad, model.n_byte);
    backend->zero(model.adapter->grad, model.n_byte);
    check(mdl_sample_gradient(model.ws, &sample, 1, &loss, &err), &err);
    fetch_grad(&model);
    assert_memory_equal(once, model.grad, model.n_byte); /* the same bits every time */
    check(mdl_sample_gradient(model.ws, &sample, 1, &loss, &err), &err);
    fetch_grad(&model);
    for (int64_t i = 0; i < model.adapter->n_param; i++)
        assert_true(fabs((double)model.grad[i] - 2 * (double)once[i]) <
                    1e-5 * (1 + fabs((double)once[i])));
    free(once);
    close_model(&model);
}

/* Visual tokens inserted late leave the hidden states before them alone. */
static void visual_tokens_are_inserted(void **state)
{
    (void)state;
    model_t model = open_model("llama-2");
    mdl_error_t err;
    const int32_t token[5] = {1, 17, 44, 90, 3};
    float text[5 * D], mixed[7 * D];
    check(mdl_sample_hidden(model.ws, &(mdl_sample_t){5, token, NULL, 0, 0, NULL}, text, &err),
          &err);
    check(mdl_sample_hidden(model.ws, &(mdl_sample_t){5, token, NULL, 3, 2, feature}, mixed, &err),
          &err);
    for (int i = 0; i < 3 * D; i++)
        assert_true(fabs((double)text[i] - (double)mixed[i]) < 1e-5);
    double difference = 0;
    for (int i = 0; i < 2 * D; i++)
        difference += fabs((double)text[3 * D + i] - (double)mixed[5 * D + i]);
    assert_true(difference > 0.1);
    close_model(&model);
}

static void refused_samples(void **state)
{
    (void)state;
    static const int32_t good[3] = {1, 2, 3}, high[3] = {1, 97, 3}, low[3] = {1, 2, -1};
    static const int32_t many[MAX_LENGTH + 1] = {0};
    static const uint8_t first[3] = {1, 0, 0};
    static const struct {
        mdl_sample_t sample;
        const char *message;
    } cases[] = {{{3, high, NULL, 0, 0, NULL}, "token id 97"},
                 {{3, low, NULL, 0, 0, NULL}, "token id -1"},
                 {{0, NULL, NULL, 0, 0, NULL}, "empty"},
                 {{-1, good, NULL, 0, 0, NULL}, "longer"},
                 {{3, good, NULL, 0, -1, feature}, "longer"},
                 {{MAX_LENGTH + 1, many, NULL, 0, 0, NULL}, "64 positions"},
                 {{MAX_LENGTH - 1, many, NULL, 0, 2, feature}, "64 positions"},
                 {{3, good, NULL, 4, 1, feature}, "before token 4 of 3"},
                 {{3, good, NULL, -1, 1, feature}, "before token -1 of 3"},
                 {{3, good, first, 1, 1, feature}, "first position"},
                 {{3, good, first, 0, 0, NULL}, "first position"}};
    model_t model = open_model("llama-2");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mdl_error_t err = {0};
        double loss;
        int rc = mdl_sample_loss(model.ws, &cases[i].sample, &loss, &err);
        if (rc != MDL_E_INPUT || strstr(err.text, cases[i].message) == NULL)
            fail_msg("case %zu: returned %d, \"%s\"", i, rc, err.text);
    }
    mdl_error_t err;
    double loss;
    int32_t out[1];
    int64_t n_out;
    mdl_sample_t full = {MAX_LENGTH, many, NULL, 0, 0, NULL};
    assert_int_equal(mdl_sample_greedy(model.ws, &full, 1, -1, out, &n_out, &err), MDL_E_INPUT);
    /* scored first, but behind a visual token; and nothing scored at all */
    check(mdl_sample_loss(model.ws, &(mdl_sample_t){3, good, first, 0, 1, feature}, &loss, &err),
          &err);
    assert_true(loss > 0);
    check(mdl_sample_gradient(model.ws, &(mdl_sample_t){3, good, NULL, 0, 0, NULL}, 1, &loss, &err),
          &err);
    assert_true(loss == 0);
    close_model(&model);
}

static void refused_workspaces(void **state)
{
    (void)state;
    model_t model = open_model("llama-2");
    mdl_error_t err;
    mdl_workspace_t *ws;
    assert_int_equal(mdl_workspace_new(model.decoder, model.adapter, 129, MDL_KEEP_ALL, &ws, &err),
                     MDL_E_INPUT);
    assert_non_null(strstr(err.text, "max_position_embeddings 128"));
    assert_int_equal(mdl_workspace_new(model.decoder, model.adapter, 0, MDL_KEEP_ALL, &ws, &err),
                     MDL_E_INPUT);
    model.adapter->n_feat = 64;
    assert_int_equal(mdl_workspace_new(model.decoder, model.adapter, 8, MDL_KEEP_ALL, &ws, &err),
                     MDL_E_INPUT);
    assert_non_null(strstr(err.text, "width 64"));
    close_model(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_equals_full_computation),
        cmocka_unit_test(together_is_each_alone),
        cmocka_unit_test(loss_follows_from_logits),
        cmocka_unit_test(gradient_by_differences),
        cmocka_unit_test(gradients_add_up),
        cmocka_unit_test(visual_tokens_are_inserted),
        cmocka_unit_test(refused_samples),
        cmocka_unit_test(refused_workspaces),
    };
    const mdl_backend_t *backends[MAX_BACKEND];
    int n_backend = find_backends(backends), n_failed = 0;
    for (int i = 0; i < n_backend; i++) {
        backend = backends[i];
        n_failed += cmocka_run_group_tests_name(backend->name, tests, NULL, NULL);
    }
    return n_failed;
}
