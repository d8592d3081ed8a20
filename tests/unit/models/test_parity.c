/* The engine against PyTorch (transformers 5.23 and peft, float32, eager attention) on tiny random
 * checkpoints; tests/reference/parity/README.md tells what they hold. */
#include "models/adam.h"
#include "models/sample.h"
#include "models/workspace_memory.h"

#include "io/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Largest difference, as a share of the reference tensor's largest value. */
#define TOLERANCE 1e-4

typedef struct {
    const char *name;
    mdl_safetensors_t *reference;
    mdl_decoder_t *decoder;
    int64_t n_batch, n_length, n_visual, n_vision_feat, d, n_vocab, n_scored;
    int32_t *token;      /* [n_batch, n_length] without the places of the visual tokens */
    uint8_t *scored;     /* [n_batch, n_length] */
    float *feature;      /* [n_batch, n_visual, n_vision_feat] */
    mdl_sample_t *batch; /* [n_batch] */
} fixture_t;

static void check(int rc, const mdl_error_t *err)
{
    if (rc != MDL_OK)
        fail_msg("%s", err->text);
}

/* A tensor of the reference as new float32 values. */
static float *reference(const fixture_t *fixture, const char *name, const mdl_tensor_t **tensor)
{
    mdl_error_t err;
    const mdl_tensor_t *found = mdl_safetensors_find(fixture->reference, name);
    if (found == NULL)
        fail_msg("the reference has no %s", name);
    float *values = malloc((size_t)found->n_value * sizeof *values);
    assert_non_null(values);
    check(mdl_safetensors_read_float(fixture->reference, name, found->n_dim, found->dims, values,
                                     &err),
          &err);
    if (tensor != NULL)
        *tensor = found;
    return values;
}

static int32_t integer_at(const fixture_t *fixture, const char *name, int64_t index)
{
    int32_t value;
    const mdl_tensor_t *tensor = mdl_safetensors_find(fixture->reference, name);
    assert_non_null(tensor);
    assert_int_equal(tensor->dtype, MDL_DTYPE_I32);
    assert_true(index < tensor->n_value);
    memcpy(&value, (const char *)tensor->data + 4 * index, sizeof value);
    return value;
}

/* The visual tokens stand at positions 1 .. n_visual of the reference's rows. */
static void make_sample(fixture_t *fixture, int64_t b)
{
    mdl_sample_t *sample = &fixture->batch[b];
    int32_t *token = fixture->token + b * fixture->n_length;
    uint8_t *scored = fixture->scored + b * fixture->n_length;
    for (int64_t t = 0; t < fixture->n_length; t++) {
        int64_t at = b * fixture->n_length + t;
        int32_t label = integer_at(fixture, "labels", at);
        if (!integer_at(fixture, "attention_mask", at) || (t >= 1 && t <= fixture->n_visual)) {
            assert_int_equal(label, -100);
            continue;
        }
        token[sample->n_token] = integer_at(fixture, "input_ids", at);
        scored[sample->n_token] = label != -100;
        if (label != -100)
            assert_int_equal(label, token[sample->n_token]);
        fixture->n_scored += label != -100;
        sample->n_token++;
    }
    sample->token = token;
    sample->scored = scored;
    sample->visual_at = 1;
    sample->n_visual = fixture->n_visual;
    sample->feature = fixture->feature + b * fixture->n_visual * fixture->n_vision_feat;
}

