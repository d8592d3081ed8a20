/* The vision features of a corpus's samples, out of the archive, standardised and in memory. */
#ifndef MDL_MODELS_FEATURES_H
#define MDL_MODELS_FEATURES_H

#include "io/archive_file.h"
#include "io/corpus_file.h"

#include <stdint.h>

typedef struct {
    char content_digest[MDL_DIGEST_SIZE]; /* of the archive */
    int64_t n_image;                      /* images that the corpus names */
    int64_t n_visual, n_feat;             /* visual tokens of an image, features of a token */
    float *value;                         /* [n_image, n_visual, n_feat] */
    int64_t *image;                       /* [n_sample], row of value for each sample */
} mdl_features_t;

/* Reads the features of all images that corpus names from the archive at path, matched by id, and
 * standardises each column: less its mean, over its standard deviation, both taken over the images
 * of the train samples in float64 and in the archive's row order; a column that is constant there
 * becomes 0. A two-dimensional archive gives one visual token an image.
 * Freed by mdl_features_free. Not collective.
 * Returns MDL_E_MISSING, MDL_E_INPUT (naming an image that the archive lacks), MDL_E_MEMORY. */
int mdl_features_read(const char *path, const mdl_corpus_t *corpus, mdl_features_t **features,
                      mdl_error_t *err);

/* The visual tokens of an image, and the features of one, in the archive at path, without reading
 * its rows. Not collective. Returns MDL_E_MISSING or MDL_E_INPUT. */
int mdl_features_shape(const char *path, int64_t *n_visual, int64_t *n_feat, mdl_error_t *err);

/* NULL is allowed. */
void mdl_features_free(mdl_features_t *features);

/* The features [n_visual, n_feat] of a sample; borrowed. */
const float *mdl_features_of(const mdl_features_t *features, int64_t sample);

#endif
