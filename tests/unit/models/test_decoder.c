/* Loading a decoder from folders that are whole, sharded or damaged. */
#include "models/decoder_weights.h"

#include "io/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PARITY MORDAL_SOURCE_DIR "/tests/reference/parity/"

/* What is done to the tensors of llama-2 on the way into a file. */
typedef struct {
    const char *drop;        /* left out */
    const char *rename, *to; /* written under another name */
    const char *flatten;     /* written as one dimension */
    const char *spoil;       /* its first value becomes NaN */
    int64_t begin, end;      /* range of tensors that are written; end 0: to the last one */
} edit_t;

static int is(const char *name, const char *wanted)
{
    return wanted != NULL && strcmp(name, wanted) == 0;
}

static void describe(FILE *header, const mdl_tensor_t *tensor, const edit_t *edit, long long offset,
                     int first)
{
    const char *name = is(tensor->name, edit->rename) ? edit->to : tensor->name;
    fprintf(header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", first ? "" : ",", name);
    if (is(tensor->name, edit->flatten) || tensor->n_dim == 1)
        fprintf(header, "%lld", (long long)tensor->n_value);
    else
        fprintf(header, "%lld,%lld", (long long)tensor->dims[0], (long long)tensor->dims[1]);
    fprintf(header, "],\"data_offsets\":[%lld,%lld]}", offset, offset + 4 * tensor->n_value);
}

static void write_values(FILE *out, const mdl_safetensors_t *source, const mdl_tensor_t *tensor,
                         const edit_t *edit)
{
    const unsigned char nan_bits[4] = {0, 0, 0xc0, 0x7f};
    size_t n_skip = is(tensor->name, edit->spoil) ? 4 : 0, n_byte = 4 * (size_t)tensor->n_value;
    char *values = malloc(n_byte);
    assert_non_null(values);
    assert_int_equal(mdl_safetensors_read_raw(source, tensor, 0, tensor->n_value, values, NULL),
                     MDL_OK);
    memcpy(values, nan_bits, n_skip);
    assert_int_equal(fwrite(values, 1, n_byte, out), n_byte);
    free(values);
}

static void write_weights(const char *path, const edit_t *edit)
{
    mdl_error_t err;
    mdl_safetensors_t *source;
    char *text = NULL;
    size_t n_text = 0;
    long long offset = 0;
    assert_int_equal(mdl_safetensors_open(PARITY "llama-2/model.safetensors", &source, &err), 0);
    FILE *header = open_memstream(&text, &n_text), *out = fopen(path, "wb");
    assert_true(header != NULL && out != NULL);
    int64_t end = edit->end > 0 ? edit->end : mdl_safetensors_count(source);
    fputc('{', header);
    for (int64_t i = edit->begin; i < end; i++) {
        const mdl_tensor_t *tensor = mdl_safetensors_at(source, i);
        if (is(tensor->name, edit->drop))
            continue;
        describe(header, tensor, edit, offset, offset == 0);
        offset += 4 * tensor->n_value;
    }
    fputc('}', header);
    fclose(header);
    for (int i = 0; i < 8; i++)
        fputc((int)(n_text >> (8 * i) & 0xff), out);
    fwrite(text, 1, n_text, out);
    for (int64_t i = edit->begin; i < end; i++)
        if (!is(mdl_safetensors_at(source, i)->name, edit->drop))
            write_values(out, source, mdl_safetensors_at(source, i), edit);
    assert_int_equal(fclose(out), 0);
    free(text);
    mdl_safetensors_close(source);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void copy_config(const char *folder)
{
    char text[4096], path[256];
    mkdir(folder, 0777);
    FILE *file = fopen(PARITY "llama-2/config.json", "rb");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    snprintf(path, sizeof path, "%s/config.json", folder);
    write_text(path, text);
}

static const struct {
    edit_t edit;
    const char *message; /* parts of the error's sentence */
    const char *tensor;
} damaged[] = {
    {{.drop = "model.norm.weight"}, "no tensor", "model.norm.weight"},
    {{.drop = "lm_head.weight"}, "no tensor", "lm_head.weight"},
    {{.rename = "model.layers.2.mlp.up_proj.weight", .to = "model.layers.3.mlp.up_proj.weight"},
     "no place",
     "model.layers.3.mlp.up_proj.weight"},
    {{.rename = "model.norm.weight", .to = "model.layers.0.self_attn.q_proj.bias"},
     "no place",
     "model.layers.0.self_attn.q_proj.bias"},
    {{.flatten = "model.layers.1.self_attn.o_proj.weight"},
     "shape (2304) where (48, 48)",
     "model.layers.1.self_attn.o_proj.weight"},
    {{.spoil = "model.embed_tokens.weight"}, "not finite", "model.embed_tokens.weight"},
};

static void damaged_weights(void **state)
{
    (void)state;
    copy_config("damaged");
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        mdl_error_t err = {0};
        mdl_decoder_t *decoder;
        write_weights("damaged/model.safetensors", &damaged[i].edit);
        int rc = mdl_decoder_load(mdl_backend_cpu(), "damaged", &decoder, &err);
        if (rc != MDL_E_INPUT || strstr(err.text, damaged[i].message) == NULL ||
            strstr(err.text, damaged[i].tensor) == NULL)
            fail_msg("case %zu: returned %d, \"%s\"", i, rc, err.text);
        assert_null(decoder);
    }
}

static void config_of_another_model(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_decoder_t *decoder;
    copy_config("damaged");
    write_weights("damaged/model.safetensors", &(edit_t){0});
    write_text("damaged/config.json",
               "{\"model_type\":\"llama\",\"vocab_size\":97,\"hidden_size\":64,"
               "\"intermediate_size\":112,\"num_hidden_layers\":3,\"num_attention_heads\":4}");
    assert_int_equal(mdl_decoder_load(mdl_backend_cpu(), "damaged", &decoder, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "(97, 48) where (97, 64)"));
}

static void link_file(const char *model, const char *file)
{
    char from[512], to[64];
    snprintf(from, sizeof from, PARITY "%s/%s", model, file);
    snprintf(to, sizeof to, "mixed/%s", file);
    unlink(to);
    assert_int_equal(symlink(from, to), 0);
}

/* The config.json of one family over the weights of another. */
static void families_mixed(void **state)
{
    (void)state;
    static const struct {
        const char *config, *weights, *message;
    } cases[] = {
        {"llama-3", "mistral", NULL}, /* the same tensors */
        {"llama-3", "qwen2", "tensor model.layers.0.self_attn.k_proj.bias has no place"},
        {"qwen2", "llama-3", "no tensor model.layers.0.self_attn.q_proj.bias"},
        {"phi-3", "mistral", "mlp.gate_proj.weight has no place"},
        {"mistral", "phi-3", "mlp.gate_up_proj.weight has no place"},
        {"gemma", "llama-3.1", "(48, 48) where (80, 48)"},
        {"gemma", "gemma-3", "post_feedforward_layernorm.weight has no place"},
        {"gemma-3", "mistral-window", "no tensor model.layers.0.pre_feedforward_layernorm.weight"},
    };
    mkdir("mixed", 0777);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mdl_error_t err = {0};
        mdl_decoder_t *decoder;
        link_file(cases[i].config, "config.json");
        link_file(cases[i].weights, "model.safetensors");
        int rc = mdl_decoder_load(mdl_backend_cpu(), "mixed", &decoder, &err);
        if (cases[i].message == NULL)
            assert_int_equal(rc, MDL_OK);
        else if (rc != MDL_E_INPUT || strstr(err.text, cases[i].message) == NULL)
            fail_msg("%s over %s: returned %d, \"%s\"", cases[i].config, cases[i].weights, rc,
                     err.text);
        mdl_decoder_free(decoder);
    }
}

