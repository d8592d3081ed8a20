/* What a backend asks of the memory that its users lay out. Also of one that this build or machine
 * lacks: plans for GPUs are made anywhere. */
#ifndef MDL_KERNELS_BACKEND_ROOM_H
#define MDL_KERNELS_BACKEND_ROOM_H

#include "kernels/attention.h"

#include <stdint.h>

typedef struct {
    int64_t n_logit_row; /* rows of logits that are best held at once; decides the order of sums */
    /* Numbers of scratch that the functions of kernels/attention.h need for up to n_row
     * positions. */
    int64_t (*attention_n_scratch)(const mdl_attention_t *shape, int64_t n_row);
} mdl_backend_room_t;

extern const mdl_backend_room_t mdl_backend_room_cpu, mdl_backend_room_cuda;

#endif
