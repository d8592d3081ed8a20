#include "kernels/backend_room.h"

static int64_t cuda_attention_n_scratch(const mdl_attention_t *shape, int64_t n_row)
{
    return shape->n_head * n_row; /* the backward's means */
}

const mdl_backend_room_t mdl_backend_room_cpu = {.n_logit_row = 32,
                                                 .attention_n_scratch = mdl_attention_n_scratch};
const mdl_backend_room_t mdl_backend_room_cuda = {.n_logit_row = 1024,
                                                  .attention_n_scratch = cuda_attention_n_scratch};