static void load_fixture(fixture_t *fixture, const char *name, const char *file)
{
    mdl_error_t err;
    char path[512];
    const mdl_tensor_t *shape;
    memset(fixture, 0, sizeof *fixture);
    fixture->name = name;
    snprintf(path, sizeof path, "%s/tests/reference/parity/%s", MORDAL_SOURCE_DIR, name);
    check(mdl_decoder_load(path, &fixture->decoder, &err), &err);
    snprintf(path, sizeof path, "%s/tests/reference/parity/%s/%s", MORDAL_SOURCE_DIR, name, file);
    check(mdl_safetensors_open(path, &fixture->reference, &err), &err);

    fixture->feature = reference(fixture, "features", &shape);
    fixture->n_visual = shape->dims[1];
    fixture->n_vision_feat = shape->dims[2];
    shape = mdl_safetensors_find(fixture->reference, "logits");
    fixture->n_batch = shape->dims[0];
    fixture->n_length = shape->dims[1];
    fixture->n_vocab = shape->dims[2];
    fixture->d = mdl_decoder_config(fixture->decoder)->n_feat;
    size_t n_place = (size_t)(fixture->n_batch * fixture->n_length);
    fixture->token = calloc(n_place, sizeof *fixture->token);
    fixture->scored = calloc(n_place, 1);
    fixture->batch = calloc((size_t)fixture->n_batch, sizeof *fixture->batch);
    assert_true(fixture->token != NULL && fixture->scored != NULL && fixture->batch != NULL);
    for (int64_t b = 0; b < fixture->n_batch; b++)
        make_sample(fixture, b);
}

static void free_fixture(fixture_t *fixture)
{
    mdl_safetensors_close(fixture->reference);
    mdl_decoder_free(fixture->decoder);
    free(fixture->token);
    free(fixture->scored);
    free(fixture->feature);
    free(fixture->batch);
}

static void compare(const fixture_t *fixture, const char *what, const float *got,
                    const float *expected, int64_t n_value)
{
    double largest = 0, difference = 0;
    for (int64_t i = 0; i < n_value; i++) {
        largest = fmax(largest, fabs((double)expected[i]));
        difference = fmax(difference, fabs((double)got[i] - (double)expected[i]));
    }
    print_message("%-10s %-62s %.1e\n", fixture->name, what, difference / largest);
    assert_true(largest > 0);
    if (!(difference <= TOLERANCE * largest))
        fail_msg("%s differs by %g, its largest value is %g", what, difference, largest);
}

/* Compares rows of a [n_batch, n_length, n_col] tensor that are no padding. */
static void compare_rows(const fixture_t *fixture, const char *name, const float *got,
                         int64_t n_col)
{
    float *expected = reference(fixture, name, NULL);
    int64_t n_row = 0;
    for (int64_t b = 0; b < fixture->n_batch; b++) {
        int64_t n = fixture->batch[b].n_token + fixture->n_visual;
        memmove(expected + n_row * n_col, expected + b * fixture->n_length * n_col,
                (size_t)(n * n_col) * sizeof *expected);
        n_row += n;
    }
    compare(fixture, name, got, expected, n_row * n_col);
    free(expected);
}

/* Copies the reference's tensor into the parameters of the slice. */
static void set_slice(const fixture_t *fixture, mdl_adapter_t *adapter, const mdl_slice_t *slice)
{
    const mdl_tensor_t *tensor;
    int is_projector = strncmp(slice->name, "projector.", 10) == 0;
    float *values = reference(fixture, slice->name + (is_projector ? 10 : 0), &tensor);
    assert_int_equal(tensor->n_dim, slice->n_dim);
    for (int i = 0; i < slice->n_dim; i++)
        assert_int_equal(tensor->dims[i], slice->dims[i]);
    memcpy(adapter->param + slice->offset, values, (size_t)slice->n_value * sizeof *values);
    free(values);
}

static mdl_adapter_t *make_adapter(const fixture_t *fixture, int64_t rank)
{
    mdl_error_t err;
    mdl_adapter_t *adapter;
    mdl_adapter_options_t options = {.rank = rank, .alpha = 8};
    check(mdl_linear_targets("all", &options.targets, &err), &err);
    check(mdl_adapter_new(mdl_decoder_config(fixture->decoder), fixture->n_vision_feat, &options, 1,
                          &adapter, &err),
          &err);
    for (int64_t i = 0; i < adapter->n_slice; i++)
        set_slice(fixture, adapter, &adapter->slice[i]);
    return adapter;
}

