/* Predicted cost of training with a language model. */
#ifndef MDL_MODELS_NATIVE_COST_H
#define MDL_MODELS_NATIVE_COST_H

#include "core/error.h"
#include "io/study.h"

/* Seconds of one rank for the alignment run at ratio 1. */
typedef struct {
    double text, visual; /* of all texts; of one visual token of every image */
} mdl_native_cost_t;

/* Predicts what training with this language model takes on a processor: 4 floating-point operations
 * a weight and position (forward and the gradient of the activations, the weights being frozen),
 * and 2 more for the weights by which activation checkpointing multiplies again, over a third of
 * the rate of a matrix product of the model's shape, measured here in some milliseconds. Reads
 * config.json and the corpus. Not collective. */
int mdl_native_cost(const mdl_study_t *study, const mdl_study_language_t *language,
                    mdl_native_cost_t *cost, mdl_error_t *err);

#endif
