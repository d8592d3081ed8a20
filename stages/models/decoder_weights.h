/* The weights behind mdl_decoder_t, for the files of this folder alone. */
#ifndef MDL_MODELS_DECODER_WEIGHTS_H
#define MDL_MODELS_DECODER_WEIGHTS_H

#include "models/decoder.h"
#include "models/linear.h"
#include "models/shards.h"

/* Norms' weights are what the norm multiplies by, 1 + w where the file holds w. Matrices (void) are
 * of the backend's type, float32 or bfloat16. */
typedef struct {
    float *norm_attention;        /* [d] */
    float *norm_mlp;              /* [d] */
    float *norm_attention_output; /* [d]; NULL unless output_normed */
    float *norm_mlp_output;       /* [d]; NULL unless output_normed */
    float *norm_q, *norm_k;       /* [n_head_feat]; NULL unless head_normed */
    void *weight[MDL_N_GROUP];    /* the group's matrices one below the other [n_out, n_in] */
    float *bias_qkv;              /* [n_out of the group]; NULL unless qkv_biased */
} mdl_block_weights_t;

struct mdl_decoder {
    mdl_model_config_t config;
    float *frequency;       /* [n_head_feat / 2], radians a position */
    float *frequency_local; /* [n_head_feat / 2], of the local blocks; part of frequency */

    const mdl_backend_t *backend;
    mdl_shards_t *shards;       /* of the blocks' matrices; NULL: they are whole */
    void *storage;              /* the backend's, all of the below that isn't in shards */
    void *embedding;            /* [n_vocab, d] */
    void *head;                 /* [n_vocab, d]; the embedding when tied */
    float *norm;                /* [d] */
    mdl_block_weights_t *block; /* [n_layer] */
};

/* Operations called from now on find the matrices of block layer, where they are sharded, and next,
 * the one after or before it, is fetched meanwhile; none where there is no such block. Those of
 * other blocks aren't there. Not collective. */
void mdl_decoder_use(const mdl_decoder_t *decoder, int64_t layer, int64_t next);

#endif
