/* Images in an HDF5 file: docs/formats/images.md. */
#ifndef MDL_IO_IMAGE_DATASET_H
#define MDL_IO_IMAGE_DATASET_H

#include "io/image.h"

typedef struct mdl_image_dataset mdl_image_dataset_t;

/* Opens the file at path: /image, uint8 [n, height, width, 3] or [n] PNG or JPEG files as uint8 of
 * variable length, and /sample_id [n]. Closed by mdl_image_dataset_close. Not collective.
 * Returns MDL_E_MISSING, MDL_E_INPUT naming what is there instead, or MDL_E_MEMORY. */
int mdl_image_dataset_open(const char *path, mdl_image_dataset_t **dataset, mdl_error_t *err);

int64_t mdl_image_dataset_count(const mdl_image_dataset_t *dataset);

/* [count], borrowed. */
char **mdl_image_dataset_ids(const mdl_image_dataset_t *dataset);

/* As mdl_image_decode, of the image at index. Not collective. */
int mdl_image_dataset_read(const mdl_image_dataset_t *dataset, int64_t index, mdl_image_t *image,
                           mdl_error_t *err);

/* NULL is allowed. */
void mdl_image_dataset_close(mdl_image_dataset_t *dataset);

#endif
