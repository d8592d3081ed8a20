#include "models/adapter.h"

#include "models/random_uniform.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RANK = 4096, MAX_VISION_FEAT = 1 << 20 };

static int check_options(const mdl_model_config_t *config, int64_t n_vision_feat,
                         const mdl_adapter_options_t *options, mdl_error_t *err)
{
    if (n_vision_feat < 1 || n_vision_feat > MAX_VISION_FEAT)
        return mdl_fail(err, MDL_E_INPUT, "the vision features have %lld numbers; 1 .. %d work",
                        (long long)n_vision_feat, MAX_VISION_FEAT);
    if (options->rank < 0 || options->rank > MAX_RANK)
        return mdl_fail(err, MDL_E_INPUT, "LoRA rank %lld is outside 0 .. %d",
                        (long long)options->rank, MAX_RANK);
    if (options->rank > 0 && options->targets == 0)
        return mdl_fail(err, MDL_E_INPUT,
                        "LoRA rank %lld without a target layer; name targets or set rank 0",
                        (long long)options->rank);
    if (options->rank > 0 && !(isfinite(options->alpha) && options->alpha > 0))
        return mdl_fail(err, MDL_E_INPUT, "LoRA alpha must be a number above 0");
    if (options->rank > 0 && (options->targets & mdl_linear_present(config)) == 0)
        return mdl_fail(err, MDL_E_INPUT,
                        "none of the LoRA targets is a layer of %s, whose layers are %s",
                        config->model_type,
                        config->fused ? "qkv_proj,o_proj,gate_up_proj,down_proj"
                                      : "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj");
    if (config->n_layer < 1)
        return mdl_fail(err, MDL_E_INTERNAL, "an adapter needs a decoder's configuration");
    return MDL_OK;
}

/* Appends a slice [n_row, n_col] ([n_col] when n_row is 0) and returns its offset. */
static int64_t add_slice(mdl_adapter_t *adapter, const char *name, int64_t n_row, int64_t n_col,
                         int64_t n_fan_in)
{
    mdl_slice_t *slice = &adapter->slice[adapter->n_slice++];
    snprintf(slice->name, sizeof slice->name, "%s", name);
    slice->offset = adapter->n_param;
    slice->n_dim = n_row > 0 ? 2 : 1;
    slice->dims[0] = n_row > 0 ? n_row : n_col;
    slice->dims[1] = n_row > 0 ? n_col : 1;
    slice->n_value = slice->dims[0] * slice->dims[1];
    slice->n_fan_in = n_fan_in;
    adapter->n_param += slice->n_value;
    return slice->offset;
}

static void add_group(mdl_adapter_t *adapter, const mdl_model_config_t *config, uint32_t targets,
                      int64_t layer, mdl_linear_group_t group)
{
    mdl_lora_group_t *lora = &adapter->lora[layer * MDL_N_GROUP + (int64_t)group];
    char name[96];
    lora->a = adapter->n_param;
    for (int i = (int)mdl_group_first(config, group); i <= (int)mdl_group_last(config, group); i++)
        if (targets >> i & 1u)
            lora->linear[lora->n_target++] = (mdl_linear_t)i;
    for (int i = 0; i < lora->n_target; i++) {
        int64_t n_in = mdl_linear_n_in(config, lora->linear[i]);
        snprintf(name, sizeof name, "lora.model.layers.%d.%s.lora_A.weight", (int)layer,
                 mdl_linear_path(lora->linear[i]));
        add_slice(adapter, name, adapter->rank, n_in, n_in);
    }
    for (int i = 0; i < lora->n_target; i++) {
        snprintf(name, sizeof name, "lora.model.layers.%d.%s.lora_B.weight", (int)layer,
                 mdl_linear_path(lora->linear[i]));
        lora->b[i] =
            add_slice(adapter, name, mdl_linear_n_out(config, lora->linear[i]), adapter->rank, 0);
    }
}

static void lay_out(mdl_adapter_t *adapter, const mdl_model_config_t *config, uint32_t targets)
{
    int64_t d = config->n_feat, dv = adapter->n_vision_feat;
    adapter->w1 = add_slice(adapter, "projector.W1", d, dv, dv);
    adapter->b1 = add_slice(adapter, "projector.b1", 0, d, dv);
    adapter->w2 = add_slice(adapter, "projector.W2", d, d, d);
    adapter->b2 = add_slice(adapter, "projector.b2", 0, d, d);
    for (int64_t layer = 0; adapter->rank > 0 && layer < config->n_layer; layer++)
        for (int group = 0; group < MDL_N_GROUP; group++)
            add_group(adapter, config, targets, layer, (mdl_linear_group_t)group);
}

