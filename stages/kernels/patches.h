/* An image as rows of patches, so that a convolution whose stride is its width is a product. */
#ifndef MDL_KERNELS_PATCHES_H
#define MDL_KERNELS_PATCHES_H

#include <stdint.h>

typedef struct {
    int64_t n_channel, height, width;
    int64_t channel_step, row_step, column_step; /* distance of two neighbours in memory */
} mdl_image_layout_t;

/* out [(height / patch) * (width / patch), n_channel * patch * patch]: the patches row by row, each
 * as [channel, y, x]; what is left over at the lower and right edge is dropped. */
void mdl_patches(float *out, const float *image, const mdl_image_layout_t *layout, int64_t patch);

#endif