/* Mean loss of the batch; adds its gradient to the adapter's. With dvisual its gradient for the
 * visual tokens [n_batch, n_visual, d] is kept. */
static float batch_gradient(const fixture_t *fixture, mdl_workspace_t *ws, float *dvisual)
{
    mdl_error_t err;
    double loss = 0, sum, sum_alone;
    int64_t n = fixture->n_visual * fixture->d;
    for (int64_t b = 0; b < fixture->n_batch; b++) {
        check(mdl_sample_loss(ws, &fixture->batch[b], &sum_alone, &err), &err);
        check(mdl_sample_gradient(ws, &fixture->batch[b], 1.0 / (double)fixture->n_scored, &sum,
                                  &err),
              &err);
        assert_true(sum == sum_alone);
        loss += sum;
        if (dvisual != NULL)
            memcpy(dvisual + b * n, ws->dstream + fixture->d, (size_t)n * sizeof *dvisual);
    }
    return (float)(loss / (double)fixture->n_scored);
}

static void compare_logits(const fixture_t *fixture, mdl_workspace_t *ws, const char *name)
{
    mdl_error_t err;
    size_t n_row = (size_t)(fixture->n_batch * fixture->n_length);
    float *logits = malloc(n_row * (size_t)fixture->n_vocab * sizeof *logits), *next = logits;
    assert_non_null(logits);
    for (int64_t b = 0; b < fixture->n_batch; b++) {
        check(mdl_sample_logits(ws, &fixture->batch[b], next, &err), &err);
        next += (fixture->batch[b].n_token + fixture->n_visual) * fixture->n_vocab;
    }
    compare_rows(fixture, name, logits, fixture->n_vocab);
    free(logits);
}

static void compare_loss(const fixture_t *fixture, const char *name, float loss)
{
    float *expected = reference(fixture, name, NULL);
    compare(fixture, name, &loss, expected, 1);
    free(expected);
}

static void compare_gradients(const fixture_t *fixture, const mdl_adapter_t *adapter)
{
    for (int64_t i = 0; i < adapter->n_slice; i++) {
        const mdl_slice_t *slice = &adapter->slice[i];
        char name[128];
        if (strncmp(slice->name, "projector.", 10) != 0)
            snprintf(name, sizeof name, "grad.%s", slice->name);
        else if (adapter->rank == 0)
            snprintf(name, sizeof name, "grad_%s", slice->name + 10);
        else
            continue; /* the reference has the projector's gradients without LoRA only */
        float *expected = reference(fixture, name, NULL);
        compare(fixture, name, adapter->grad + slice->offset, expected, slice->n_value);
        free(expected);
    }
}

static void compare_hidden(const fixture_t *fixture, mdl_workspace_t *ws)
{
    mdl_error_t err;
    int64_t n_place = fixture->n_batch * fixture->n_length, n_visual = fixture->n_visual;
    float *hidden = malloc((size_t)(n_place * fixture->d) * sizeof *hidden), *next = hidden;
    float *visual = malloc((size_t)(n_place * fixture->d) * sizeof *visual);
    float *expected = reference(fixture, "visual", NULL);
    assert_true(hidden != NULL && visual != NULL);
    for (int64_t b = 0; b < fixture->n_batch; b++) {
        check(mdl_sample_hidden(ws, &fixture->batch[b], next, &err), &err);
        next += (fixture->batch[b].n_token + n_visual) * fixture->d;
        memcpy(visual + b * n_visual * fixture->d, ws->block[0].in + fixture->d,
               (size_t)(n_visual * fixture->d) * sizeof *visual);
    }
    compare(fixture, "visual", visual, expected, fixture->n_batch * n_visual * fixture->d);
    compare_rows(fixture, "last_hidden_state", hidden, fixture->d);
    free(expected);
    free(visual);
    free(hidden);
}

