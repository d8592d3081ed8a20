/* The order in which an epoch passes over the train samples. */
#ifndef MDL_MODELS_SAMPLE_ORDER_H
#define MDL_MODELS_SAMPLE_ORDER_H

#include <stdint.h>

/* Sets order [n] to a permutation of 0 .. n-1 that is a function of (seed, epoch, n) alone: the
 * shuffle of Fisher and Yates (Knuth, TAOCP 2, 3.4.2 P) with draws from Philox 4x32-10.
 * Not collective. */
void mdl_sample_order(int64_t *order, int64_t n, uint64_t seed, int64_t epoch);

#endif
