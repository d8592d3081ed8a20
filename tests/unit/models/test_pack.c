/* Packs on each backend: which samples they hold, and that they compute what their samples do alone
 * and what PyTorch does. */
#include "../backends.h"
#include "models/greedy.h"
#include "models/packs.h"
#include "models/verify.h"
#include "models/verify_batch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PARITY MORDAL_SOURCE_DIR "/tests/reference/parity/"

/* Sums of some hundred products in another order, of rows that other products computed, through
 * three blocks: some 1e-6 of the largest number of a tensor. */
#define TOLERANCE 3e-5
/* docs/models.md: 15 u sqrt(8 n_layer) for gradients, u = 2^-9, three blocks. */
#define BFLOAT16_TOLERANCE 0.14

enum { N_VISION_FEAT = 7, MAX_LENGTH = 96, N_SAMPLE = 6, N_TOKEN = 30, MAX_NEW = 5 };

static const char *const families[] = {"llama-2", "llama-3", "llama-3.1",      "mistral",
                                       "qwen2",   "phi-3",   "phi-3-longrope", "mistral-window",
                                       "gemma",   "gemma-3"};
enum { N_FAMILY = sizeof families / sizeof *families };

static const char all_linear[] = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj,qkv_proj,"
                                 "gate_up_proj";

typedef struct {
    const mdl_backend_t *backend;
    mdl_decoder_t *decoder;
    mdl_adapter_t *adapter;
    mdl_workspace_t *ws;
    int64_t n_position; /* of the workspace */
} model_t;

static void check(int rc, const mdl_error_t *err)
{
    if (rc != MDL_OK)
        fail_msg("%s", err->text);
}

static model_t open_model(const mdl_backend_t *backend, const char *folder, int64_t n_vision_feat,
                          int64_t rank)
{
    mdl_error_t err;
    model_t model = {.backend = backend};
    mdl_adapter_options_t options = {.rank = rank, .alpha = 2 * (double)rank};
    char path[512];
    snprintf(path, sizeof path, PARITY "%s", folder);
    check(mdl_linear_targets(all_linear, &options.targets, &err), &err);
    check(mdl_decoder_load(backend, path, &model.decoder, &err), &err);
    check(mdl_adapter_new(backend, mdl_decoder_config(model.decoder), n_vision_feat, &options, 3,
                          &model.adapter, &err),
          &err);
    model.n_position = mdl_decoder_config(model.decoder)->n_max_position; /* 32 in one of them */
    model.n_position = model.n_position < MAX_LENGTH ? model.n_position : MAX_LENGTH;
    check(mdl_workspace_new(model.decoder, model.adapter, model.n_position, MDL_KEEP_ALL, &model.ws,
                            &err),
          &err);
    return model;
}

static void close_model(model_t *model)
{
    mdl_workspace_free(model->ws);
    mdl_adapter_free(model->adapter);
    mdl_decoder_free(model->decoder);
}

static float *new_values(int64_t n)
{
    float *values = calloc((size_t)n, sizeof *values);
    assert_non_null(values);
    return values;
}

/* B of LoRA away from zero. */
static void stir(const model_t *model)
{
    mdl_error_t err;
    size_t n_byte = (size_t)model->adapter->n_param * sizeof(float);
    float *param = new_values(model->adapter->n_param);
    check(model->backend->download(param, model->adapter->param, n_byte, &err), &err);
    for (int64_t i = 0; i < model->adapter->n_param; i++)
        param[i] += 0.05f * sinf((float)i);
    check(model->backend->upload(model->adapter->param, param, n_byte, &err), &err);
    free(param);
}

/* The gradient of the samples in one pass, and their loss. */
static double gradient(const model_t *model, const mdl_sample_t *sample, int64_t n_sample,
                       double scale, float *grad)
{
    mdl_error_t err;
    double loss;
    size_t n_byte = (size_t)model->adapter->n_param * sizeof *grad;
    model->backend->zero(model->adapter->grad, n_byte);
    check(mdl_pack_gradient(model->ws, sample, n_sample, scale, &loss, &err), &err);
    check(model->backend->download(grad, model->adapter->grad, n_byte, &err), &err);
    return loss;
}

