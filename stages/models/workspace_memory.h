/* The memory behind mdl_workspace_t, for the files of this folder alone.
 * T is max_length, d the decoder's width, f the width of its MLP, r the LoRA rank. */
#ifndef MDL_MODELS_WORKSPACE_MEMORY_H
#define MDL_MODELS_WORKSPACE_MEMORY_H

#include "kernels/attention.h"
#include "models/adapted_linear.h"
#include "models/decoder_weights.h"
#include "models/workspace.h"

/* Rows of logits that are held at once. A constant: it decides in what order sums are made. */
enum { MDL_LOGIT_ROWS = 32 };

/* What one block keeps from the forward for the backward pass; its qkv is the key-value cache.
 * Arrays of norms that the decoder doesn't have are empty. */
typedef struct {
    float *in;                /* [T, d] the residual stream before the block */
    float *inverse_attention; /* [T] of the norm */
    float *normed_attention;  /* [T, d] */
    float *qkv;               /* [T, (n_head + 2 n_kv_head) n_head_feat], q and k rotated */
    float *plain_qk;          /* [T, (n_head + n_kv_head) n_head_feat] before the heads' norms */
    float *inverse_qk;        /* [T, n_head + n_kv_head] of the heads' norms */
    float *log_sum;           /* [n_head, T] */
    float *attended;          /* [T, n_head n_head_feat] */
    float *attention_output;  /* [T, d] before its norm */
    float *inverse_attention_output; /* [T] */
    float *middle;                   /* [T, d] the residual stream after attention */
    float *inverse_mlp;              /* [T] */
    float *normed_mlp;               /* [T, d] */
    float *gate_up;                  /* [T, 2 f] */
    float *activated;                /* [T, f] */
    float *mlp_output;               /* [T, d] before its norm */
    float *inverse_mlp_output;       /* [T] */
    float *hidden[MDL_N_GROUP];      /* [T, n_lora r] input of the group times A' */
    const float *cosine, *sine;      /* [T, n_head_feat / 2], the workspace's */
    mdl_attention_t attention;
    mdl_adapted_linear_t linear[MDL_N_GROUP];
} mdl_block_memory_t;

struct mdl_workspace {
    const mdl_decoder_t *decoder;
    mdl_adapter_t *adapter;
    int64_t max_length;
    mdl_block_memory_t *block; /* [n_layer] */
    float *storage;            /* all of the below and the blocks' arrays in one allocation */

    float *cosine[2], *sine[2]; /* [T, n_head_feat / 2]; 1: of the local blocks, where there are */
    float *projected;           /* [T, d] feature W1' + b1 */
    float *gelu;                /* [T, d] */
    float *out;                 /* [T, d] the residual stream after the last block */
    float *inverse;             /* [T] of the final norm */
    float *normed;              /* [T, d] last hidden states */

    float *picked;  /* [MDL_LOGIT_ROWS, d] hidden states of the rows whose logits are wanted */
    float *logit;   /* [MDL_LOGIT_ROWS, n_vocab] */
    float *log_sum; /* [MDL_LOGIT_ROWS] */
    float *score;   /* [T, T] */

    float *dscore;     /* [T, T] */
    float *dstream;    /* [T, d] gradient for the residual stream, in place through the blocks */
    float *dnormed;    /* [T, d] */
    float *dqkv;       /* [T, (n_head + 2 n_kv_head) n_head_feat] */
    float *dattended;  /* [T, n_head n_head_feat] */
    float *dgate_up;   /* [T, 2 f] */
    float *dactivated; /* [T, f] */
    float *dhidden;    /* [T, 3 r] */
    float *output;     /* [T, d] of attention or MLP after its norm, or the gradient before it */
    float *head;       /* [(n_head + n_kv_head) n_head_feat] one position's gradient for q and k */
};

#endif
