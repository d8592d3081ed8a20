/* Images from PNG and JPEG files (libpng, libjpeg-turbo). */
#ifndef MDL_IO_IMAGE_H
#define MDL_IO_IMAGE_H

#include "core/error.h"

#include <stdint.h>

enum { MDL_IMAGE_MAX_SIDE = 1 << 15, MDL_IMAGE_MAX_PIXEL = 1 << 26 };

typedef struct {
    int64_t height, width;
    uint8_t *rgb; /* [height, width, 3] */
} mdl_image_t;

/* The image in the n_byte bytes of a PNG or JPEG file, told apart by the first of them, as 8-bit
 * RGB: grey is repeated, a palette looked up, transparency dropped, and no colour profile or
 * orientation applied, as Pillow's convert("RGB"). Larger images than the limits above are refused
 * before memory is asked for. name stands in messages; image->rgb is freed by the caller with free.
 * Not collective. Returns MDL_E_INPUT or MDL_E_MEMORY. */
int mdl_image_decode(const uint8_t *bytes, size_t n_byte, const char *name, mdl_image_t *image,
                     mdl_error_t *err);

/* The same from the file at path. Not collective. Returns MDL_E_MISSING or MDL_E_IO as well. */
int mdl_image_read(const char *path, mdl_image_t *image, mdl_error_t *err);

#endif