/* Uneven samples: with visual tokens in front, within and behind all that is scored, without any,
 * with nothing scored, and of a single position that counts. */
static void make_samples(mdl_sample_t sample[N_SAMPLE])
{
    static int32_t token[N_TOKEN];
    static uint8_t scored[N_TOKEN], last[N_TOKEN];
    static float feature[4 * N_VISION_FEAT];
    for (int i = 0; i < N_TOKEN; i++) {
        token[i] = (i * 31 + 1) % 61; /* the smallest of the vocabularies */
        scored[i] = i > 2 && i % 7 != 0;
        last[i] = i == 1 || i == 15;
    }
    for (int i = 0; i < 4 * N_VISION_FEAT; i++)
        feature[i] = 2 * sinf((float)(3 * i));
    sample[0] = (mdl_sample_t){20, token, scored, 1, 2, feature};
    sample[1] = (mdl_sample_t){16, token + 9, last, 0, 0, NULL};
    sample[2] = (mdl_sample_t){7, token + 1, NULL, 3, 4, feature};
    sample[3] = (mdl_sample_t){26, token + 3, scored, 26, 3, feature};
    sample[4] = (mdl_sample_t){2, token + 11, last, 1, 0, feature};
    sample[5] = (mdl_sample_t){11, token + 7, scored, 5, 4, feature};
}

/* As many as fit into one pack of the model. */
static int choose_samples(const model_t *model, mdl_sample_t sample[N_SAMPLE])
{
    make_samples(sample);
    if (model->n_position == MAX_LENGTH)
        return N_SAMPLE;
    sample[0] = sample[4];
    sample[2] = sample[5];
    return 3;
}

/* Each slice within tolerance of its largest value. */
static double furthest(const mdl_adapter_t *adapter, const float *got, const double *expected)
{
    double worst = 0;
    for (int64_t s = 0; s < adapter->n_slice; s++) {
        double apart = 0, largest = 0;
        for (int64_t i = 0; i < adapter->slice[s].n_value; i++) {
            int64_t at = adapter->slice[s].offset + i;
            double difference = fabs((double)got[at] - expected[at]);
            apart = isfinite(difference) ? fmax(apart, difference) : (double)INFINITY;
            largest = fmax(largest, fabs(expected[at]));
        }
        worst = fmax(worst, apart / largest);
    }
    return worst;
}

static void pack_is_sum(const mdl_backend_t *backend, const char *family, double tolerance)
{
    mdl_sample_t sample[N_SAMPLE];
    model_t model = open_model(backend, family, N_VISION_FEAT, 2);
    int64_t n_param = model.adapter->n_param;
    float *one = new_values(n_param), *first = new_values(n_param), *packed = new_values(n_param);
    double *sum = calloc((size_t)n_param, sizeof *sum), loss = 0;
    assert_non_null(sum);
    int n_sample = choose_samples(&model, sample);
    stir(&model);
    for (int s = n_sample - 1; s >= 0; s--) {
        loss += gradient(&model, &sample[s], 1, 0.25, one);
        for (int64_t i = 0; i < n_param; i++)
            sum[i] += (double)one[i];
    }
    memcpy(first, one, (size_t)n_param * sizeof *one);
    double packed_loss = gradient(&model, sample, n_sample, 0.25, packed);
    double apart = furthest(model.adapter, packed, sum);
    print_message("%s %s: loss %.1e, gradients %.1e\n", backend->name, family,
                  fabs(packed_loss / loss - 1), apart);
    assert_true(fabs(packed_loss - loss) <= tolerance * loss);
    assert_true(apart <= tolerance);
    gradient(&model, sample, 1, 0.25, one); /* a pack leaves nothing behind */
    assert_memory_equal(one, first, (size_t)n_param * sizeof *one);
    gradient(&model, sample, n_sample, 0.25, one);
    assert_memory_equal(one, packed, (size_t)n_param * sizeof *one);
    free(one);
    free(first);
    free(packed);
    free(sum);
    close_model(&model);
}

