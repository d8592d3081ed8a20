/* The batch of a decoder's reference: samples with visual tokens at positions 1 .. n_visual. */
#ifndef MDL_MODELS_VERIFY_BATCH_H
#define MDL_MODELS_VERIFY_BATCH_H

#include "io/safetensors.h"
#include "models/sample.h"

typedef struct {
    int64_t n_sample, n_length;      /* rows and padded length of the reference's tensors */
    int64_t n_visual, n_vision_feat; /* of a sample's features */
    int64_t n_scored;                /* tokens of all samples that count in the loss */
    int32_t *token;                  /* [n_sample, n_length] without the visual tokens' places */
    uint8_t *scored;                 /* [n_sample, n_length] */
    float *feature;                  /* [n_sample, n_visual, n_vision_feat] */
    mdl_sample_t *sample;            /* [n_sample] */
} mdl_verify_batch_t;

/* Reads input_ids, attention_mask, labels and features; freed by mdl_verify_batch_free, also
 * after a failure. Not collective. Returns MDL_E_INPUT or MDL_E_MEMORY. */
int mdl_verify_batch_read(const mdl_safetensors_t *reference, mdl_verify_batch_t *batch,
                          mdl_error_t *err);

void mdl_verify_batch_free(mdl_verify_batch_t *batch);

#endif
