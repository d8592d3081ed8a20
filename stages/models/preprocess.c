#include "models/preprocess.h"

#include <math.h>
#include <stdlib.h>

/* Pillow keeps weights as whole numbers of 2^-22. */
enum { WEIGHT_BITS = 22 };

/* How one axis is resampled: out [i] = sum of weight [i * n_most + k] * in [first [i] + k], k below
 * count [i]. */
typedef struct {
    int64_t n_most;
    int64_t *first, *count;
    int32_t *weight;
} axis_t;

/* Keys' cubic with a = -0.5, and the triangle. */
static double kernel(double x, int bicubic)
{
    x = fabs(x);
    if (!bicubic)
        return x < 1 ? 1 - x : 0;
    if (x < 1)
        return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

static void free_axis(axis_t *axis)
{
    free(axis->first);
    free(axis->count);
    free(axis->weight);
}

/* The weights of target i, normalised and rounded. */
static void weigh(axis_t *axis, int64_t i, int64_t n_in, double scale, double support, int bicubic,
                  double *real)
{
    double widening = scale > 1 ? scale : 1, centre = ((double)i + 0.5) * scale, sum = 0;
    int64_t first = (int64_t)(centre - support + 0.5), end = (int64_t)(centre + support + 0.5);
    first = first < 0 ? 0 : first;
    end = end > n_in ? n_in : end;
    axis->first[i] = first;
    axis->count[i] = end - first;
    for (int64_t k = 0; k < end - first; k++) {
        real[k] = kernel(((double)(k + first) - centre + 0.5) * (1.0 / widening), bicubic);
        sum += real[k];
    }
    for (int64_t k = 0; k < end - first; k++) {
        double share = sum != 0 ? real[k] / sum : real[k];
        double fixed = share * (double)(1 << WEIGHT_BITS);
        axis->weight[i * axis->n_most + k] = (int32_t)(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    }
}

static int make_axis(axis_t *axis, int64_t n_in, int64_t n_out, int bicubic, mdl_error_t *err)
{
    double scale = (double)n_in / (double)n_out;
    double support = (bicubic ? 2.0 : 1.0) * (scale > 1 ? scale : 1);
    double *real = NULL;
    int rc = MDL_OK;
    axis->n_most = (int64_t)ceil(support) * 2 + 1;
    MDL_TRY(mdl_alloc(&axis->first, (size_t)n_out, sizeof *axis->first, "a resize", err));
    MDL_TRY(mdl_alloc(&axis->count, (size_t)n_out, sizeof *axis->count, "a resize", err));
    MDL_TRY(mdl_alloc(&axis->weight, (size_t)(n_out * axis->n_most), sizeof *axis->weight,
                      "a resize", err));
    MDL_TRY(mdl_alloc(&real, (size_t)axis->n_most, sizeof *real, "a resize", err));
    for (int64_t i = 0; i < n_out; i++)
        weigh(axis, i, n_in, scale, support, bicubic, real);
done:
    free(real);
    return rc;
}

/* out [n_out] of values that are step apart, from in likewise; one colour of one row or column. */
static void resample(const axis_t *axis, uint8_t *out, const uint8_t *in, int64_t n_out,
                     int64_t step_out, int64_t step_in)
{
    for (int64_t i = 0; i < n_out; i++) {
        const int32_t *weight = axis->weight + i * axis->n_most;
        const uint8_t *x = in + axis->first[i] * step_in;
        int64_t sum = 1 << (WEIGHT_BITS - 1);
        for (int64_t k = 0; k < axis->count[i]; k++)
            sum += (int64_t)weight[k] * x[k * step_in];
        sum = sum < 0 ? 0 : sum >> WEIGHT_BITS;
        out[i * step_out] = (uint8_t)(sum > 255 ? 255 : sum);
    }
}

static void resample_rows(const axis_t *across, uint8_t *out, const uint8_t *in, int64_t n_row,
                          int64_t n_out, int64_t n_in)
{
    for (int64_t y = 0; y < n_row; y++)
        for (int64_t c = 0; c < 3; c++)
            resample(across, out + y * n_out * 3 + c, in + y * n_in * 3 + c, n_out, 3, 3);
}

static void resample_columns(const axis_t *down, uint8_t *out, const uint8_t *in, int64_t n_column,
                             int64_t n_out)
{
    for (int64_t x = 0; x < n_column * 3; x++)
        resample(down, out + x, in + x, n_out, n_column * 3, n_column * 3);
}

/* Rounded between the two axes. As in Pillow 13, columns go first where an image loses more than
 * twice as many rows as columns (versions before it always began with the rows). */
static int resize(const mdl_image_t *image, int64_t height, int64_t width, int bicubic,
                  mdl_image_t *resized, mdl_error_t *err)
{
    axis_t across = {0}, down = {0};
    uint8_t *middle = NULL;
    int rc = MDL_OK;
    int64_t n_less = image->height - height;
    int columns_first = n_less > 0 && n_less > 2 * (image->width - width);
    *resized = (mdl_image_t){.height = height, .width = width};
    MDL_TRY(make_axis(&across, image->width, width, bicubic, err));
    MDL_TRY(make_axis(&down, image->height, height, bicubic, err));
    MDL_TRY(mdl_alloc(&middle, (size_t)(columns_first ? height : image->height),
                      (size_t)(columns_first ? image->width : width) * 3, "a resize", err));
    MDL_TRY(mdl_alloc(&resized->rgb, (size_t)height, (size_t)width * 3, "a resize", err));
    if (columns_first) {
        resample_columns(&down, middle, image->rgb, image->width, height);
        resample_rows(&across, resized->rgb, middle, height, width, image->width);
    } else {
        resample_rows(&across, middle, image->rgb, image->height, width, image->width);
        resample_columns(&down, resized->rgb, middle, width, height);
    }
done:
    free(middle);
    free_axis(&across);
    free_axis(&down);
    return rc;
}

int mdl_preprocess_size(const mdl_preprocessor_t *preprocessor, int64_t *height, int64_t *width,
                        mdl_error_t *err)
{
    int crops = preprocessor->crop_height > 0;
    *height = crops ? preprocessor->crop_height : preprocessor->height;
    *width = crops ? preprocessor->crop_width : preprocessor->width;
    int64_t inner_height = crops ? preprocessor->height : *height;
    int64_t inner_width = crops ? preprocessor->width : *width;
    int64_t edge = preprocessor->shortest_edge;
    if (*height == 0)
        return mdl_fail(err, MDL_E_INPUT,
                        "the preprocessor resizes the shortest edge and doesn't crop: images of "
                        "different shapes would have different numbers of patches");
    if (edge > 0 ? *height > edge || *width > edge : *height > inner_height || *width > inner_width)
        return mdl_fail(err, MDL_E_INPUT, "the preprocessor crops more than it leaves");
    return MDL_OK;
}

/* What a crop leaves out at the top or left: 3 / 2 is 1, or rounded to even 2. */
static int64_t half(int64_t difference, int rounds)
{
    return difference / 2 + (rounds && difference % 4 == 3);
}

int mdl_preprocess(const mdl_preprocessor_t *preprocessor, const mdl_image_t *image, float *pixel,
                   mdl_error_t *err)
{
    int64_t height, width, edge = preprocessor->shortest_edge;
    int64_t to_height = preprocessor->height, to_width = preprocessor->width;
    mdl_image_t resized = {0};
    int rc = MDL_OK;
    MDL_TRY(mdl_preprocess_size(preprocessor, &height, &width, err));
    if (edge > 0) {
        int tall = image->height > image->width;
        to_width = tall ? edge : edge * image->width / image->height;
        to_height = tall ? edge * image->height / image->width : edge;
    }
    if (to_height * to_width > MDL_IMAGE_MAX_PIXEL)
        MDL_TRY(mdl_fail(err, MDL_E_INPUT, "an image of %lld x %lld pixels is too long to resize",
                         (long long)image->width, (long long)image->height));
    MDL_TRY(resize(image, to_height, to_width, preprocessor->bicubic, &resized, err));
    int64_t top = half(to_height - height, preprocessor->crop_rounds);
    int64_t left = half(to_width - width, preprocessor->crop_rounds);
    for (int64_t c = 0; c < 3; c++) {
        double mean = preprocessor->mean[c], deviation = preprocessor->deviation[c];
        for (int64_t y = 0; y < height; y++) {
            const uint8_t *row = resized.rgb + ((top + y) * to_width + left) * 3 + c;
            for (int64_t x = 0; x < width; x++)
                *pixel++ = (float)((row[3 * x] * preprocessor->rescale - mean) / deviation);
        }
    }
done:
    free(resized.rgb);
    return rc;
}
