#define _DEFAULT_SOURCE /* madvise */
#include "kernels/backend.h"

#include "kernels/adam.h"
#include "kernels/cross_entropy.h"
#include "kernels/depthwise_conv.h"
#include "kernels/geglu.h"
#include "kernels/gelu.h"
#include "kernels/gelu_quick.h"
#include "kernels/head_norm.h"
#include "kernels/layernorm.h"
#include "kernels/linear.h"
#include "kernels/matmul.h"
#include "kernels/rmsnorm.h"
#include "kernels/rope.h"
#include "kernels/rope_pairs.h"
#include "kernels/rows.h"
#include "kernels/swiglu.h"
#include "kernels/vector.h"

#include <stdlib.h> /* free */
#include <string.h> /* memcpy, memset */
#include <sys/mman.h>

/* From here on memory is asked for in large pages. */
enum { LARGE_BYTES = 32 << 20 };

/* Asks for large pages, of which a model's weights take a few hundred where small ones would be
 * many thousand faults; advice alone, so that a failure is no error. */
static void ask_for_large_pages(void *memory, size_t n_byte)
{
    const uintptr_t large = (uintptr_t)2 << 20;
    uintptr_t begin = ((uintptr_t)memory + large - 1) / large * large;
    uintptr_t end = ((uintptr_t)memory + n_byte) / large * large;
    if (end > begin)
        madvise((void *)begin, end - begin, MADV_HUGEPAGE);
}

static int cpu_alloc(void *pointer_to_pointer, size_t n_byte, const char *what, mdl_error_t *err)
{
    void *memory;
    int rc = mdl_alloc(&memory, n_byte, 1, what, err);
    if (rc == MDL_OK && n_byte >= LARGE_BYTES)
        ask_for_large_pages(memory, n_byte);
    memcpy(pointer_to_pointer, &memory, sizeof memory);
    return rc;
}

static int cpu_copy_checked(void *to, const void *from, size_t n_byte, mdl_error_t *err)
{
    (void)err;
    if (n_byte > 0)
        memcpy(to, from, n_byte);
    return MDL_OK;
}

static void cpu_copy(void *to, const void *from, size_t n_byte)
{
    memcpy(to, from, n_byte);
}

static void cpu_zero(void *memory, size_t n_byte)
{
    memset(memory, 0, n_byte);
}

static int cpu_square_sum(double *sum, const float *x, int64_t n, mdl_error_t *err)
{
    (void)err;
    *sum = mdl_vector_square_sum(x, n);
    return MDL_OK;
}

static const mdl_backend_t cpu = {
    .name = "cpu",
    .on_host = 1,
    .room = &mdl_backend_room_cpu,
    .alloc = cpu_alloc,
    .release = free,
    .upload = cpu_copy_checked,
    .download = cpu_copy_checked,
    .copy = cpu_copy,
    .zero = cpu_zero,
    .matmul_nt = mdl_matmul_nt,
    .matmul_nn = mdl_matmul_nn,
    .matmul_tn = mdl_matmul_tn,
    .linear_forward = mdl_linear_forward,
    .linear_backward = mdl_linear_backward,
    .rmsnorm_forward = mdl_rmsnorm_forward,
    .rmsnorm_backward = mdl_rmsnorm_backward,
    .head_norm_forward = mdl_head_norm_forward,
    .head_norm_backward = mdl_head_norm_backward,
    .rope_forward = mdl_rope_forward,
    .rope_backward = mdl_rope_backward,
    .attention_forward = mdl_attention_forward,
    .attention_each = mdl_attention_each,
    .attention_backward = mdl_attention_backward,
    .layernorm_forward = mdl_layernorm_forward,
    .rope_pairs_forward = mdl_rope_pairs_forward,
    .full_attention_forward = mdl_full_attention_forward,
    .patches = mdl_patches,
    .depthwise_conv_forward = mdl_depthwise_conv_forward,
    .swiglu_forward = mdl_swiglu_forward,
    .swiglu_backward = mdl_swiglu_backward,
    .geglu_forward = mdl_geglu_forward,
    .geglu_backward = mdl_geglu_backward,
    .gelu_forward = mdl_gelu_forward,
    .gelu_backward = mdl_gelu_backward,
    .gelu_tanh_forward = mdl_gelu_tanh_forward,
    .gelu_quick_forward = mdl_gelu_quick_forward,
    .rows_set = mdl_rows_set,
    .rows_add_scaled = mdl_rows_add_scaled,
    .rows_sum = mdl_rows_sum,
    .rows_mean = mdl_rows_mean,
    .rows_move = mdl_rows_move,
    .rows_embed = mdl_rows_embed,
    .rows_largest = mdl_rows_largest,
    .cross_entropy_forward = mdl_cross_entropy_forward,
    .cross_entropy_backward = mdl_cross_entropy_backward,
    .vector_add = mdl_vector_add,
    .vector_scale = mdl_vector_scale,
    .vector_square_sum = cpu_square_sum,
    .adam_step = mdl_adam_step,
};

const mdl_backend_t *mdl_backend_cpu(void)
{
    return &cpu;
}

const mdl_backend_t *mdl_backend_cpu_bfloat16(void)
{
    static mdl_backend_t made;
    made = cpu;
    made.bfloat16 = 1;
    made.linear_forward = mdl_linear_forward_bfloat16;
    made.linear_backward = mdl_linear_backward_bfloat16;
    made.rows_embed = mdl_rows_embed_bfloat16;
    return &made;
}
