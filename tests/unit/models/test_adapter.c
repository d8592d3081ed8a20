#include "kernels/adam.h"
#include "models/adapter.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const mdl_model_config_t config = {.model_type = "llama",
                                          .n_vocab = 97,
                                          .n_feat = 48,
                                          .n_mlp_feat = 112,
                                          .n_layer = 3,
                                          .n_head = 4,
                                          .n_kv_head = 2,
                                          .n_head_feat = 12,
                                          .n_max_position = 128,
                                          .norm_eps = 1e-6};

static mdl_adapter_t *make(int64_t rank, const char *targets, uint64_t seed)
{
    mdl_error_t err;
    mdl_adapter_t *adapter;
    mdl_adapter_options_t options = {.rank = rank, .alpha = 8};
    assert_int_equal(mdl_linear_targets(targets, &options.targets, &err), MDL_OK);
    if (mdl_adapter_new(mdl_backend_cpu(), &config, 36, &options, seed, &adapter, &err) != MDL_OK)
        fail_msg("%s", err.text);
    return adapter;
}

static void slices_tile_the_array(void **state)
{
    (void)state;
    mdl_adapter_t *adapter = make(4, "q_proj,v_proj,down_proj", 1);
    int64_t next = 0;
    for (int64_t i = 0; i < adapter->n_slice; i++) {
        const mdl_slice_t *slice = &adapter->slice[i];
        assert_int_equal(slice->offset, next);
        next += slice->n_value;
    }
    assert_int_equal(next, adapter->n_param);
    assert_int_equal(adapter->n_slice, 4 + 3 * 2 * 3);
    int64_t n_projector = 48 * 36 + 48 + 48 * 48 + 48;
    int64_t n_block = 4 * (48 + 48) + 4 * (48 + 24) + 4 * (112 + 48);
    assert_int_equal(adapter->n_param, n_projector + 3 * n_block);
    mdl_adapter_options_t options = {.rank = 4, .alpha = 8};
    mdl_error_t err;
    assert_int_equal(mdl_linear_targets("q_proj,v_proj,down_proj,qkv_proj", &options.targets, &err),
                     MDL_OK);
    assert_int_equal(mdl_adapter_n_param(&config, 36, &options), adapter->n_param);
    const mdl_slice_t *b =
        mdl_adapter_find(adapter, "lora.model.layers.2.self_attn.v_proj.lora_B.weight");
    assert_non_null(b);
    assert_true(b->n_dim == 2 && b->dims[0] == 24 && b->dims[1] == 4);
    assert_null(mdl_adapter_find(adapter, "lora.model.layers.2.self_attn.k_proj.lora_B.weight"));
    mdl_adapter_free(adapter);
}

/* Uniform in +-1/sqrt(fan in), mean 0, variance bound^2 / 3; B zero. */
static void start_values(void **state)
{
    (void)state;
    mdl_adapter_t *adapter = make(4, "all", 7);
    for (int64_t i = 0; i < adapter->n_slice; i++) {
        const mdl_slice_t *slice = &adapter->slice[i];
        const float *x = adapter->param + slice->offset;
        int is_b = strstr(slice->name, "lora_B") != NULL;
        int64_t n_in = strstr(slice->name, "W1") || strstr(slice->name, "b1") ? 36 : 48;
        n_in = strstr(slice->name, "down_proj") ? 112 : n_in;
        double bound = is_b ? 0 : 1 / sqrt((double)n_in), mean = 0, square = 0;
        for (int64_t k = 0; k < slice->n_value; k++) {
            assert_true(fabs((double)x[k]) <= bound * (1 + 1e-6));
            mean += (double)x[k] / (double)slice->n_value;
            square += (double)x[k] * (double)x[k] / (double)slice->n_value;
        }
        double n_sigma = 5 / sqrt((double)slice->n_value);
        assert_true(fabs(mean) <= n_sigma * bound / sqrt(3.0));
        assert_true(fabs(square - bound * bound / 3) <= n_sigma * bound * bound / 3);
    }
    mdl_adapter_free(adapter);
}