int64_t mdl_adapter_n_param(const mdl_model_config_t *config, int64_t n_vision_feat,
                            const mdl_adapter_options_t *options)
{
    uint32_t targets = options->targets & mdl_linear_present(config);
    int64_t d = config->n_feat, n_side = 0;
    for (int i = 0; i < MDL_N_LINEAR; i++)
        if (targets >> i & 1u)
            n_side += mdl_linear_n_in(config, (mdl_linear_t)i) +
                      mdl_linear_n_out(config, (mdl_linear_t)i);
    return d * n_vision_feat + d + d * d + d + config->n_layer * options->rank * n_side;
}

static int set_start(mdl_adapter_t *adapter, uint64_t seed, mdl_error_t *err)
{
    float *start = NULL;
    int64_t n_room = 0;
    for (int64_t i = 0; i < adapter->n_slice; i++)
        n_room = adapter->slice[i].n_value > n_room ? adapter->slice[i].n_value : n_room;
    int rc = mdl_alloc(&start, (size_t)n_room, sizeof *start, "an adapter's start", err);
    for (int64_t i = 0; rc == MDL_OK && i < adapter->n_slice; i++) {
        const mdl_slice_t *slice = &adapter->slice[i];
        if (slice->n_fan_in == 0)
            continue;
        mdl_random_uniform(start, slice->n_value, (float)(1.0 / sqrt((double)slice->n_fan_in)),
                           seed, (uint64_t)i);
        rc = adapter->backend->upload(adapter->param + slice->offset, start,
                                      (size_t)slice->n_value * sizeof *start, err);
    }
    free(start);
    return rc;
}

int mdl_adapter_new(const mdl_backend_t *backend, const mdl_model_config_t *config,
                    int64_t n_vision_feat, const mdl_adapter_options_t *options, uint64_t seed,
                    mdl_adapter_t **adapter, mdl_error_t *err)
{
    int rc = MDL_OK;
    mdl_adapter_t *made = NULL;
    *adapter = NULL;
    MDL_TRY(check_options(config, n_vision_feat, options, err));
    MDL_TRY(mdl_alloc(&made, 1, sizeof *made, "an adapter", err));
    made->backend = backend;
    made->n_vision_feat = n_vision_feat;
    made->n_feat = config->n_feat;
    made->n_layer = config->n_layer;
    made->rank = options->rank;
    made->lora_scale = options->rank > 0 ? (float)(options->alpha / (double)options->rank) : 0.0f;
    size_t n_block = (size_t)config->n_layer;
    MDL_TRY(mdl_alloc(&made->slice, 4 + n_block * 2 * MDL_N_LINEAR, sizeof *made->slice,
                      "an adapter's table of slices", err));
    MDL_TRY(mdl_alloc(&made->lora, n_block * MDL_N_GROUP, sizeof *made->lora,
                      "an adapter's LoRA table", err));
    lay_out(made, config, options->targets);
    size_t n_byte = (size_t)made->n_param * sizeof(float);
    MDL_TRY(backend->alloc(&made->param, n_byte, "an adapter's parameters", err));
    MDL_TRY(backend->alloc(&made->grad, n_byte, "an adapter's gradient", err));
    MDL_TRY(set_start(made, seed, err));
    *adapter = made;
    made = NULL;
done:
    mdl_adapter_free(made);
    return rc;
}

void mdl_adapter_free(mdl_adapter_t *adapter)
{
    if (adapter == NULL)
        return;
    adapter->backend->release(adapter->param);
    adapter->backend->release(adapter->grad);
    free(adapter->slice);
    free(adapter->lora);
    free(adapter);
}

const mdl_slice_t *mdl_adapter_find(const mdl_adapter_t *adapter, const char *name)
{
    for (int64_t i = 0; i < adapter->n_slice; i++)
        if (strcmp(adapter->slice[i].name, name) == 0)
            return &adapter->slice[i];
    return NULL;
}
