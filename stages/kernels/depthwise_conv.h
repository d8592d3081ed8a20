/* Convolution of each channel by itself. */
#ifndef MDL_KERNELS_DEPTHWISE_CONV_H
#define MDL_KERNELS_DEPTHWISE_CONV_H

#include <stdint.h>

/* out [height, width, n_channel] = bias + sum over y, x of weight [width_k, width_k, n_channel] *
 * in [height, width, n_channel], centred, zeros outside; width_k is odd. */
void mdl_depthwise_conv_forward(float *out, const float *in, const float *weight, const float *bias,
                                int64_t height, int64_t width, int64_t n_channel, int64_t width_k);

#endif
