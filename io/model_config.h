/* The part of a Hugging Face config.json that the decoder needs. */
#ifndef MDL_IO_MODEL_CONFIG_H
#define MDL_IO_MODEL_CONFIG_H

#include "core/error.h"

#include <stdint.h>

typedef enum { MDL_ROPE_DEFAULT, MDL_ROPE_LLAMA3 } mdl_rope_type_t;

typedef struct {
    mdl_rope_type_t type;
    double theta;               /* base of the frequencies */
    double factor;              /* llama3: low frequencies are divided by it */
    double low_freq_factor;     /* llama3: waves longer than n_original_position / this are low */
    double high_freq_factor;    /* llama3: waves shorter than n_original_position / this stay */
    double n_original_position; /* llama3: context length before the scaling */
} mdl_rope_config_t;

typedef struct {
    char model_type[32];    /* llama */
    int64_t n_vocab;        /* vocab_size */
    int64_t n_feat;         /* hidden_size, "d" in comments */
    int64_t n_mlp_feat;     /* intermediate_size, "f" */
    int64_t n_layer;        /* num_hidden_layers */
    int64_t n_head;         /* num_attention_heads */
    int64_t n_kv_head;      /* num_key_value_heads; divides n_head */
    int64_t n_head_feat;    /* head_dim; even */
    int64_t n_max_position; /* max_position_embeddings */
    double norm_eps;        /* rms_norm_eps */
    int tied_head;          /* 1: the output head is the token embedding */
    int64_t bos_id, eos_id; /* the first one where the file lists several; -1: none */
    mdl_rope_config_t rope;
} mdl_model_config_t;

/* Reads and checks the config.json at path: sizes positive and bounded, heads divide, only what
 * the engine computes (model_type, hidden_act, rope type, biases) accepted; everything else is
 * refused by name. Not collective. Returns MDL_E_MISSING, MDL_E_IO or MDL_E_INPUT. */
int mdl_model_config_read(const char *path, mdl_model_config_t *config, mdl_error_t *err);

/* Number of weights of the decoder that config describes; for plans of memory and time. */
int64_t mdl_model_config_n_weight(const mdl_model_config_t *config);

#endif
