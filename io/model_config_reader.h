/* Values of a config.json, checked, and what families change; for the model_*.c files of this
 * folder alone. */
#ifndef MDL_IO_MODEL_CONFIG_READER_H
#define MDL_IO_MODEL_CONFIG_READER_H

#include "io/json_file.h"
#include "io/model_config.h"

/* Which blocks are local. */
typedef enum {
    MDL_WINDOW_NONE,   /* no block */
    MDL_WINDOW_ALL,    /* every block where sliding_window is set */
    MDL_WINDOW_TAIL,   /* with use_sliding_window: from block max_window_layers on */
    MDL_WINDOW_PATTERN /* all but every sliding_window_pattern-th */
} mdl_window_rule_t;

/* One family: what it changes, and its defaults for keys that published files leave out. */
typedef struct {
    const char *model_type;
    const char *activations; /* accepted values of hidden_act and hidden_activation, in spaces */
    mdl_activation_t activation;
    int norm_from_one, embedding_scaled, qkv_biased, fused, head_normed, output_normed;
    int tied_head;
    int64_t n_head_feat; /* 0: hidden_size / num_attention_heads */
    double norm_eps;
    double query_scalar; /* 0: the family has no query_pre_attn_scalar */
    mdl_window_rule_t window_rule;
    int64_t n_window; /* 0: no window where the key is absent */
    double theta, local_theta;
} mdl_family_t;

typedef struct {
    const char *path;
    const json_t *root;
    const mdl_family_t *family;
    mdl_error_t *err;
} mdl_config_reader_t;

/* Finds the family that model_type names and refuses what none of the families computes. */
int mdl_family_read(mdl_config_reader_t *reader, mdl_model_config_t *config);

/* n_window and is_local, after the sizes. */
int mdl_windows_read(const mdl_config_reader_t *reader, mdl_model_config_t *config);

/* rope and rope_local, after the windows; lowers n_max_position for longrope. */
int mdl_rope_read(const mdl_config_reader_t *reader, mdl_model_config_t *config);

/* Fails with: key is value, this engine knows known. */
int mdl_config_refuse(const mdl_config_reader_t *reader, const char *key, const char *value,
                      const char *known);

/* A whole number in 1 .. max; fallback stands for a key that is absent or null (0: required). */
int mdl_config_size(const mdl_config_reader_t *reader, const char *key, int64_t fallback,
                    int64_t max, int64_t *size);

/* A finite number above 0 in object; fallback stands for a key that is absent or null
 * (0: required). */
int mdl_config_positive(const mdl_config_reader_t *reader, const json_t *object, const char *key,
                        double fallback, double *number);

/* true or false; fallback when absent or null. */
int mdl_config_flag(const mdl_config_reader_t *reader, const char *key, int fallback, int *flag);

#endif
