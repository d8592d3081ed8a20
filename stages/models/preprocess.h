/* From an image to the normalised pixels of an encoder, as transformers' Pillow backend or
 * timm on Pillow does it. */
#ifndef MDL_MODELS_PREPROCESS_H
#define MDL_MODELS_PREPROCESS_H

#include "io/image.h"
#include "io/preprocessor_config.h"

/* The size of what comes out, when it is the same for all images; MDL_E_INPUT otherwise. Not
 * collective. */
int mdl_preprocess_size(const mdl_preprocessor_t *preprocessor, int64_t *height, int64_t *width,
                        mdl_error_t *err);

/* Resizes by Pillow's filters (the same 8-bit values), crops the centre and normalises. pixel: [3,
 * height, width] of mdl_preprocess_size. Not collective. Returns MDL_E_INPUT for a shape whose
 * resized image is too large, or MDL_E_MEMORY. */
int mdl_preprocess(const mdl_preprocessor_t *preprocessor, const mdl_image_t *image, float *pixel,
                   mdl_error_t *err);

#endif
