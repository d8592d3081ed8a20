/* The weights behind mdl_decoder_t, for the files of this folder alone. */
#ifndef MDL_MODELS_DECODER_WEIGHTS_H
#define MDL_MODELS_DECODER_WEIGHTS_H

#include "models/decoder.h"
#include "models/linear.h"

typedef struct {
    float *norm_attention;      /* [d] */
    float *norm_mlp;            /* [d] */
    float *weight[MDL_N_GROUP]; /* the group's matrices one below the other [n_out, n_in] */
} mdl_block_weights_t;

struct mdl_decoder {
    mdl_model_config_t config;
    float *storage;             /* all of the below in one allocation */
    float *embedding;           /* [n_vocab, d] */
    float *head;                /* [n_vocab, d]; the embedding when tied */
    float *norm;                /* [d] */
    float *frequency;           /* [n_head_feat / 2], radians a position */
    mdl_block_weights_t *block; /* [n_layer] */
};

#endif
