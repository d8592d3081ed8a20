/* The engine against PyTorch (transformers 5.23, float32, eager attention) on tiny random
 * checkpoints; tests/reference/parity/README.md tells what they hold. */
#include "../backends.h"
#include "models/decoder.h"
#include "models/verify.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PARITY MORDAL_SOURCE_DIR "/tests/reference/parity/"

/* n_linear: LoRA's layers in a block. */
static const struct {
    const char *folder, *file, *family;
    int64_t n_layer, n_linear;
} models[] = {
    {"llama-2", "reference.safetensors", "llama", 3, 7},
    {"llama-3", "reference.safetensors", "llama", 3, 7},
    {"llama-3.1", "reference.safetensors", "llama", 3, 7},
    /* products of more than 32 rows are computed by BLAS, those of fewer by the engine's kernel */
    {"llama-3", "long.safetensors", "llama", 3, 7},
    {"mistral", "reference.safetensors", "mistral", 3, 7},
    {"mistral-window", "reference.safetensors", "mistral", 3, 7},
    {"qwen2", "reference.safetensors", "qwen2", 3, 7},
    {"phi-3", "reference.safetensors", "phi3", 3, 4},
    {"phi-3-longrope", "reference.safetensors", "phi3", 3, 4},
    {"gemma", "reference.safetensors", "gemma", 3, 7},
    {"gemma-3", "reference.safetensors", "gemma3_text", 3, 7},
};

static void print_line(void *context, const mdl_verify_line_t *line)
{
    print_message("%-14s %-62s %.1e %s\n", (const char *)context, line->quantity, line->max_rel,
                  line->ok ? "ok" : "FAIL");
}

/* Outputs (3), loss, gradients of projector and visual tokens (5), with LoRA logits, loss, two
 * gradients for each layer, and the losses of the Adam steps. */
static void every_quantity_on(const mdl_backend_t *backend)
{
    print_message("on %s%s\n", backend->name, backend->bfloat16 ? " in bfloat16" : "");
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        mdl_error_t err;
        char folder[512];
        mdl_verify_report_t report = {.line = print_line, .context = (void *)models[i].folder};
        snprintf(folder, sizeof folder, PARITY "%s", models[i].folder);
        if (mdl_verify_decoder(backend, folder, models[i].file, &report, &err) != MDL_OK)
            fail_msg("%s", err.text);
        assert_int_equal(report.n_bad, 0);
        assert_int_equal(report.n_line, 12 + 2 * models[i].n_layer * models[i].n_linear);
    }
}

static void every_quantity(void **state)
{
    (void)state;
    const mdl_backend_t *backend[MAX_BACKEND];
    int n_backend = find_backends(backend);
    for (int i = 0; i < n_backend; i++)
        every_quantity_on(backend[i]);
    n_backend = find_bfloat16_backends(backend);
    for (int i = 0; i < n_backend; i++)
        every_quantity_on(backend[i]);
}

static void families(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        mdl_error_t err;
        mdl_decoder_t *decoder;
        char folder[512];
        snprintf(folder, sizeof folder, PARITY "%s", models[i].folder);
        assert_int_equal(mdl_decoder_load(mdl_backend_cpu(), folder, &decoder, &err), MDL_OK);
        assert_string_equal(mdl_decoder_config(decoder)->model_type, models[i].family);
        mdl_decoder_free(decoder);
    }
}

static void keep_line(void *context, const mdl_verify_line_t *line)
{
    *(mdl_verify_line_t *)context = *line;
}

/* A difference just inside and just outside of the tolerance, and results that aren't numbers. */
static void verdicts(void **state)
{
    (void)state;
    static const struct {
        float got[2], expected[2];
        int ok;
    } cases[] = {
        {{1, -2}, {1, -2}, 1},          {{1, -2.00018f}, {1, -2}, 1},
        {{1, -2.00022f}, {1, -2}, 0},   {{1.00018f, -2}, {1, -2}, 1},
        {{(float)NAN, -2}, {1, -2}, 0}, {{1, (float)INFINITY}, {1, -2}, 0},
        {{(float)NAN, -2}, {0, 0}, 0},  {{0, 0}, {0, 0}, 1},
        {{0, 5e-8f}, {0, 0}, 1},        {{0, 5e-7f}, {0, 0}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mdl_verify_line_t line;
        mdl_verify_report_t report = {.line = keep_line, .context = &line, .family = "llama"};
        mdl_verify_compare(&report, "logits", cases[i].got, cases[i].expected, 2, 1e-4);
        assert_int_equal(line.ok, cases[i].ok);
        assert_int_equal(report.n_bad, !cases[i].ok);
        assert_string_equal(line.quantity, "logits");
    }
}

/* References that don't belong to the model, or hold no batch. */
static void refused_references(void **state)
{
    (void)state;
    static const struct {
        const char *folder, *file, *message;
    } cases[] = {
        {"llama-3", "no-such.safetensors", "no-such.safetensors"},
        {"llama-3", "model.safetensors", "input_ids"},
        {"llama-3", "../llama-2/reference.safetensors", "lora.model.layers.0.self_attn.k_proj"},
        {"llama-3", "../phi-3/reference.safetensors", "gate_up_proj"},
        {"gemma-3", "../gemma/reference.safetensors", "(48, 36) where (32, 36)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mdl_error_t err;
        mdl_verify_line_t line;
        mdl_verify_report_t report = {.line = keep_line, .context = &line};
        char folder[512];
        snprintf(folder, sizeof folder, PARITY "%s", cases[i].folder);
        assert_int_not_equal(
            mdl_verify_decoder(mdl_backend_cpu(), folder, cases[i].file, &report, &err), MDL_OK);
        if (strstr(err.text, cases[i].message) == NULL)
            fail_msg("case %zu: \"%s\"", i, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_quantity),
        cmocka_unit_test(families),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(refused_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
