/* A group of frozen linear layers over one input, with the LoRA of those that have it. */
#ifndef MDL_MODELS_ADAPTED_LINEAR_H
#define MDL_MODELS_ADAPTED_LINEAR_H

#include "models/adapter.h"
#include "models/decoder_weights.h"

typedef struct {
    const mdl_backend_t *backend; /* whose memory all of the below is */
    const void *weight;           /* [n_out, n_in], frozen */
    const float *bias;            /* [n_out], frozen; NULL: none */
    int64_t n_in, n_out;
    int n_lora;        /* layers of the group with LoRA; 0: none */
    int64_t rank;      /* r */
    float scale;       /* alpha / r */
    const float *a;    /* [n_lora * r, n_in] */
    float *da;         /* its gradient */
    const float *b[3]; /* [n_lora_out, r] each */
    float *db[3];      /* their gradients */
    int64_t at[3];     /* first output column of each layer */
    int64_t n_lora_out[3];
} mdl_adapted_linear_t;

/* Looks up the weights and parameters of one group of one block; borrows both. */
mdl_adapted_linear_t mdl_adapted_linear(const mdl_decoder_t *decoder, mdl_adapter_t *adapter,
                                        int64_t layer, mdl_linear_group_t group);

/* out [n_row, n_out] = before + in W' + bias + scale (in A') B', with in [n_row, n_in]; before NULL
 * stands for 0. Leaves in A' in hidden [n_row, n_lora * r]. */
void mdl_adapted_linear_forward(float *out, const float *before, float *hidden, const float *in,
                                const mdl_adapted_linear_t *linear, int64_t n_row);

/* Leaves in A' in hidden as the forward does, and nothing else. */
void mdl_adapted_linear_hidden(float *hidden, const float *in, const mdl_adapted_linear_t *linear,
                               int64_t n_row);

/* din [n_row, n_in] is set to the gradient for in, given dout [n_row, n_out]; the gradients of A
 * and B are added to da and db. hidden is the forward's; dhidden [n_row, n_lora * r] is
 * scratch. */
void mdl_adapted_linear_backward(float *din, float *dhidden, const float *dout, const float *hidden,
                                 const float *in, const mdl_adapted_linear_t *linear,
                                 int64_t n_row);

#endif
