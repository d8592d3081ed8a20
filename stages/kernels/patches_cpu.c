#include "kernels/patches.h"

void mdl_patches(float *out, const float *image, const mdl_image_layout_t *layout, int64_t patch)
{
    int64_t n_row = layout->height / patch, n_column = layout->width / patch;
    for (int64_t row = 0; row < n_row; row++) {
        for (int64_t column = 0; column < n_column; column++) {
            const float *corner =
                image + row * patch * layout->row_step + column * patch * layout->column_step;
            for (int64_t channel = 0; channel < layout->n_channel; channel++)
                for (int64_t y = 0; y < patch; y++)
                    for (int64_t x = 0; x < patch; x++)
                        *out++ = corner[channel * layout->channel_step + y * layout->row_step +
                                        x * layout->column_step];
        }
    }
}
