/* The matrices of a decoder's blocks, shared out over the ranks of a group (Rajbhandari et al.
 * 2020, ZeRO, arXiv 1910.02054, stage 3, for weights that are never changed): of each block's
 * matrices, one run of bytes, a rank keeps one part in its host's memory. A block is put together
 * when it is used, in one of two buffers of the backend; meanwhile the next one is on its way.
 *
 * Parts are read by one-sided MPI, so a rank asks for a block whenever it needs it: the others take
 * no part, whether they have more passes to make, fewer, or none. */
#ifndef MDL_MODELS_SHARDS_H
#define MDL_MODELS_SHARDS_H

#include "kernels/backend.h"

#include <mpi.h>
#include <stdint.h>

typedef struct mdl_shards mdl_shards_t;

/* Room for n_layer blocks of n_byte bytes each. Collective over comm. Returns
 * MDL_E_MEMORY on every rank where one has none. */
int mdl_shards_open(const mdl_backend_t *backend, MPI_Comm comm, int64_t n_layer, size_t n_byte,
                    mdl_shards_t **shards, mdl_error_t *err);

/* Waits for the other ranks. NULL is allowed on all of them together. Collective. */
void mdl_shards_close(mdl_shards_t *shards);

/* The bytes [*first, *end) of a block that rank of n_rank keeps; whole multiples of 64 but for the
 * last, so that no value is cut. */
void mdl_shards_part(size_t n_byte, int n_rank, int rank, size_t *first, size_t *end);

/* The same of this rank, and where it keeps them for layer: memory of the host, to be filled before
 * mdl_shards_share. */
char *mdl_shards_own(const mdl_shards_t *shards, int64_t layer, size_t *first, size_t *end);

/* Lets the ranks read each other's parts from now on. Collective over comm, that of open. */
void mdl_shards_share(mdl_shards_t *shards, MPI_Comm comm);

/* Where block layer is while it is used, in the backend's memory; even and odd blocks have a buffer
 * each. Fixed. */
char *mdl_shards_buffer(const mdl_shards_t *shards, int64_t layer);

/* Operations called from now on find block layer in its buffer, and its neighbour next (if there is
 * such a block) is fetched beside them. Not collective. */
void mdl_shards_use(mdl_shards_t *shards, int64_t layer, int64_t next);

/* Bytes that a rank of n_rank takes for n_layer blocks of n_byte bytes: of the backend's memory
 * and, where that isn't the host's, of the host's. */
void mdl_shards_memory(int on_host, int n_rank, int64_t n_layer, size_t n_byte, size_t *n_backend,
                       size_t *n_host);

#endif
