/* Random numbers that are a function of what they are for, not of who draws them. */
#ifndef MDL_MODELS_RANDOM_UNIFORM_H
#define MDL_MODELS_RANDOM_UNIFORM_H

#include <stdint.h>

/* Sets out [n_value] to numbers uniform in [-bound, bound), each a function of (seed, stream,
 * index) by Philox 4x32-10 (Salmon et al. 2011, SC '11). Not collective. */
void mdl_random_uniform(float *out, int64_t n_value, float bound, uint64_t seed, uint64_t stream);

#endif
