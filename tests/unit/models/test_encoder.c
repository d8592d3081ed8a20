/* The vision encoders, on every backend, against transformers 5.23 and timm 1.0.31 (float32, eager
 * attention) on tiny random checkpoints; tests/reference/parity/README.md tells what they hold. */
#include "../backends.h"
#include "models/encoder.h"
#include "models/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FOLDER MORDAL_SOURCE_DIR "/tests/reference/parity/encoders/"

static void check(int rc, const mdl_error_t *err)
{
    if (rc != MDL_OK)
        fail_msg("%s", err->text);
}

static void print_line(void *context, const mdl_verify_line_t *line)
{
    print_message("%-14s %-20s %.1e %s\n", (const char *)context, line->quantity, line->max_rel,
                  line->ok ? "ok" : "FAIL");
}

static void compare_references(const mdl_backend_t *backend)
{
    static const struct {
        char *name;
        int n_quantity;
    } cases[] = {{"clip", 6},         {"dfn-clip", 6},     {"siglip", 6},      {"dinov2", 6},
                 {"internvit", 5},    {"eva02-clip", 4},   {"convnext", 7},    {"clip-pair", 5},
                 {"siglip-plain", 4}, {"dinov2-gated", 5}, {"eva02-inner", 3}, {"internvit-own", 4},
                 {"siglip-edge", 4}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mdl_error_t err;
        char folder[512];
        mdl_verify_report_t report = {.line = print_line, .context = cases[i].name};
        print_message("on %s\n", backend->name);
        snprintf(folder, sizeof folder, FOLDER "%s", cases[i].name);
        check(mdl_verify_encoder(backend, folder, "reference.safetensors", &report, &err), &err);
        assert_int_equal(report.n_bad, 0);
        assert_int_equal(report.n_line, cases[i].n_quantity);
    }
}

static void references(void **state)
{
    (void)state;
    const mdl_backend_t *backends[MAX_BACKEND];
    int n_backend = find_backends(backends);
    for (int b = 0; b < n_backend; b++)
        compare_references(backends[b]);
}

static void references_in_bfloat16(void **state)
{
    (void)state;
    const mdl_backend_t *backends[MAX_BACKEND];
    int n_backend = find_bfloat16_backends(backends);
    for (int b = 0; b < n_backend; b++)
        compare_references(backends[b]);
}

/* The reference of another model: every quantity differs, which is told, not an error. */
static void another_reference_differs(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_verify_report_t report = {.line = print_line, .context = "clip"};
    check(mdl_verify_encoder(mdl_backend_cpu(), FOLDER "clip", "../dfn-clip/reference.safetensors",
                             &report, &err),
          &err);
    assert_int_equal(report.n_bad, 6);
    assert_int_equal(mdl_verify_encoder(mdl_backend_cpu(), FOLDER "clip",
                                        "../convnext/reference.safetensors", &report, &err),
                     MDL_E_INPUT);
    assert_non_null(strstr(err.text, "28 x 28 alone"));
}

/* One layer alone has the values that it has among all, and the images one by one as well. */
static void one_layer(void **state)
{
    (void)state;
    static const char *const names[] = {FOLDER "dinov2", FOLDER "convnext"};
    for (int i = 0; i < 2; i++) {
        mdl_error_t err;
        mdl_encoder_t *encoder;
        mdl_encoder_shape_t shape;
        enum { N_IMAGE = 2, SIDE = 64 };
        static float pixel[N_IMAGE * 3 * SIDE * SIDE], all[1 << 16], one[1 << 16], last[1 << 16];
        float *state_all[8] = {0}, *state_one[8] = {0};
        for (size_t k = 0; k < sizeof pixel / sizeof *pixel; k++)
            pixel[k] = (float)(k * 37 % 101) / 50.0f - 1.0f;
        check(mdl_encoder_load(mdl_backend_cpu(), names[i], &encoder, &err), &err);
        check(mdl_encoder_shape(encoder, 2, SIDE, SIDE, &shape, &err), &err);
        size_t n = (size_t)(shape.n_token * shape.n_feat);
        assert_true(N_IMAGE * n <= 1 << 16);
        state_all[2] = all;
        state_one[2] = one;
        mdl_encoder_output_t whole = {state_all, last, NULL}, single = {state_one, NULL, NULL};
        check(mdl_encoder_forward(encoder, pixel, N_IMAGE, SIDE, SIDE, &whole, &err), &err);
        check(mdl_encoder_forward(encoder, pixel, N_IMAGE, SIDE, SIDE, &single, &err), &err);
        assert_memory_equal(all, one, N_IMAGE * n * sizeof *all);
        check(mdl_encoder_forward(encoder, pixel + 3 * SIDE * SIDE, 1, SIDE, SIDE, &single, &err),
              &err);
        for (size_t k = 0; k < n; k++)
            assert_float_equal(one[k], all[n + k], 1e-4);
        mdl_encoder_free(encoder);
    }
}

