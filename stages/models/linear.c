#include "models/linear.h"

#include <string.h>

static const struct {
    const char *name;
    const char *path;
} names[MDL_N_LINEAR] = {[MDL_LINEAR_Q] = {"q_proj", "self_attn.q_proj"},
                         [MDL_LINEAR_K] = {"k_proj", "self_attn.k_proj"},
                         [MDL_LINEAR_V] = {"v_proj", "self_attn.v_proj"},
                         [MDL_LINEAR_O] = {"o_proj", "self_attn.o_proj"},
                         [MDL_LINEAR_GATE] = {"gate_proj", "mlp.gate_proj"},
                         [MDL_LINEAR_UP] = {"up_proj", "mlp.up_proj"},
                         [MDL_LINEAR_DOWN] = {"down_proj", "mlp.down_proj"},
                         [MDL_LINEAR_QKV] = {"qkv_proj", "self_attn.qkv_proj"},
                         [MDL_LINEAR_GATE_UP] = {"gate_up_proj", "mlp.gate_up_proj"}};

/* First and last layer of each group, with separate and with fused layers. */
static const mdl_linear_t group_bounds[2][MDL_N_GROUP][2] = {
    {[MDL_GROUP_QKV] = {MDL_LINEAR_Q, MDL_LINEAR_V},
     [MDL_GROUP_O] = {MDL_LINEAR_O, MDL_LINEAR_O},
     [MDL_GROUP_GATE_UP] = {MDL_LINEAR_GATE, MDL_LINEAR_UP},
     [MDL_GROUP_DOWN] = {MDL_LINEAR_DOWN, MDL_LINEAR_DOWN}},
    {[MDL_GROUP_QKV] = {MDL_LINEAR_QKV, MDL_LINEAR_QKV},
     [MDL_GROUP_O] = {MDL_LINEAR_O, MDL_LINEAR_O},
     [MDL_GROUP_GATE_UP] = {MDL_LINEAR_GATE_UP, MDL_LINEAR_GATE_UP},
     [MDL_GROUP_DOWN] = {MDL_LINEAR_DOWN, MDL_LINEAR_DOWN}}};

const char *mdl_linear_path(mdl_linear_t linear)
{
    return names[linear].path;
}

int64_t mdl_linear_n_in(const mdl_model_config_t *config, mdl_linear_t linear)
{
    if (linear == MDL_LINEAR_O)
        return config->n_head * config->n_head_feat;
    return linear == MDL_LINEAR_DOWN ? config->n_mlp_feat : config->n_feat;
}

int64_t mdl_linear_n_out(const mdl_model_config_t *config, mdl_linear_t linear)
{
    switch (linear) {
    case MDL_LINEAR_Q:
        return config->n_head * config->n_head_feat;
    case MDL_LINEAR_K:
    case MDL_LINEAR_V:
        return config->n_kv_head * config->n_head_feat;
    case MDL_LINEAR_GATE:
    case MDL_LINEAR_UP:
        return config->n_mlp_feat;
    case MDL_LINEAR_QKV:
        return (config->n_head + 2 * config->n_kv_head) * config->n_head_feat;
    case MDL_LINEAR_GATE_UP:
        return 2 * config->n_mlp_feat;
    default:
        return config->n_feat;
    }
}

mdl_linear_t mdl_group_first(const mdl_model_config_t *config, mdl_linear_group_t group)
{
    return group_bounds[config->fused][group][0];
}

mdl_linear_t mdl_group_last(const mdl_model_config_t *config, mdl_linear_group_t group)
{
    return group_bounds[config->fused][group][1];
}

uint32_t mdl_linear_present(const mdl_model_config_t *config)
{
    uint32_t present = 0;
    for (int group = 0; group < MDL_N_GROUP; group++)
        for (int i = (int)group_bounds[config->fused][group][0];
             i <= (int)group_bounds[config->fused][group][1]; i++)
            present |= 1u << i;
    return present;
}

int64_t mdl_group_n_out(const mdl_model_config_t *config, mdl_linear_group_t group)
{
    int64_t n_out = 0;
    for (int linear = (int)mdl_group_first(config, group);
         linear <= (int)mdl_group_last(config, group); linear++)
        n_out += mdl_linear_n_out(config, (mdl_linear_t)linear);
    return n_out;
}

static int find_linear(const char *word, size_t n_word)
{
    for (int linear = 0; linear < MDL_N_LINEAR; linear++)
        if (strlen(names[linear].name) == n_word && memcmp(names[linear].name, word, n_word) == 0)
            return linear;
    return -1;
}

int mdl_linear_targets(const char *list, uint32_t *targets, mdl_error_t *err)
{
    *targets = 0;
    if (strcmp(list, "all") == 0) {
        *targets = (1u << MDL_N_LINEAR) - 1;
        return MDL_OK;
    }
    while (*list != '\0') {
        size_t n_word = strcspn(list, ",");
        int linear = find_linear(list, n_word);
        if (linear < 0)
            return mdl_fail(err, MDL_E_INPUT,
                            "LoRA target \"%.*s\" is not a linear layer; write all, or some of "
                            "q_proj,k_proj,v_proj,qkv_proj,o_proj,gate_proj,up_proj,"
                            "gate_up_proj,down_proj",
                            (int)(n_word < 64 ? n_word : 64), list);
        *targets |= 1u << linear;
        list += n_word;
        list += *list == ',';
    }
    return MDL_OK;
}
