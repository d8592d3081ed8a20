/* The memory behind mdl_workspace_t, for the files of this folder alone.
 * T is max_length, d the decoder's width, f the width of its MLP, r the LoRA rank, L n_logit_row of
 * the backend's room. */
#ifndef MDL_MODELS_WORKSPACE_MEMORY_H
#define MDL_MODELS_WORKSPACE_MEMORY_H

#include "kernels/attention.h"
#include "models/adapted_linear.h"
#include "models/decoder_weights.h"
#include "models/workspace.h"

/* What one block leaves in the forward for the backward pass; its qkv is the key-value cache. What
 * isn't kept (mdl_workspace_keep_t) is the same arrays in all blocks: those of the last one that
 * was computed. Arrays of norms that the decoder doesn't have are empty. */
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
    const mdl_backend_t *backend; /* the decoder's and the adapter's */
    const mdl_decoder_t *decoder;
    mdl_adapter_t *adapter;
    int64_t max_length;
    mdl_workspace_keep_t keep;
    mdl_block_memory_t *block; /* [n_layer] */
    int32_t *list;             /* [2, T] in the host's memory, on the way to the lists below */
    float *storage;            /* the backend's: all of the below and the blocks' arrays */

    int32_t *token, *token_at;   /* [T] the ids of a sample's tokens, and their positions */
    int32_t *target, *target_at; /* [T] the scored ones, and the positions that predict them */
    int32_t *position, *begin;   /* [T] of a pack's rows: in their samples, and where those begin */
    int32_t *visual_at;          /* [T] the rows of the visual tokens */
    int32_t *kept_at;            /* [T] where the keys and values of next positions are kept */
    int32_t *best;               /* [L] the most probable tokens */
    double *loss;                /* [1] */
    float *feature;              /* [T, n_vision_feat] */

    float *cosine[2], *sine[2]; /* [T, n_head_feat / 2]; 1: of the local blocks, where there are */
    float *pack_cosine[2], *pack_sine[2]; /* the same at the positions of a pack's rows */
    float *visual;                        /* [T, d] the visual tokens, or the gradient for them */
    float *projected;                     /* [T, d] feature W1' + b1 */
    float *gelu;                          /* [T, d] */
    float *out;                           /* [T, d] the residual stream after the last block */
    float *inverse;                       /* [T] of the final norm */
    float *normed;                        /* [T, d] last hidden states */

    float *picked;  /* [L, d] hidden states of the rows whose logits are wanted */
    float *logit;   /* [L, n_vocab] */
    float *log_sum; /* [L] */
    float *scratch; /* attention's */

    float *dstream;    /* [T, d] gradient for the residual stream, in place through the blocks */
    float *dnormed;    /* [T, d] */
    float *dqkv;       /* [T, (n_head + 2 n_kv_head) n_head_feat] */
    float *dattended;  /* [T, n_head n_head_feat] */
    float *dgate_up;   /* [T, 2 f] */
    float *dactivated; /* [T, f] */
    float *dhidden;    /* [T, 3 r] */
    float *output;     /* [T, d] of attention or MLP after its norm, or the gradient before it */
};

#endif