static void packs_are_sums(void **state)
{
    (void)state;
    const mdl_backend_t *backend[MAX_BACKEND];
    int n_backend = find_backends(backend);
    for (int b = 0; b < n_backend; b++)
        for (int f = 0; f < N_FAMILY; f++)
            pack_is_sum(backend[b], families[f], TOLERANCE);
    n_backend = find_bfloat16_backends(backend);
    for (int b = 0; b < n_backend; b++)
        for (int f = 0; f < N_FAMILY; f++)
            pack_is_sum(backend[b], families[f], BFLOAT16_TOLERANCE);
}

/* A workspace for greedy answers to n samples as one pack, which takes all the positions there are.
 */
static mdl_workspace_t *answering(const model_t *model)
{
    mdl_error_t err;
    mdl_workspace_t *ws;
    check(mdl_workspace_new(model->decoder, model->adapter,
                            mdl_decoder_config(model->decoder)->n_max_position < 128 ? 32 : 125,
                            MDL_KEEP_KEYS, &ws, &err),
          &err);
    return ws;
}

/* Answers by packs of one in a workspace each, then by one pack; eos_id ends some of them early. */
static void compare_answers(const model_t *model, const mdl_sample_t *sample, int64_t n,
                            int64_t eos_id, int32_t *first)
{
    mdl_error_t err;
    mdl_workspace_t *ws = answering(model);
    const mdl_pack_t pack = {sample, n};
    int32_t alone[N_SAMPLE * MAX_NEW] = {0}, packed[N_SAMPLE * MAX_NEW] = {0};
    int64_t n_alone[N_SAMPLE], n_packed[N_SAMPLE];
    for (int64_t i = 0; i < n; i++)
        check(mdl_sample_greedy(ws, &sample[i], MAX_NEW, eos_id, alone + i * MAX_NEW, &n_alone[i],
                                &err),
              &err);
    check(mdl_pack_greedy_each(&ws, &pack, 1, MAX_NEW, eos_id, packed, n_packed, &err), &err);
    assert_memory_equal(n_packed, n_alone, (size_t)n * sizeof *n_alone);
    assert_memory_equal(packed, alone, sizeof alone);
    memcpy(first, alone, (size_t)(n * MAX_NEW) * sizeof *first);
    mdl_workspace_free(ws);
}

/* Losses and hidden states within tolerance of the largest one, answers token by token. */
static void pack_is_measured(const mdl_backend_t *backend, const char *family)
{
    mdl_error_t err;
    mdl_sample_t sample[N_SAMPLE];
    int32_t answer[N_SAMPLE * MAX_NEW];
    model_t model = open_model(backend, family, N_VISION_FEAT, 2);
    int64_t d = mdl_decoder_config(model.decoder)->n_feat, n_value = 0, n_sample = N_SAMPLE;
    float *alone = new_values(MAX_LENGTH * d), *packed = new_values(MAX_LENGTH * d);
    double sum = 0, loss, apart = 0, largest = 0;
    make_samples(sample);
    if (model.n_position < MAX_LENGTH) {
        sample[0] = sample[4];
        sample[1] = sample[5];
        n_sample = 2;
    }
    stir(&model);
    for (int64_t i = 0; i < n_sample; i++) {
        check(mdl_sample_hidden(model.ws, &sample[i], alone + n_value, &err), &err);
        check(mdl_sample_loss(model.ws, &sample[i], &loss, &err), &err);
        n_value += (sample[i].n_token + sample[i].n_visual) * d;
        sum += loss;
    }
    const mdl_pack_t pack = {sample, n_sample};
    check(mdl_pack_hidden(model.ws, sample, n_sample, packed, &err), &err);
    check(mdl_pack_loss_each(&model.ws, &pack, 1, &loss, &err), &err);
    for (int64_t i = 0; i < n_value; i++) {
        apart = fmax(apart, fabs((double)packed[i] - (double)alone[i]));
        largest = fmax(largest, fabs((double)alone[i]));
    }
    print_message("%s %s: loss %.1e, hidden states %.1e\n", backend->name, family,
                  fabs(loss / sum - 1), apart / largest);
    assert_true(apart <= TOLERANCE * largest && fabs(loss - sum) <= TOLERANCE * sum);
    compare_answers(&model, sample, n_sample, -1, answer);
    compare_answers(&model, sample, n_sample, answer[2], answer);
    free(alone);
    free(packed);
    close_model(&model);
}

