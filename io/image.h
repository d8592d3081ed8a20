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

/* Reads the file at path, told apart by its first bytes, as 8-bit RGB: grey is repeated, a palette
 * looked up, transparency dropped, and no colour profile or orientation applied, as Pillow's
 * convert("RGB"). Larger images than the limits above are refused before memory is asked for.
 * image->rgb is freed by the caller with free. Not collective.
 * Returns MDL_E_MISSING, MDL_E_INPUT or MDL_E_MEMORY. */
int mdl_image_read(const char *path, mdl_image_t *image, mdl_error_t *err);

#endif
