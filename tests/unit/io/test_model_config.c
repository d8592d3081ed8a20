#include "io/model_config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const path = "config.json";

/* A good file is the base with some keys replaced (doubled keys are refused, so the base leaves
 * out what the case gives). */
#define SIZES                                                                                      \
    "\"vocab_size\":97,\"hidden_size\":48,\"intermediate_size\":112,\"num_hidden_layers\":3,"      \
    "\"num_attention_heads\":4,"
#define FAMILY  "\"model_type\":\"llama\",\"hidden_act\":\"silu\","
#define GOOD    FAMILY SIZES
#define MISTRAL "\"model_type\":\"mistral\"," SIZES
#define QWEN2   "\"model_type\":\"qwen2\"," SIZES
#define PHI3    "\"model_type\":\"phi3\"," SIZES
#define GEMMA3  "\"model_type\":\"gemma3_text\"," SIZES
#define FACTORS "\"short_factor\":[1,1,1,1,1,1.5],\"long_factor\":[1,2,3,4,5,6]"

static int read_text(const char *text, mdl_model_config_t *config, mdl_error_t *err)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    return mdl_model_config_read(path, config, err);
}

static void read_good(const char *text, mdl_model_config_t *config)
{
    mdl_error_t err;
    if (read_text(text, config, &err) != MDL_OK)
        fail_msg("%s", err.text);
}

static void defaults(void **state)
{
    (void)state;
    mdl_model_config_t config;
    read_good("{" GOOD "\"head_dim\":null}", &config);
    assert_string_equal(config.model_type, "llama");
    assert_int_equal(config.n_kv_head, 4);
    assert_int_equal(config.n_head_feat, 12);
    assert_int_equal(config.n_max_position, 2048);
    assert_int_equal(config.tied_head, 0);
    assert_int_equal(config.bos_id, -1);
    assert_true(config.norm_eps == 1e-6 && config.rope.theta == 10000.0);
    assert_int_equal(config.rope.type, MDL_ROPE_DEFAULT);
    /* embedding, head, final norm, three blocks of two norms, four square and three MLP weights */
    assert_int_equal(mdl_model_config_n_weight(&config),
                     2 * 97 * 48 + 48 + 3 * (2 * 48 + 4 * 48 * 48 + 3 * 48 * 112));
}

/* Both places where checkpoints of different years keep the rotary settings. */
static void rope_places(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{" GOOD "\"rope_theta\":500000.0,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,"
        "\"low_freq_factor\":1,\"high_freq_factor\":4,\"original_max_position_embeddings\":32}}",
        "{" GOOD "\"rope_parameters\":{\"rope_theta\":500000.0,\"rope_type\":\"llama3\","
        "\"factor\":8,\"low_freq_factor\":1,\"high_freq_factor\":4,"
        "\"original_max_position_embeddings\":32}}",
        "{" GOOD "\"rope_theta\":500000,\"rope_scaling\":{\"type\":\"llama3\",\"factor\":8.0,"
        "\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
        "\"original_max_position_embeddings\":32}}"};
    for (int i = 0; i < 3; i++) {
        mdl_model_config_t config;
        read_good(texts[i], &config);
        assert_int_equal(config.rope.type, MDL_ROPE_LLAMA3);
        assert_true(config.rope.theta == 500000.0 && config.rope.factor == 8.0);
        assert_true(config.rope.n_original_position == 32.0);
    }
}

static void token_ids(void **state)
{
    (void)state;
    mdl_model_config_t config;
    read_good("{" GOOD "\"bos_token_id\":1,\"eos_token_id\":[5,6],\"tie_word_embeddings\":true}",
              &config);
    assert_int_equal(config.bos_id, 1);
    assert_int_equal(config.eos_id, 5);
    assert_int_equal(config.tied_head, 1);
}