static void packs_are_measured_as_their_samples(void **state)
{
    (void)state;
    const mdl_backend_t *backend[MAX_BACKEND];
    int n_backend = find_backends(backend);
    for (int b = 0; b < n_backend; b++)
        for (int f = 0; f < N_FAMILY; f++)
            pack_is_measured(backend[b], families[f]);
}

/* The name of a slice's tensor in the reference: W1, or lora.MODULE.lora_A.weight. */
static const char *reference_name(const mdl_slice_t *slice)
{
    static const char start[] = "projector.";
    size_t n_start = sizeof start - 1;
    return strncmp(slice->name, start, n_start) == 0 ? slice->name + n_start : slice->name;
}

static void take_parameters(const model_t *model, const mdl_safetensors_t *reference)
{
    for (int64_t i = 0; i < model->adapter->n_slice; i++) {
        const mdl_slice_t *slice = &model->adapter->slice[i];
        mdl_error_t err;
        float *values;
        check(mdl_verify_read(reference, reference_name(slice), slice->n_dim, slice->dims, &values,
                              &err),
              &err);
        check(model->backend->upload(model->adapter->param + slice->offset, values,
                                     (size_t)slice->n_value * sizeof *values, &err),
              &err);
        free(values);
    }
}

static void print_line(void *context, const mdl_verify_line_t *line)
{
    if (!line->ok)
        print_message("%s %s %.1e FAIL\n", (const char *)context, line->quantity, line->max_rel);
}

/* The reference's batch of uneven samples as one pack: loss, and the gradients that it holds (the
 * projector's without LoRA, LoRA's with it). */
static void compare_batch(const mdl_backend_t *backend, const char *family, int with_lora)
{
    mdl_error_t err;
    mdl_safetensors_t *reference;
    mdl_verify_batch_t batch;
    mdl_verify_report_t report = {.line = print_line, .context = (void *)family};
    char path[512];
    snprintf(path, sizeof path, PARITY "%s/reference.safetensors", family);
    check(mdl_safetensors_open(path, &reference, &err), &err);
    check(mdl_verify_batch_read(reference, &batch, &err), &err);
    int64_t rank =
        mdl_safetensors_find(reference, "lora.model.layers.0.self_attn.o_proj.lora_A.weight")
            ->dims[0];
    model_t model = open_model(backend, family, batch.n_vision_feat, with_lora ? rank : 0);
    take_parameters(&model, reference);
    float *grad = new_values(model.adapter->n_param), *expected;
    double sum = gradient(&model, batch.sample, batch.n_sample, 1 / (double)batch.n_scored, grad);
    float loss = (float)(sum / (double)batch.n_scored);
    const char *name = with_lora ? "lora_loss" : "loss";
    check(mdl_verify_read(reference, name, 0, NULL, &expected, &err), &err);
    mdl_verify_compare(&report, name, &loss, expected, 1, MDL_VERIFY_TOLERANCE);
    free(expected);
    for (int64_t i = 0; i < model.adapter->n_slice; i++) {
        const mdl_slice_t *slice = &model.adapter->slice[i];
        char subject[128];
        int is_lora = reference_name(slice) == slice->name;
        if (is_lora != with_lora)
            continue;
        snprintf(subject, sizeof subject, "grad%c%s", is_lora ? '.' : '_', reference_name(slice));
        check(mdl_verify_read(reference, subject, slice->n_dim, slice->dims, &expected, &err),
              &err);
        mdl_verify_compare(&report, subject, grad + slice->offset, expected, slice->n_value,
                           MDL_VERIFY_GRADIENT_TOLERANCE);
        free(expected);
    }
    assert_true(report.n_line >= 5);
    assert_int_equal(report.n_bad, 0);
    free(grad);
    close_model(&model);
    mdl_verify_batch_free(&batch);
    mdl_safetensors_close(reference);
}

