/* How fast each pair of a head's features turns with the position. */
#ifndef MDL_MODELS_ROPE_FREQUENCY_H
#define MDL_MODELS_ROPE_FREQUENCY_H

#include "io/model_config.h"

/* frequency [n_head_feat / 2] in radians a position: theta^(-2i/n_head_feat); linear: divided by
 * factor; llama3: with the long waves stretched (Llama 3.1's rope scaling); longrope: divided by
 * short_factor; all as in Hugging Face transformers. */
void mdl_rope_frequency(const mdl_rope_config_t *rope, int64_t n_head_feat, float *frequency);

#endif
