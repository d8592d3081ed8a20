/* Predicted memory of training with a language model. */
#ifndef MDL_MODELS_NATIVE_MEMORY_H
#define MDL_MODELS_NATIVE_MEMORY_H

#include "core/error.h"
#include "io/study.h"

/* Bytes of one rank. */
typedef struct {
    double host, gpu; /* gpu: 0 where the trainer computes on the processor */
} mdl_native_memory_t;

/* Predicts what a rank of a group of n_rank holds, beside features and corpus, while it trains
 * candidates with this language model, whose images have n_visual visual tokens of n_vision_feat
 * features: weights; what is trained with its gradients and moments; the activations of the longest
 * sample or pack. on_host: it computes on the processor. Reads config.json and the corpus. Not
 * collective. */
int mdl_native_memory(const mdl_study_t *study, const mdl_study_language_t *language,
                      int64_t n_visual, int64_t n_vision_feat, int on_host, int n_rank,
                      mdl_native_memory_t *memory, mdl_error_t *err);

#endif