/* Which blocks see a window, by the keys of each family; the pattern has l for local blocks. */
static void windows(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t n_window;
        const char *pattern;
    } cases[] = {
        {"{" GOOD "\"sliding_window\":null}", 0, "..."},
        {"{" GOOD "\"layer_types\":[\"full_attention\",\"full_attention\",\"full_attention\"]}", 0,
         "..."},
        {"{" MISTRAL "\"sliding_window\":7}", 7, "lll"},
        {"{" MISTRAL "\"sliding_window\":null}", 0, "..."},
        {"{" MISTRAL "\"rope_theta\":1e4}", 4096, "lll"},
        {"{" PHI3 "\"sliding_window\":2047}", 2047, "lll"},
        {"{" PHI3 "\"rope_theta\":1e4}", 0, "..."},
        {"{" QWEN2 "\"sliding_window\":5,\"use_sliding_window\":false,\"max_window_layers\":0}", 0,
         "..."},
        {"{" QWEN2 "\"sliding_window\":5,\"use_sliding_window\":true,\"max_window_layers\":2}", 5,
         "..l"},
        {"{" QWEN2 "\"sliding_window\":5,\"use_sliding_window\":true}", 0, "..."},
        {"{" GEMMA3 "\"sliding_window\":5,\"sliding_window_pattern\":3}", 5, "ll."},
        {"{" GEMMA3 "\"sliding_window\":5,\"layer_types\":[\"sliding_attention\","
         "\"full_attention\",\"sliding_attention\"]}",
         5, "l.l"},
        {"{" GEMMA3 "\"rope_theta\":1e6}", 4096, "lll"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mdl_model_config_t config;
        read_good(cases[i].text, &config);
        assert_int_equal(config.n_window, cases[i].n_window);
        for (int layer = 0; layer < 3; layer++)
            assert_int_equal(config.is_local[layer], cases[i].pattern[layer] == 'l');
    }
}

/* Published files of a family leave out what its class has as defaults. */
static void family_defaults(void **state)
{
    (void)state;
    mdl_model_config_t config;
    read_good("{" GEMMA3 "\"rope_theta\":5e5}", &config);
    assert_true(config.tied_head && config.norm_from_one && config.embedding_scaled);
    assert_true(config.head_normed && config.output_normed && !config.qkv_biased);
    assert_int_equal(config.n_head_feat, 256);
    assert_true(config.query_scalar == 256);
    assert_true(config.rope.theta == 5e5 && config.rope_local.theta == 1e4);
    read_good("{\"model_type\":\"gemma\",\"hidden_act\":\"gelu\"," SIZES "\"head_dim\":16}",
              &config);
    assert_int_equal(config.activation, MDL_ACTIVATION_GELU_TANH);
    assert_true(config.tied_head && config.query_scalar == 0 && config.n_head_feat == 16);
    read_good("{" QWEN2 "\"rope_theta\":1e6}", &config);
    assert_true(config.qkv_biased && !config.tied_head && !config.norm_from_one);
    assert_int_equal(mdl_model_config_n_weight(&config),
                     2 * 97 * 48 + 48 + 3 * (2 * 48 + 4 * 48 * 48 + 3 * 48 * 112 + 3 * 48));
    read_good("{" PHI3 "\"rope_theta\":1e4}", &config);
    assert_true(config.fused && config.norm_eps == 1e-5);
}

/* Phi-3's long contexts: the older keys, and the newer ones. */
static void longrope(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{" PHI3 "\"max_position_embeddings\":128,\"original_max_position_embeddings\":32,"
        "\"rope_scaling\":{\"type\":\"su\"," FACTORS "}}",
        "{" PHI3 "\"max_position_embeddings\":128,\"rope_parameters\":{\"rope_type\":\"longrope\","
        "\"rope_theta\":1e4,\"original_max_position_embeddings\":32," FACTORS "}}"};
    for (int i = 0; i < 2; i++) {
        mdl_model_config_t config;
        read_good(texts[i], &config);
        assert_int_equal(config.rope.type, MDL_ROPE_LONGROPE);
        assert_int_equal(config.n_max_position, 32); /* beyond it other factors hold */
        assert_true(config.rope.short_factor[5] == 1.5);
        assert_true(fabs(config.rope.magnitude - 1.1832159566199232) < 1e-15); /* sqrt(1.4) */
    }
}