/* The same seed gives the same numbers, and the projector's don't depend on LoRA. */
static void seeds(void **state)
{
    (void)state;
    mdl_adapter_t *one = make(4, "all", 7), *two = make(4, "all", 7);
    mdl_adapter_t *other = make(4, "all", 8), *plain = make(0, "", 7);
    size_t n_byte = (size_t)one->n_param * sizeof(float);
    assert_memory_equal(one->param, two->param, n_byte);
    assert_memory_not_equal(one->param, other->param, n_byte);
    assert_int_equal(plain->n_slice, 4);
    assert_memory_equal(one->param, plain->param, (size_t)plain->n_param * sizeof(float));
    mdl_adapter_free(one);
    mdl_adapter_free(two);
    mdl_adapter_free(other);
    mdl_adapter_free(plain);
}

static void refused_options(void **state)
{
    (void)state;
    static const struct {
        int64_t n_vision_feat, rank;
        double alpha;
        uint32_t targets;
    } cases[] = {{0, 4, 8, 1},  {-1, 4, 8, 1}, {36, -1, 8, 1}, {36, 1 << 20, 8, 1},
                 {36, 4, 8, 0}, {36, 4, 0, 1}, {36, 4, NAN, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mdl_error_t err;
        mdl_adapter_t *adapter;
        mdl_adapter_options_t options = {cases[i].rank, cases[i].alpha, cases[i].targets};
        assert_int_equal(mdl_adapter_new(mdl_backend_cpu(), &config, cases[i].n_vision_feat,
                                         &options, 1, &adapter, &err),
                         MDL_E_INPUT);
        assert_null(adapter);
    }
}

static void target_lists(void **state)
{
    (void)state;
    mdl_error_t err;
    uint32_t targets;
    assert_int_equal(mdl_linear_targets("up_proj,q_proj", &targets, &err), MDL_OK);
    assert_int_equal(targets, 1u << MDL_LINEAR_UP | 1u << MDL_LINEAR_Q);
    assert_int_equal(mdl_linear_targets("all", &targets, &err), MDL_OK);
    assert_int_equal(targets, 511);
    assert_int_equal(mdl_linear_targets("q_proj,head", &targets, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "\"head\""));
    assert_int_equal(mdl_linear_targets("q_proj v_proj", &targets, &err), MDL_E_INPUT);
}

/* A decoder with fused layers has LoRA on those, and none on the layers that they hold. */
static void fused_layers(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_adapter_t *adapter;
    mdl_model_config_t fused = config;
    mdl_adapter_options_t options = {.rank = 4, .alpha = 8};
    fused.fused = 1;
    snprintf(fused.model_type, sizeof fused.model_type, "phi3");
    assert_int_equal(mdl_linear_targets("q_proj,qkv_proj,down_proj", &options.targets, &err), 0);
    assert_int_equal(mdl_adapter_new(mdl_backend_cpu(), &fused, 36, &options, 1, &adapter, &err),
                     MDL_OK);
    assert_int_equal(adapter->n_slice, 4 + 3 * 2 * 2);
    const mdl_slice_t *b =
        mdl_adapter_find(adapter, "lora.model.layers.1.self_attn.qkv_proj.lora_B.weight");
    assert_non_null(b);
    assert_int_equal(b->dims[0], 48 + 2 * 24);
    assert_null(mdl_adapter_find(adapter, "lora.model.layers.1.self_attn.q_proj.lora_B.weight"));
    mdl_adapter_free(adapter);
    assert_int_equal(mdl_linear_targets("q_proj,v_proj,up_proj", &options.targets, &err), 0);
    assert_int_equal(mdl_adapter_new(mdl_backend_cpu(), &fused, 36, &options, 1, &adapter, &err),
                     MDL_E_INPUT);
    assert_non_null(strstr(err.text, "layers are qkv_proj"));
    assert_non_null(strstr(err.text, "phi3"));
}

/* With a constant gradient every bias-corrected step is lr * g / (|g| + eps). */
static void adam_with_constant_gradient(void **state)
{
    (void)state;
    float param[3] = {1, 2, 3}, grad[3] = {0.5f, -20, 0}, m[3] = {0}, v[3] = {0};
    for (int step = 1; step <= 5; step++)
        mdl_adam_step(param, grad, m, v, 3, step, 0.01, 0.9, 0.999, 1e-8);
    assert_true(fabs((double)param[0] - 0.95) < 1e-6);
    assert_true(fabs((double)param[1] - 2.05) < 1e-6);
    assert_true(param[2] == 3.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_tile_the_array),
        cmocka_unit_test(start_values),
        cmocka_unit_test(seeds),
        cmocka_unit_test(refused_options),
        cmocka_unit_test(target_lists),
        cmocka_unit_test(fused_layers),
        cmocka_unit_test(adam_with_constant_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