/* A folder with the weights of name and its config.json with the text from replaced by to. */
static void make_folder(const char *folder, const char *name, const char *from, const char *to)
{
    char path[512], weights[512];
    static char text[8192];
    snprintf(path, sizeof path, FOLDER "%s/config.json", name);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    text[fread(text, 1, sizeof text - 1, in)] = '\0';
    fclose(in);
    char *at = strstr(text, from);
    assert_non_null(at);
    snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fprintf(out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    fclose(out);
    snprintf(weights, sizeof weights, FOLDER "%s/model.safetensors", name);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    unlink(path);
    assert_int_equal(symlink(weights, path), 0);
}

static void unknown_things_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *from, *to, *message;
    } cases[] = {
        {"clip", "clip_vision_model", "vit_mae", "model_type is \"vit_mae\""},
        {"clip", "\"quick_gelu\"", "\"relu\"", "hidden_act is \"relu\""},
        {"clip", "\"num_channels\": 3", "\"num_channels\": 1", "num_channels = 3"},
        {"clip", "\"num_attention_heads\": 4", "\"num_attention_heads\": 5", "5 attention heads"},
        {"clip", "\"patch_size\": 14", "\"patch_size\": 29", "patch size 29 is above"},
        {"clip", "\"patch_size\": 14", "\"patch_size\": 13", "where (48, 3, 13, 13) is needed"},
        {"clip", "\"hidden_size\": 48", "\"hidden_size\": 52", "where (52, 3, 14, 14) is needed"},
        {"clip", "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4", "no tensor encoder.lay"},
        {"clip", "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 2", "has no place"},
        {"clip", "\"num_hidden_layers\": 3", "\"num_hidden_layers\": -1", "num_hidden_layers"},
        {"clip", "clip_vision_model", "internvl_vision", "another model"},
        {"siglip", "\"vision_use_head\": true", "\"vision_use_head\": false", "has no place"},
        {"internvit", "\"norm_type\": \"layer_norm\"", "\"norm_type\": \"rms_norm\"", "norm_type"},
        {"internvit", "\"use_qk_norm\": false", "\"use_qk_norm\": true", "use_qk_norm"},
        {"dinov2", "\"use_swiglu_ffn\": false", "\"use_swiglu_ffn\": true", "has no place"},
        {"eva02-clip", "\"qkv_fused\": false,", "", "qkv_fused = false"},
        {"eva02-clip", "\"scale_mlp\": true", "\"init_values\": 0.1", "init_values"},
        {"eva02-clip", "\"embed_dim\": 48", "\"architecture\": \"eva02_tiny\"", "\"eva02_tiny\""},
        {"convnext", "\"num_stages\": 4", "\"num_stages\": 9", "num_stages"},
        {"convnext", "\"num_stages\": 4", "\"num_stages\": 5", "hidden_sizes"},
        {"convnext", "\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": 0", "layer_norm_eps"},
    };
    char folder[] = "mordal-encoder-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mdl_error_t err;
        mdl_encoder_t *encoder;
        make_folder(folder, cases[i].name, cases[i].from, cases[i].to);
        assert_int_equal(mdl_encoder_load(mdl_backend_cpu(), folder, &encoder, &err), MDL_E_INPUT);
        assert_null(encoder);
        if (strstr(err.text, cases[i].message) == NULL)
            fail_msg("\"%s\" doesn't say \"%s\"", err.text, cases[i].message);
    }
    snprintf(path, sizeof path, "%s/config.json", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    unlink(path);
    rmdir(folder);
}

static void sizes(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_encoder_t *encoder;
    mdl_encoder_shape_t shape;
    check(mdl_encoder_load(mdl_backend_cpu(), FOLDER "dinov2", &encoder, &err), &err);
    check(mdl_encoder_shape(encoder, 0, 43, 28, &shape, &err), &err);
    assert_int_equal(shape.n_token, 1 + 3 * 2);
    assert_int_equal(shape.n_prefix, 1);
    assert_int_equal(mdl_encoder_shape(encoder, 0, 13, 28, &shape, &err), MDL_E_INPUT);
    assert_int_equal(mdl_encoder_shape(encoder, 0, 0, 28, &shape, &err), MDL_E_INPUT);
    assert_int_equal(mdl_encoder_shape(encoder, 0, 1 << 20, 28, &shape, &err), MDL_E_INPUT);
    mdl_encoder_free(encoder);
    check(mdl_encoder_load(mdl_backend_cpu(), FOLDER "convnext", &encoder, &err), &err);
    check(mdl_encoder_shape(encoder, 4, 70, 33, &shape, &err), &err);
    assert_int_equal(shape.height, 2);
    assert_int_equal(shape.width, 1);
    assert_int_equal(mdl_encoder_shape(encoder, 0, 31, 64, &shape, &err), MDL_E_INPUT);
    mdl_encoder_free(encoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references),
        cmocka_unit_test(references_in_bfloat16),
        cmocka_unit_test(another_reference_differs),
        cmocka_unit_test(one_layer),
        cmocka_unit_test(unknown_things_are_refused),
        cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
