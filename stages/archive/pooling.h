/* From a sample's last hidden states to its row in the archive. */
#ifndef MDL_ARCHIVE_POOLING_H
#define MDL_ARCHIVE_POOLING_H

#include "models/sample.h"

typedef enum {
    MDL_POOL_MEAN, /* mean over the scored tokens */
    MDL_POOL_LAST, /* the last token */
    MDL_POOL_ALL   /* every position, zeros behind a sequence that is shorter than the row */
} mdl_pooling_t;

/* The pooling called name: mean, last or all; name is one of them. */
mdl_pooling_t mdl_pooling_find(const char *name);

/* Pools hidden [n_token + n_visual, n_feat] of sample into row: [n_feat], or for MDL_POOL_ALL
 * [n_position, n_feat] with n_position not below the sample's own. The mean is summed in float64
 * in the order of the tokens. Not collective. */
void mdl_pool_hidden(mdl_pooling_t pooling, const mdl_sample_t *sample, const float *hidden,
                     int64_t n_feat, int64_t n_position, float *row);

#endif