static void missing_files(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_decoder_t *decoder;
    copy_config("bare");
    assert_int_equal(mdl_decoder_load(mdl_backend_cpu(), "bare", &decoder, &err), MDL_E_MISSING);
    assert_non_null(strstr(err.text, "bare/model.safetensors"));
    assert_int_equal(mdl_decoder_load(mdl_backend_cpu(), "no-such-folder", &decoder, &err),
                     MDL_E_MISSING);
    assert_non_null(strstr(err.text, "config.json"));
}

/* Two shards hold the same model as the single file; a tensor in both, or a bad index, is refused.
 */
static void shards(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_decoder_t *sharded, *single;
    const char *index = "sharded/model.safetensors.index.json";
    copy_config("sharded");
    write_weights("sharded/one.safetensors", &(edit_t){.end = 11});
    write_weights("sharded/two.safetensors", &(edit_t){.begin = 11});
    write_text(index, "{\"weight_map\":{\"lm_head.weight\":\"one.safetensors\","
                      "\"model.norm.weight\":\"two.safetensors\",\"x\":\"one.safetensors\"}}");
    if (mdl_decoder_load(mdl_backend_cpu(), "sharded", &sharded, &err) != MDL_OK)
        fail_msg("%s", err.text);
    assert_int_equal(mdl_decoder_load(mdl_backend_cpu(), PARITY "llama-2", &single, &err), MDL_OK);
    size_t n_weight = (size_t)mdl_model_config_n_weight(&single->config);
    assert_memory_equal(sharded->embedding, single->embedding, n_weight * sizeof(float));
    mdl_decoder_free(sharded);
    mdl_decoder_free(single);

    write_weights("sharded/two.safetensors", &(edit_t){.begin = 10});
    assert_int_equal(mdl_decoder_load(mdl_backend_cpu(), "sharded", &sharded, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "two of the shards"));
    static const char *const bad[] = {"{}", "{\"weight_map\":[]}", "{\"weight_map\":{\"a\":1}}",
                                      "{\"weight_map\":{\"a\":\"../one.safetensors\"}}"};
    for (int i = 0; i < 4; i++) {
        write_text(index, bad[i]);
        assert_int_equal(mdl_decoder_load(mdl_backend_cpu(), "sharded", &sharded, &err),
                         MDL_E_INPUT);
        assert_non_null(strstr(err.text, "index.json"));
    }
    write_text(index, "{\"weight_map\":{\"a\":\"three.safetensors\"}}");
    assert_int_equal(mdl_decoder_load(mdl_backend_cpu(), "sharded", &sharded, &err), MDL_E_MISSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_weights), cmocka_unit_test(config_of_another_model),
        cmocka_unit_test(families_mixed),  cmocka_unit_test(missing_files),
        cmocka_unit_test(shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
