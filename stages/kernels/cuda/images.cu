#include "kernels/cuda/operations.h"
#include "kernels/cuda/tools.cuh"

namespace mdl::engine
{

/* A thread a number of a patch. */
__global__ void cut_patches(float *out, const float *image, mdl_image_layout_t layout,
                            int64_t patch)
{
    int64_t number = thread_of_all(), n_column = layout.width / patch;
    int64_t x = number % patch, y = number / patch % patch;
    int64_t channel = number / (patch * patch) % layout.n_channel;
    int64_t place = number / (patch * patch * layout.n_channel);
    int64_t row = place / n_column, column = place % n_column;
    if (row >= layout.height / patch)
        return;
    out[number] = image[channel * layout.channel_step + (row * patch + y) * layout.row_step +
                        (column * patch + x) * layout.column_step];
}

/* A thread a number of the output, so that neighbours are channels of a place. */
__global__ void convolve_depthwise(float *out, const float *in, const float *weight,
                                   const float *bias, int64_t height, int64_t width,
                                   int64_t n_channel, int64_t width_k)
{
    int64_t number = thread_of_all(), channel = number % n_channel;
    int64_t column = number / n_channel % width, row = number / n_channel / width;
    if (row >= height)
        return;
    float sum = bias[channel];
    for (int64_t k = 0; k < width_k * width_k; k++) {
        int64_t from_row = row + k / width_k - width_k / 2;
        int64_t from_column = column + k % width_k - width_k / 2;
        if (from_row >= 0 && from_row < height && from_column >= 0 && from_column < width)
            sum += weight[k * n_channel + channel] *
                   in[(from_row * width + from_column) * n_channel + channel];
    }
    out[number] = sum;
}

void patches(float *out, const float *image, const mdl_image_layout_t *layout, int64_t patch)
{
    int64_t n_patch = (layout->height / patch) * (layout->width / patch);
    launch_each(__func__, n_patch * layout->n_channel * patch * patch, cut_patches, out, image,
                *layout, patch);
}

void depthwise_conv_forward(float *out, const float *in, const float *weight, const float *bias,
                            int64_t height, int64_t width, int64_t n_channel, int64_t width_k)
{
    launch_each(__func__, height * width * n_channel, convolve_depthwise, out, in, weight, bias,
                height, width, n_channel, width_k);
}

} // namespace mdl::engine