static void projector_alone(const char *name, const char *file)
{
    fixture_t fixture;
    mdl_error_t err;
    mdl_workspace_t *ws;
    load_fixture(&fixture, name, file);
    mdl_adapter_t *adapter = make_adapter(&fixture, 0);
    check(mdl_workspace_new(fixture.decoder, adapter, fixture.n_length, &ws, &err), &err);
    int64_t n_visual_value = fixture.n_batch * fixture.n_visual * fixture.d;
    float *dvisual = malloc((size_t)n_visual_value * sizeof *dvisual);
    float *expected = reference(&fixture, "grad_visual", NULL);
    assert_non_null(dvisual);

    compare_hidden(&fixture, ws);
    compare_logits(&fixture, ws, "logits");
    compare_loss(&fixture, "loss", batch_gradient(&fixture, ws, dvisual));
    compare(&fixture, "grad_visual", dvisual, expected, n_visual_value);
    compare_gradients(&fixture, adapter);
    free(expected);
    free(dvisual);
    mdl_workspace_free(ws);
    mdl_adapter_free(adapter);
    free_fixture(&fixture);
}

static void with_lora(const char *name, const char *file)
{
    fixture_t fixture;
    mdl_error_t err;
    mdl_workspace_t *ws;
    load_fixture(&fixture, name, file);
    mdl_adapter_t *adapter = make_adapter(&fixture, 4);
    check(mdl_workspace_new(fixture.decoder, adapter, fixture.n_length, &ws, &err), &err);
    compare_logits(&fixture, ws, "lora_logits");
    compare_loss(&fixture, "lora_loss", batch_gradient(&fixture, ws, NULL));
    compare_gradients(&fixture, adapter);
    mdl_workspace_free(ws);
    mdl_adapter_free(adapter);
    free_fixture(&fixture);
}

static void ten_adam_steps(const char *name, const char *file)
{
    fixture_t fixture;
    mdl_error_t err;
    mdl_workspace_t *ws;
    float losses[10];
    load_fixture(&fixture, name, file);
    mdl_adapter_t *adapter = make_adapter(&fixture, 4);
    check(mdl_workspace_new(fixture.decoder, adapter, fixture.n_length, &ws, &err), &err);
    size_t n_param = (size_t)adapter->n_param;
    float *m = calloc(n_param, sizeof *m), *v = calloc(n_param, sizeof *v);
    float *expected = reference(&fixture, "adam_losses", NULL);
    assert_true(m != NULL && v != NULL);
    for (int s = 0; s < 10; s++) {
        memset(adapter->grad, 0, n_param * sizeof *adapter->grad);
        losses[s] = batch_gradient(&fixture, ws, NULL);
        mdl_adam_step(adapter->param, adapter->grad, m, v, adapter->n_param, s + 1,
                      1e-3 * (1 - s / 10.0), 0.9, 0.999, 1e-8);
    }
    compare(&fixture, "adam_losses", losses, expected, 10);
    free(expected);
    free(m);
    free(v);
    mdl_workspace_free(ws);
    mdl_adapter_free(adapter);
    free_fixture(&fixture);
}

static void everything(const char *name, const char *file)
{
    projector_alone(name, file);
    with_lora(name, file);
    ten_adam_steps(name, file);
}

static void llama_2(void **state)
{
    (void)state;
    everything("llama-2", "reference.safetensors");
}

static void llama_3(void **state)
{
    (void)state;
    everything("llama-3", "reference.safetensors");
}

static void llama_3_1(void **state)
{
    (void)state;
    everything("llama-3.1", "reference.safetensors");
}

/* Products of more than 32 rows are computed by BLAS, those of fewer by the engine's own kernel. */
static void long_sequence(void **state)
{
    (void)state;
    everything("llama-3", "long.safetensors");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llama_2),
        cmocka_unit_test(llama_3),
        cmocka_unit_test(llama_3_1),
        cmocka_unit_test(long_sequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
