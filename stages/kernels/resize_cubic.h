/* Cubic interpolation of a grid (Keys 1981, a = -0.75), without a filter when it shrinks: what
 * PyTorch's interpolate(mode="bicubic", align_corners=False) does. */
#ifndef MDL_KERNELS_RESIZE_CUBIC_H
#define MDL_KERNELS_RESIZE_CUBIC_H

#include <stdint.h>

/* out [out_height, out_width, n_channel] = in [height, width, n_channel] resized; the edges are
 * repeated outwards. */
void mdl_resize_cubic(float *out, int64_t out_height, int64_t out_width, const float *in,
                      int64_t height, int64_t width, int64_t n_channel);

#endif
