/* Features of a vision encoder on images as an archive file. */
#ifndef MDL_ARCHIVE_EXTRACT_VISION_H
#define MDL_ARCHIVE_EXTRACT_VISION_H

#include "archive/archive.h"
#include "archive/image_source.h"

typedef struct {
    const char *model;
    const char *checkpoint;       /* folder of the encoder */
    const mdl_backend_t *backend; /* where it computes */
    mdl_image_source_t *images;
    int64_t layer;       /* a block from 1, or from -1 backwards; 0: the last but one, of ConvNeXt
                            the last */
    const char *pooling; /* mean | cls | patches */
    const char *out;     /* the archive file */
} mdl_extract_vision_t;

/* Encodes the images, dealt to ranks, and writes the archive file; says so and does nothing when
 * the file is there and current; prints the plan under --dry-run. Rows that were finished when an
 * earlier run ended are kept in a journal beside the file (io/row_journal.h) and not computed
 * again. Collective over stage->comm; tally counts what it did. Returns MDL_E_INPUT for an encoder
 * or an image that can't be taken, MDL_E_MISSING, MDL_E_IO, MDL_E_MEMORY, or MDL_E_AGAIN when it
 * was told to stop. */
int mdl_extract_features(mdl_stage_t *stage, const mdl_extract_vision_t *extract,
                         mdl_archive_tally_t *tally, mdl_error_t *err);

#endif
