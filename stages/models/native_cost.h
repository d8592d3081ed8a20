/* What training with a language model costs: operations, counted, and seconds on this machine. */
#ifndef MDL_MODELS_NATIVE_COST_H
#define MDL_MODELS_NATIVE_COST_H

#include "core/error.h"
#include "io/study.h"

/* Floating-point operations of the alignment run at ratio 1. */
typedef struct {
    double text, visual;           /* of all texts; of one visual token of every image */
    int64_t n_row, n_inner, n_col; /* a matrix product of the model's shape */
} mdl_native_cost_t;

/* Counts what training with this language model takes: 4 floating-point operations a weight and
 * position (forward and the gradient of the activations, the weights being frozen), and 2 more for
 * the weights by which activation checkpointing multiplies again. Reads config.json and the corpus.
 * Not collective. */
int mdl_native_cost(const mdl_study_t *study, const mdl_study_language_t *language,
                    mdl_native_cost_t *cost, mdl_error_t *err);

/* Floating-point operations a second that training reaches on a processor: a third of the rate of a
 * matrix product of the model's shape, measured here in some milliseconds; 0 without memory for it.
 * Not collective. */
double mdl_native_rate(const mdl_native_cost_t *cost);

#endif