static const struct {
    const char *text;
    const char *message; /* part of the error's sentence */
} refused[] = {
    {"", "JSON"},
    {"not JSON", "JSON"},
    {"[]", "JSON object"},
    {"{" GOOD "\"vocab_size\":97}", "duplicate"},
    {"{" SIZES "\"hidden_act\":\"silu\"}", "model_type"},
    {"{" SIZES "\"model_type\":\"mixtral\"}", "mixtral"},
    {"{" SIZES "\"model_type\":7}", "model_type"},
    {"{" SIZES "\"model_type\":\"llama\",\"hidden_act\":\"gelu\"}", "gelu"},
    {"{" SIZES "\"model_type\":\"gemma\",\"hidden_act\":\"silu\"}", "silu"},
    {"{" SIZES "\"model_type\":\"llama\",\"hidden_act\":3}", "hidden_act"},
    {"{" SIZES "\"model_type\":\"phi3small\"}", "phi3small"},
    {"{" SIZES "\"model_type\":\"gemma3\"}", "gemma3"},
    {"{" SIZES "\"model_type\":\"smollm3\"}", "smollm3"},
    {"{" GOOD "\"sliding_window\":4096}", "sliding_window"},
    {"{" GOOD "\"quantization_config\":{\"bits\":4}}", "quantization_config"},
    {"{" GOOD "\"rope_interleaved\":true}", "rope_interleaved"},
    {"{" GEMMA3 "\"attn_logit_softcapping\":50.0}", "attn_logit_softcapping"},
    {"{" GEMMA3 "\"final_logit_softcapping\":30.0}", "final_logit_softcapping"},
    {"{" GEMMA3 "\"use_bidirectional_attention\":true}", "use_bidirectional_attention"},
    {"{" GEMMA3 "\"sliding_window\":null}", "sliding_window"},
    {"{" GEMMA3 "\"query_pre_attn_scalar\":0}", "query_pre_attn_scalar"},
    {"{" GEMMA3 "\"layer_types\":[\"full_attention\"]}", "layer_types"},
    {"{" GEMMA3 "\"layer_types\":[\"full_attention\",\"chunked_attention\",\"full_attention\"]}",
     "chunked_attention"},
    {"{" GEMMA3 "\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":1e6}}",
     "full_attention"},
    {"{" MISTRAL "\"sliding_window\":0}", "sliding_window"},
    {"{" MISTRAL "\"sliding_window\":7,\"layer_types\":[\"sliding_attention\","
     "\"full_attention\",\"sliding_attention\"]}",
     "layer_types"},
    {"{" QWEN2 "\"use_sliding_window\":true,\"sliding_window\":5,\"max_window_layers\":-1}",
     "max_window_layers"},
    {"{" QWEN2 "\"use_sliding_window\":1}", "use_sliding_window"},
    {"{" QWEN2 "\"use_sliding_window\":false,\"layer_types\":[\"full_attention\","
     "\"full_attention\",\"sliding_attention\"]}",
     "sliding_window"},
    {"{" QWEN2 "\"use_mrope\":true}", "use_mrope"},
    {"{" PHI3 "\"partial_rotary_factor\":0.75}", "partial_rotary_factor"},
    {"{" PHI3 "\"rope_scaling\":{\"type\":\"yarn\"," FACTORS "}}", "yarn"},
    {"{" PHI3 "\"rope_scaling\":{\"type\":\"longrope\",\"long_factor\":[1,1,1,1,1,1]}}",
     "short_factor"},
    {"{" PHI3 "\"rope_scaling\":{\"type\":\"su\",\"short_factor\":[1,1,1,1,1,0],"
     "\"long_factor\":[1,1,1,1,1,1]}}",
     "short_factor[5]"},
    {"{" PHI3 "\"rope_scaling\":{\"type\":\"su\",\"short_factor\":[1,1],"
     "\"long_factor\":[1,1]}}",
     "short_factor"},
    {"{" GOOD "\"rope_scaling\":{\"type\":\"linear\"}}", "factor"},
    {"{" GOOD "\"rope_scaling\":[1]}", "objects"},
    {"{" GOOD "\"rope_scaling\":{\"type\":\"linear\",\"factor\":2},"
     "\"rope_parameters\":{\"rope_theta\":1e4}}",
     "both"},
    {"{" GOOD "\"attention_bias\":true}", "attention_bias"},
    {"{" GOOD "\"mlp_bias\":true}", "mlp_bias"},
    {"{" GOOD "\"mlp_bias\":\"yes\"}", "mlp_bias"},
    {"{" FAMILY "\"vocab_size\":97}", "hidden_size"},
    {"{" GOOD "\"num_key_value_heads\":0}", "num_key_value_heads"},
    {"{" GOOD "\"num_key_value_heads\":3}", "divide"},
    {"{" GOOD "\"num_key_value_heads\":\"4\"}", "num_key_value_heads"},
    {"{" GOOD "\"num_key_value_heads\":2.5}", "num_key_value_heads"},
    {"{" GOOD "\"num_key_value_heads\":-4}", "num_key_value_heads"},
    {"{" GOOD "\"head_dim\":13}", "odd"},
    {"{" GOOD "\"head_dim\":100000}", "head_dim"},
    {"{" GOOD "\"max_position_embeddings\":99999999999}", "max_position_embeddings"},
    {"{" FAMILY "\"vocab_size\":97,\"hidden_size\":47,\"intermediate_size\":112,"
     "\"num_hidden_layers\":3,\"num_attention_heads\":4}",
     "hidden_size"},
    {"{" FAMILY "\"vocab_size\":9223372036854775807,\"hidden_size\":48,\"intermediate_size\":112,"
     "\"num_hidden_layers\":3,\"num_attention_heads\":4}",
     "vocab_size"},
    {"{" GOOD "\"rms_norm_eps\":0}", "rms_norm_eps"},
    {"{" GOOD "\"rms_norm_eps\":\"small\"}", "rms_norm_eps"},
    {"{" GOOD "\"rope_theta\":-1}", "rope_theta"},
    {"{" GOOD "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":2}}", "yarn"},
    {"{" GOOD "\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2}}", "dynamic"},
    {"{" GOOD "\"rope_scaling\":{\"factor\":2}}", "rope_type"},
    {"{" GOOD "\"rope_parameters\":{\"rope_theta\":1e4,\"partial_rotary_factor\":0.5}}",
     "partial_rotary_factor"},
    {"{" GOOD "\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8}}", "low_freq_factor"},
    {"{" GOOD "\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,"
     "\"high_freq_factor\":1}}",
     "high_freq_factor"},
    {"{" GOOD "\"eos_token_id\":97}", "eos_token_id"},
    {"{" GOOD "\"bos_token_id\":\"<s>\"}", "bos_token_id"},
    {"{" GOOD "\"tie_word_embeddings\":1}", "tie_word_embeddings"},
};

static void refused_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        mdl_error_t err = {0};
        mdl_model_config_t config;
        int rc = read_text(refused[i].text, &config, &err);
        if (rc != MDL_E_INPUT || strstr(err.text, refused[i].message) == NULL)
            fail_msg("%s: returned %d, \"%s\"", refused[i].text, rc, err.text);
    }
}

static void missing_file_and_pipe(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_model_config_t config;
    assert_int_equal(mdl_model_config_read("no-such.json", &config, &err), MDL_E_MISSING);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes: waiting would be for ever */
    assert_int_equal(mdl_model_config_read(path, &config, &err), MDL_E_INPUT);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(rope_places),
        cmocka_unit_test(token_ids),
        cmocka_unit_test(refused_files),
        cmocka_unit_test(missing_file_and_pipe),
        cmocka_unit_test(windows),
        cmocka_unit_test(family_defaults),
        cmocka_unit_test(longrope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
