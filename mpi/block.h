/* Contiguous block distribution of items over ranks. */
#ifndef MDL_MPI_BLOCK_H
#define MDL_MPI_BLOCK_H

#include <stdint.h>

/* The half-open range [*first, *end) of n items that part (of n_part) owns; sizes differ by at most
 * one. Not collective. */
void mdl_block_range(int64_t n, int n_part, int part, int64_t *first, int64_t *end);

#endif
