/* A frozen language model, shared by all candidates that use it. */
#ifndef MDL_MODELS_DECODER_H
#define MDL_MODELS_DECODER_H

#include "core/error.h"
#include "io/model_config.h"
#include "kernels/backend.h"

#include <mpi.h>
#include <stddef.h>

typedef struct mdl_decoder mdl_decoder_t;

/* Loads config.json and model.safetensors (or the shards that model.safetensors.index.json
 * lists) from folder. Weights go to backend's memory, matrices as bfloat16 where it keeps them so
 * and all else as float32; where that isn't the host's, one tensor at a time passes through the
 * host's. Freed by mdl_decoder_free. Not collective.
 * Returns MDL_E_MISSING, MDL_E_IO, MDL_E_INPUT (naming the tensor that is missing, doubled, of a
 * wrong shape or not finite) or MDL_E_MEMORY. */
int mdl_decoder_load(const mdl_backend_t *backend, const char *folder, mdl_decoder_t **decoder,
                     mdl_error_t *err);

/* The same with the blocks' matrices shared out over the ranks of comm (models/shards.h): each
 * reads and keeps its part alone, and the decoder computes what a whole one computes, bit by bit.
 * Norms, biases, embedding and head are whole on every rank. Collective over comm; a failure of one
 * rank is everyone's. Freed on all ranks together. */
int mdl_decoder_load_sharded(const mdl_backend_t *backend, MPI_Comm comm, const char *folder,
                             mdl_decoder_t **decoder, mdl_error_t *err);

/* What the weights take on one rank, in bytes. */
typedef struct {
    size_t n_backend; /* of the backend's memory */
    size_t n_host;    /* beside it, of the host's */
} mdl_decoder_memory_t;

/* For plans: of a whole decoder (n_rank 0), or of one that is sharded over n_rank ranks; on_host
 * and bfloat16 as in mdl_backend_t. Not collective. */
mdl_decoder_memory_t mdl_decoder_memory(const mdl_model_config_t *config, int bfloat16, int on_host,
                                        int n_rank);

/* Where the weights are. */
const mdl_backend_t *mdl_decoder_backend(const mdl_decoder_t *decoder);

/* The sizes of the model; borrowed. */
const mdl_model_config_t *mdl_decoder_config(const mdl_decoder_t *decoder);

/* NULL is allowed. Collective over the ranks that a decoder is sharded over, which keep it until
 * all of them are here. */
void mdl_decoder_free(mdl_decoder_t *decoder);

#endif
