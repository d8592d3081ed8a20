/* The vision encoders against transformers 5.23 and timm 1.0.31 (float32, eager attention) on tiny
 * random checkpoints; tests/reference/parity/README.md tells what they hold. */
#include "io/safetensors.h"
#include "models/encoder.h"

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
    mdl_encoder_t *encoder;
    mdl_safetensors_t *reference;
    int64_t n_image, height, width;
    float *pixel;
} fixture_t;

static void check(int rc, const mdl_error_t *err)
{
    if (rc != MDL_OK)
        fail_msg("%s", err->text);
}

static float *reference(const fixture_t *fixture, const char *name, const mdl_tensor_t **tensor)
{
    mdl_error_t err;
    const mdl_tensor_t *found = mdl_safetensors_find(fixture->reference, name);
    *tensor = found;
    if (found == NULL)
        return NULL;
    float *values = malloc((size_t)found->n_value * sizeof *values);
    assert_non_null(values);
    check(mdl_safetensors_read_float(fixture->reference, name, found->n_dim, found->dims, values,
                                     &err),
          &err);
    return values;
}

static void load_fixture(fixture_t *fixture, const char *name, const char *file)
{
    mdl_error_t err;
    char path[512];
    const mdl_tensor_t *shape;
    fixture->name = name;
    snprintf(path, sizeof path, "%s/tests/reference/parity/encoders/%s", MORDAL_SOURCE_DIR, name);
    check(mdl_encoder_load(path, &fixture->encoder, &err), &err);
    snprintf(path, sizeof path, "%s/tests/reference/parity/encoders/%s/%s", MORDAL_SOURCE_DIR, name,
             file);
    check(mdl_safetensors_open(path, &fixture->reference, &err), &err);
    fixture->pixel = reference(fixture, "pixel_values", &shape);
    assert_non_null(fixture->pixel);
    fixture->n_image = shape->dims[0];
    fixture->height = shape->dims[2];
    fixture->width = shape->dims[3];
}

static void free_fixture(fixture_t *fixture)
{
    mdl_encoder_free(fixture->encoder);
    mdl_safetensors_close(fixture->reference);
    free(fixture->pixel);
}

/* Compares got [n_image, n_token, n_feat] with the tensor called name, which may be channels first
 * or without the class token. Returns 0 when the reference has no such tensor. */
static int compare(const fixture_t *fixture, const char *name, const float *got,
                   const mdl_encoder_shape_t *shape)
{
    const mdl_tensor_t *tensor;
    float *expected = reference(fixture, name, &tensor);
    double largest = 0, difference = 0;
    if (expected == NULL)
        return 0;
    int channels_first = tensor->n_dim == 4;
    int64_t n_row = tensor->n_value / fixture->n_image / shape->n_feat;
    int64_t n_skip = shape->n_token - n_row;
    assert_true(n_skip == 0 || n_skip == shape->n_prefix);
    for (int64_t i = 0; i < tensor->n_value; i++) {
        int64_t feat = i % shape->n_feat, row = i / shape->n_feat % n_row;
        int64_t image = i / shape->n_feat / n_row;
        int64_t at = channels_first ? (image * shape->n_feat + feat) * n_row + row : i;
        double right = expected[at];
        double value = got[(image * shape->n_token + n_skip + row) * shape->n_feat + feat];
        largest = fmax(largest, fabs(right));
        difference = fmax(difference, fabs(value - right));
    }
    free(expected);
    print_message("%-12s %-20s %.1e\n", fixture->name, name, difference / largest);
    assert_true(largest > 0);
    if (!(difference <= TOLERANCE * largest))
        fail_msg("%s differs by %g, its largest value is %g", name, difference, largest);
    return 1;
}

static float *room(int64_t n_value)
{
    float *values = malloc((size_t)n_value * sizeof *values);
    assert_non_null(values);
    return values;
}

/* Every tensor that the reference has, and that all states come out the same when only one is
 * asked for. */
static void everything(const char *name, const char *file, int64_t n_expected)
{
    fixture_t fixture;
    mdl_error_t err;
    mdl_encoder_shape_t shape[16], pooled_shape;
    float *state[16] = {0}, *one[16] = {0};
    load_fixture(&fixture, name, file);
    int64_t n_state = mdl_encoder_n_state(fixture.encoder), n_compared = 0, n_value = 0;
    assert_true(n_state <= 16);
    for (int64_t i = 0; i < n_state; i++) {
        check(mdl_encoder_shape(fixture.encoder, i, fixture.height, fixture.width, &shape[i], &err),
              &err);
        n_value = fixture.n_image * shape[i].n_token * shape[i].n_feat;
        state[i] = room(n_value);
    }
    pooled_shape = (mdl_encoder_shape_t){.n_token = 1, .n_feat = shape[n_state - 1].n_feat};
    mdl_encoder_output_t output = {state, room(n_value),
                                   mdl_encoder_has_pooled(fixture.encoder)
                                       ? room(fixture.n_image * pooled_shape.n_feat)
                                       : NULL};
    check(mdl_encoder_forward(fixture.encoder, fixture.pixel, fixture.n_image, fixture.height,
                              fixture.width, &output, &err),
          &err);
    for (int64_t i = 0; i < n_state; i++) {
        char tensor[32];
        snprintf(tensor, sizeof tensor, "hidden_states.%d", (int)i);
        n_compared += compare(&fixture, tensor, state[i], &shape[i]);
        snprintf(tensor, sizeof tensor, "block.%d", (int)i - 1);
        n_compared += compare(&fixture, tensor, state[i], &shape[i]);
    }
    n_compared += compare(&fixture, "last_hidden_state", output.last, &shape[n_state - 1]);
    if (output.pooled != NULL)
        n_compared += compare(&fixture, "pooler_output", output.pooled, &pooled_shape);
    assert_int_equal(n_compared, n_expected);

    int64_t n_before = fixture.n_image * shape[n_state - 2].n_token * shape[n_state - 2].n_feat;
    one[n_state - 2] = room(n_before);
    mdl_encoder_output_t single = {.state = one};
    check(mdl_encoder_forward(fixture.encoder, fixture.pixel, fixture.n_image, fixture.height,
                              fixture.width, &single, &err),
          &err);
    assert_memory_equal(one[n_state - 2], state[n_state - 2], (size_t)n_before * sizeof(float));
    free(one[n_state - 2]);
    for (int64_t i = 0; i < n_state; i++)
        free(state[i]);
    free(output.last);
    free(output.pooled);
    free_fixture(&fixture);
}

static void clip(void **state)
{
    (void)state;
    everything("clip", "reference.safetensors", 6);
    everything("dfn-clip", "reference.safetensors", 6);
}

static void siglip(void **state)
{
    (void)state;
    everything("siglip", "reference.safetensors", 6);
}

static void dinov2(void **state)
{
    (void)state;
    everything("dinov2", "reference.safetensors", 6);
}

static void internvit(void **state)
{
    (void)state;
    everything("internvit", "reference.safetensors", 5);
}

static void eva02(void **state)
{
    (void)state;
    everything("eva02-clip", "reference.safetensors", 4);
}

static void convnext(void **state)
{
    (void)state;
    everything("convnext", "reference.safetensors", 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clip),      cmocka_unit_test(siglip), cmocka_unit_test(dinov2),
        cmocka_unit_test(internvit), cmocka_unit_test(eva02),  cmocka_unit_test(convnext),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
