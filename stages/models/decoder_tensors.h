/* The tensors that a decoder's checkpoint must hold, and where they go. */
#ifndef MDL_MODELS_DECODER_TENSORS_H
#define MDL_MODELS_DECODER_TENSORS_H

#include "models/decoder_weights.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    char name[96];
    int n_dim;
    int64_t dims[2];
    int bfloat16;     /* kept as such, else as float32 */
    float offset;     /* added to every value */
    int64_t first, n; /* the values that this rank keeps */
    char *out;        /* where they go: the backend's memory, or the host's */
    int on_host;
} mdl_wanted_t;

typedef struct {
    int64_t n;
    mdl_wanted_t *item; /* [n] */
    int bfloat16;       /* how matrices are kept */
    int sharded;        /* blocks' matrices are, in the decoder's shards */
    char *base;         /* the decoder's storage; NULL: only count */
    size_t n_taken;     /* bytes of the storage */
    size_t n_block;     /* bytes of a block's matrices, where they are sharded */
} mdl_wanted_list_t;

/* Lists every tensor and points the decoder's weights at where they will be: in the list's base,
 * and in the decoder's shards once it has them. item has room for mdl_wanted_most. */
void mdl_wanted_list(mdl_wanted_list_t *list, mdl_decoder_t *decoder);
size_t mdl_wanted_most(const mdl_model_config_t *config);

/* Values of the whole tensor, and bytes of a value as it is kept. */
int64_t mdl_wanted_n_value(const mdl_wanted_t *item);
size_t mdl_wanted_size(const mdl_wanted_t *item);

#endif
