/* How an encoder wants its images: a published preprocessor_config.json, or timm's keys in
 * config.json. */
#ifndef MDL_IO_PREPROCESSOR_CONFIG_H
#define MDL_IO_PREPROCESSOR_CONFIG_H

#include "core/error.h"

#include <stdint.h>

typedef struct {
    int64_t shortest_edge; /* 0: resize to height x width instead */
    int64_t height, width; /* of the resize; 0 with shortest_edge */
    int64_t crop_height;   /* centre crop after it; 0: none */
    int64_t crop_width;
    int crop_rounds; /* an odd difference is halved to the nearest even number (torchvision), not
                        down (transformers) */
    int bicubic;     /* 1: bicubic, 0: bilinear */
    double rescale;
    double mean[3], deviation[3];
} mdl_preprocessor_t;

/* A new string: preprocessor_config.json in folder, or, where there is none, its config.json when
 * that has timm's pretrained_cfg; freed by the caller. Not collective. Returns MDL_E_MISSING,
 * MDL_E_INPUT or MDL_E_MEMORY. */
int mdl_preprocessor_find(const char *folder, char **path, mdl_error_t *err);

/* Reads such a file. Keys that change what is computed and that this engine doesn't know are
 * refused by name. Not collective. Returns MDL_E_MISSING, MDL_E_IO or MDL_E_INPUT. */
int mdl_preprocessor_read(const char *path, mdl_preprocessor_t *preprocessor, mdl_error_t *err);

#endif