static void packs_compute_what_pytorch_does(void **state)
{
    (void)state;
    const mdl_backend_t *backend[MAX_BACKEND];
    int n_backend = find_backends(backend);
    for (int b = 0; b < n_backend; b++)
        for (int f = 0; f < N_FAMILY; f++)
            for (int with_lora = 0; with_lora < 2; with_lora++)
                if (strcmp(families[f], "phi-3-longrope") != 0) /* its batch needs 52 of 32 */
                    compare_batch(backend[b], families[f], with_lora);
}

static void a_pack_must_fit(void **state)
{
    (void)state;
    mdl_error_t err;
    double loss;
    mdl_sample_t sample[N_SAMPLE], many[5];
    model_t model = open_model(mdl_backend_cpu(), "llama-3", N_VISION_FEAT, 0);
    make_samples(sample);
    for (int i = 0; i < 5; i++)
        many[i] = sample[0]; /* 5 x 21 positions */
    assert_int_equal(mdl_pack_gradient(model.ws, many, 4, 1, &loss, &err), MDL_OK);
    assert_int_equal(mdl_pack_gradient(model.ws, many, 5, 1, &loss, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "a pack of 5 samples with 105 positions"));
    const mdl_pack_t pack = {many, 4}; /* 4 x (22 + 3) positions */
    mdl_workspace_t *ws = model.ws;
    int32_t out[4 * 3];
    int64_t n_out[4];
    assert_int_equal(mdl_pack_greedy_each(&ws, &pack, 1, 2, -1, out, n_out, &err), MDL_OK);
    assert_int_equal(mdl_pack_greedy_each(&ws, &pack, 1, 3, -1, out, n_out, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "a pack of 4 samples with 100 positions"));
    many[3].visual_at = 21;
    assert_int_equal(mdl_pack_gradient(model.ws, many, 4, 1, &loss, &err), MDL_E_INPUT);
    close_model(&model);
}

static void first_fit(void **state)
{
    (void)state;
    static const int64_t length[8] = {5, 9, 30, 4, 0, 10, 1, 6};
    static const int64_t member[8] = {0, 3, 4, 6, 1, 2, 5, 7}, begin[6] = {0, 4, 5, 6, 7, 8};
    mdl_error_t err;
    mdl_packs_t packs;
    check(mdl_packs_new(&packs, 8, &err), &err);
    mdl_packs_fill(&packs, length, 10); /* 5 + 4 + 0 + 1, 9, 30, 10 and then 6 */
    assert_int_equal(packs.n_pack, 5);
    assert_memory_equal(packs.member, member, sizeof member);
    assert_memory_equal(packs.begin, begin, sizeof begin);
    mdl_packs_fill(&packs, length, 0);
    assert_int_equal(packs.n_pack, 8);
    for (int i = 0; i < 8; i++)
        assert_true(packs.member[i] == i && packs.begin[i + 1] == i + 1);
    mdl_packs_fill(&packs, length, 1000);
    assert_int_equal(packs.n_pack, 1);
    assert_int_equal(packs.begin[1], 8);
    mdl_packs_free(&packs);
}

/* As by looking through all packs, for lengths from nothing to more than a pack takes. */
static void first_fit_of_many(void **state)
{
    (void)state;
    enum { N = 1000, CAPACITY = 100 };
    static int64_t length[N], room[N];
    int64_t n_pack = 0;
    mdl_error_t err;
    mdl_packs_t packs;
    for (int64_t i = 0; i < N; i++)
        length[i] = i * i * 7919 % 105;
    check(mdl_packs_new(&packs, N, &err), &err);
    mdl_packs_fill(&packs, length, CAPACITY);
    for (int64_t i = 0, pack; i < N; i++) {
        for (pack = 0; pack < n_pack && room[pack] < length[i]; pack++)
            ;
        if (pack == n_pack)
            room[n_pack++] = CAPACITY;
        room[pack] -= length[i];
        assert_int_equal(packs.pack_of[i], pack);
    }
    assert_int_equal(packs.n_pack, n_pack);
    mdl_packs_free(&packs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_fit),       cmocka_unit_test(first_fit_of_many),
        cmocka_unit_test(packs_are_sums),  cmocka_unit_test(packs_compute_what_pytorch_does),
        cmocka_unit_test(a_pack_must_fit), cmocka_unit_test(packs_are_measured_as_their_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
