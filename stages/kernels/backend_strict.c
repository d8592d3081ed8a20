#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "kernels/backend_strict.h"

#include "kernels/adam.h"
#include "kernels/cross_entropy.h"
#include "kernels/geglu.h"
#include "kernels/gelu.h"
#include "kernels/head_norm.h"
#include "kernels/linear.h"
#include "kernels/matmul.h"
#include "kernels/rmsnorm.h"
#include "kernels/rope.h"
#include "kernels/rows.h"
#include "kernels/swiglu.h"
#include "kernels/vector.h"

#include <stdio.h>  /* fprintf */
#include <stdlib.h> /* abort, free, realloc */
#include <string.h> /* memcpy, memset */
#include <sys/mman.h>

/* What callers hold are addresses that nobody may touch; the numbers are elsewhere. */
typedef struct {
    char *address; /* [n_byte] without access; NULL: a free entry */
    char *memory;  /* [n_byte] */
    size_t n_byte;
} area_t;

static area_t *areas;
static size_t n_area;

/* The copies of each lane that aren't made yet: as late as they may be, so that an operation before
 * lane_join is noticed. */
static struct {
    int n_copy;
    struct {
        void *to;
        const void *from_host;
        size_t n_byte;
    } copy[MDL_LANE_COPIES];
} lanes[MDL_N_LANE];

static _Noreturn void die(const char *operation, const void *address, size_t n_byte)
{
    fprintf(stderr,
            "strict backend: %s was given %zu bytes at %p, which aren't memory of the backend: a "
            "copy is missing or an array is too short\n",
            operation, n_byte, address);
    abort();
}

void *mdl_strict_find(const char *operation, const void *address, size_t n_byte)
{
    const char *begin = address;
    if (begin == NULL || n_byte == 0)
        return NULL;
    for (size_t i = 0; i < n_area; i++)
        if (areas[i].address != NULL && begin >= areas[i].address &&
            begin < areas[i].address + areas[i].n_byte) {
            size_t at = (size_t)(begin - areas[i].address);
            if (n_byte > areas[i].n_byte - at)
                break;
            return areas[i].memory + at;
        }
    die(operation, address, n_byte);
}

static int new_entry(area_t **entry, mdl_error_t *err)
{
    for (size_t i = 0; i < n_area; i++)
        if (areas[i].address == NULL) {
            *entry = &areas[i];
            return MDL_OK;
        }
    area_t *grown = realloc(areas, (n_area + 1) * sizeof *grown);
    if (grown == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "no memory for the list of areas");
    areas = grown;
    areas[n_area] = (area_t){0};
    *entry = &areas[n_area++];
    return MDL_OK;
}

static int strict_alloc(void *pointer_to_pointer, size_t n_byte, const char *what, mdl_error_t *err)
{
    area_t made = {.n_byte = n_byte > 0 ? n_byte : 1}, *entry = NULL;
    int rc;
    MDL_TRY(new_entry(&entry, err));
    MDL_TRY(mdl_alloc(&made.memory, made.n_byte, 1, what, err));
    void *address = mmap(NULL, made.n_byte, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) {
        free(made.memory);
        return mdl_fail(err, MDL_E_MEMORY, "no addresses for %s (%zu bytes)", what, made.n_byte);
    }
    made.address = address;
    *entry = made;
    memcpy(pointer_to_pointer, &address, sizeof address);
done:
    return rc;
}

static void strict_release(void *memory)
{
    for (size_t i = 0; memory != NULL && i < n_area; i++)
        if (areas[i].address == memory) {
            munmap(areas[i].address, areas[i].n_byte);
            free(areas[i].memory);
            areas[i] = (area_t){0};
            return;
        }
    if (memory != NULL)
        die(__func__, memory, 0);
}

static int strict_upload(void *to, const void *from_host, size_t n_byte, mdl_error_t *err)
{
    (void)err;
    if (n_byte > 0)
        memcpy(mdl_strict_find(__func__, to, n_byte), from_host, n_byte);
    return MDL_OK;
}

static int strict_download(void *to_host, const void *from, size_t n_byte, mdl_error_t *err)
{
    (void)err;
    if (n_byte > 0)
        memcpy(to_host, mdl_strict_find(__func__, from, n_byte), n_byte);
    return MDL_OK;
}

static void strict_copy(void *to, const void *from, size_t n_byte)
{
    if (n_byte > 0)
        memcpy(mdl_strict_find(__func__, to, n_byte), mdl_strict_find(__func__, from, n_byte),
               n_byte);
}

static void strict_zero(void *memory, size_t n_byte)
{
    if (n_byte > 0)
        memset(mdl_strict_find(__func__, memory, n_byte), 0, n_byte);
}

static int strict_host_alloc(void *pointer_to_pointer, size_t n_byte, const char *what,
                             mdl_error_t *err)
{
    void *memory = NULL;
    int rc = mdl_alloc(&memory, n_byte, 1, what, err);
    if (rc == MDL_OK && n_byte > 0)
        memset(memory, 0xff, n_byte);
    memcpy(pointer_to_pointer, &memory, sizeof memory);
    return rc;
}

static void strict_lane_open(int lane)
{
    (void)lane; /* operations are finished when they return */
}

/* Until the copy is made, what it overwrites is no number. */
static void strict_lane_send(int lane, void *to, const void *from_host, size_t n_byte)
{
    int at = lanes[lane].n_copy++;
    if (at == MDL_LANE_COPIES) {
        fprintf(stderr, "strict backend: lane %d was given more than %d copies\n", lane, at);
        abort();
    }
    lanes[lane].copy[at].to = mdl_strict_find(__func__, to, n_byte);
    lanes[lane].copy[at].from_host = from_host;
    lanes[lane].copy[at].n_byte = n_byte;
    if (n_byte > 0)
        memset(lanes[lane].copy[at].to, 0xff, n_byte);
}

static void strict_lane_finish(int lane)
{
    for (int i = 0; i < lanes[lane].n_copy; i++)
        if (lanes[lane].copy[i].n_byte > 0)
            memcpy(lanes[lane].copy[i].to, lanes[lane].copy[i].from_host,
                   lanes[lane].copy[i].n_byte);
    lanes[lane].n_copy = 0;
}

static void strict_matmul_nt(float *out, int64_t ld_out, const float *a, int64_t ld_a,
                             const float *b, int64_t ld_b, int64_t n_row, int64_t n_col,
                             int64_t n_inner, float scale, float keep)
{
    mdl_matmul_nt(ROWS(out, n_row, n_col, ld_out), ld_out, ROWS(a, n_row, n_inner, ld_a), ld_a,
                  ROWS(b, n_col, n_inner, ld_b), ld_b, n_row, n_col, n_inner, scale, keep);
}

static void strict_matmul_nn(float *out, int64_t ld_out, const float *a, int64_t ld_a,
                             const float *b, int64_t ld_b, int64_t n_row, int64_t n_col,
                             int64_t n_inner, float scale, float keep)
{
    mdl_matmul_nn(ROWS(out, n_row, n_col, ld_out), ld_out, ROWS(a, n_row, n_inner, ld_a), ld_a,
                  ROWS(b, n_inner, n_col, ld_b), ld_b, n_row, n_col, n_inner, scale, keep);
}

static void strict_matmul_tn(float *out, int64_t ld_out, const float *a, int64_t ld_a,
                             const float *b, int64_t ld_b, int64_t n_row, int64_t n_col,
                             int64_t n_inner, float scale, float keep)
{
    mdl_matmul_tn(ROWS(out, n_row, n_col, ld_out), ld_out, ROWS(a, n_inner, n_row, ld_a), ld_a,
                  ROWS(b, n_inner, n_col, ld_b), ld_b, n_row, n_col, n_inner, scale, keep);
}

static void strict_linear_forward(float *out, const float *before, const float *in,
                                  const void *weight, const float *bias, int64_t n_row,
                                  int64_t n_out, int64_t n_in)
{
    mdl_linear_forward(AT(out, n_row * n_out), AT(before, n_row * n_out), AT(in, n_row * n_in),
                       AT((const float *)weight, n_out * n_in), AT(bias, n_out), n_row, n_out,
                       n_in);
}

static void strict_linear_backward(float *din, const float *dout, const void *weight, int64_t n_row,
                                   int64_t n_out, int64_t n_in)
{
    mdl_linear_backward(AT(din, n_row * n_in), AT(dout, n_row * n_out),
                        AT((const float *)weight, n_out * n_in), n_row, n_out, n_in);
}

static void strict_rmsnorm_forward(float *out, float *inverse, const float *in, const float *weight,
                                   int64_t n_row, int64_t n_feat, float eps)
{
    mdl_rmsnorm_forward(AT(out, n_row * n_feat), AT(inverse, n_row), AT(in, n_row * n_feat),
                        AT(weight, n_feat), n_row, n_feat, eps);
}

static void strict_rmsnorm_backward(float *din, const float *dout, const float *in,
                                    const float *inverse, const float *weight, int64_t n_row,
                                    int64_t n_feat)
{
    mdl_rmsnorm_backward(AT(din, n_row * n_feat), AT(dout, n_row * n_feat), AT(in, n_row * n_feat),
                         AT(inverse, n_row), AT(weight, n_feat), n_row, n_feat);
}

static void strict_head_norm_forward(float *x, float *plain, float *inverse, const float *weight,
                                     int64_t n_row, int64_t n_head, int64_t n_head_feat,
                                     int64_t ld_x, int64_t ld_plain, int64_t ld_inverse, float eps)
{
    int64_t n_col = n_head * n_head_feat;
    mdl_head_norm_forward(ROWS(x, n_row, n_col, ld_x), ROWS(plain, n_row, n_col, ld_plain),
                          ROWS(inverse, n_row, n_head, ld_inverse), AT(weight, n_head_feat), n_row,
                          n_head, n_head_feat, ld_x, ld_plain, ld_inverse, eps);
}

static void strict_head_norm_backward(float *dx, const float *plain, const float *inverse,
                                      const float *weight, int64_t n_row, int64_t n_head,
                                      int64_t n_head_feat, int64_t ld_dx, int64_t ld_plain,
                                      int64_t ld_inverse)
{
    int64_t n_col = n_head * n_head_feat;
    mdl_head_norm_backward(ROWS(dx, n_row, n_col, ld_dx), ROWS(plain, n_row, n_col, ld_plain),
                           ROWS(inverse, n_row, n_head, ld_inverse), AT(weight, n_head_feat), n_row,
                           n_head, n_head_feat, ld_dx, ld_plain, ld_inverse);
}

static void strict_rope_forward(float *x, const float *cosine, const float *sine, int64_t n_row,
                                int64_t n_head, int64_t n_head_feat, int64_t ld_x)
{
    int64_t n_table = n_row * (n_head_feat / 2);
    mdl_rope_forward(ROWS(x, n_row, n_head * n_head_feat, ld_x), AT(cosine, n_table),
                     AT(sine, n_table), n_row, n_head, n_head_feat, ld_x);
}

static void strict_rope_backward(float *dx, const float *cosine, const float *sine, int64_t n_row,
                                 int64_t n_head, int64_t n_head_feat, int64_t ld_dx)
{
    int64_t n_table = n_row * (n_head_feat / 2);
    mdl_rope_backward(ROWS(dx, n_row, n_head * n_head_feat, ld_dx), AT(cosine, n_table),
                      AT(sine, n_table), n_row, n_head, n_head_feat, ld_dx);
}

/* The shape with an address that can be read in place of its begin. */
static mdl_attention_t readable(const mdl_attention_t *shape, int64_t n_row)
{
    mdl_attention_t made = *shape;
    made.begin = AT(shape->begin, n_row);
    return made;
}

static void strict_attention_forward(float *out, float *log_sum, float *scratch, const float *qkv,
                                     const mdl_attention_t *shape, int64_t first, int64_t n_row,
                                     int64_t ld_log_sum)
{
    int64_t n_seen = first + n_row;
    const mdl_attention_t inside = readable(shape, n_seen);
    mdl_attention_forward(AT(out, n_seen * shape->n_head * shape->n_head_feat),
                          ROWS(log_sum, shape->n_head, n_seen, ld_log_sum),
                          AT(scratch, mdl_attention_n_scratch(shape, n_seen)),
                          AT(qkv, n_seen * shape->ld_qkv), &inside, first, n_row, ld_log_sum);
}

static void strict_attention_each(float *out, float *log_sum, float *scratch, const float *qkv,
                                  const mdl_attention_t *shape, const int32_t *at, int64_t n_row,
                                  int64_t ld_log_sum)
{
    const int32_t *positions = AT(at, n_row);
    for (int64_t i = 0; i < n_row; i++)
        strict_attention_forward(out, log_sum, scratch, qkv, shape, positions[i], 1, ld_log_sum);
}

static void strict_attention_backward(float *dqkv, float *scratch, const float *dout,
                                      const float *out, const float *log_sum, const float *qkv,
                                      const mdl_attention_t *shape, int64_t n_row,
                                      int64_t ld_log_sum)
{
    int64_t n_value = n_row * shape->n_head * shape->n_head_feat;
    const mdl_attention_t inside = readable(shape, n_row);
    mdl_attention_backward(AT(dqkv, n_row * shape->ld_qkv),
                           AT(scratch, mdl_attention_n_scratch(shape, n_row)), AT(dout, n_value),
                           AT(out, n_value), ROWS(log_sum, shape->n_head, n_row, ld_log_sum),
                           AT(qkv, n_row * shape->ld_qkv), &inside, n_row, ld_log_sum);
}

static void strict_swiglu_forward(float *out, const float *in, int64_t n_row, int64_t n_feat)
{
    mdl_swiglu_forward(AT(out, n_row * n_feat), AT(in, 2 * n_row * n_feat), n_row, n_feat);
}

static void strict_swiglu_backward(float *din, const float *dout, const float *in, int64_t n_row,
                                   int64_t n_feat)
{
    mdl_swiglu_backward(AT(din, 2 * n_row * n_feat), AT(dout, n_row * n_feat),
                        AT(in, 2 * n_row * n_feat), n_row, n_feat);
}

static void strict_geglu_forward(float *out, const float *in, int64_t n_row, int64_t n_feat)
{
    mdl_geglu_forward(AT(out, n_row * n_feat), AT(in, 2 * n_row * n_feat), n_row, n_feat);
}

static void strict_geglu_backward(float *din, const float *dout, const float *in, int64_t n_row,
                                  int64_t n_feat)
{
    mdl_geglu_backward(AT(din, 2 * n_row * n_feat), AT(dout, n_row * n_feat),
                       AT(in, 2 * n_row * n_feat), n_row, n_feat);
}

static void strict_gelu_forward(float *out, const float *in, int64_t n_value)
{
    mdl_gelu_forward(AT(out, n_value), AT(in, n_value), n_value);
}

static void strict_gelu_backward(float *din, const float *dout, const float *in, int64_t n_value)
{
    mdl_gelu_backward(AT(din, n_value), AT(dout, n_value), AT(in, n_value), n_value);
}

static void strict_rows_set(float *x, const float *bias, int64_t n_row, int64_t n_feat)
{
    mdl_rows_set(AT(x, n_row * n_feat), AT(bias, n_feat), n_row, n_feat);
}

static void strict_rows_add_scaled(float *x, const float *y, const float *scale, int64_t n_row,
                                   int64_t n_feat)
{
    mdl_rows_add_scaled(AT(x, n_row * n_feat), AT(y, n_row * n_feat), AT(scale, n_feat), n_row,
                        n_feat);
}

static void strict_rows_sum(float *sum, const float *x, int64_t n_row, int64_t n_feat)
{
    mdl_rows_sum(AT(sum, n_feat), AT(x, n_row * n_feat), n_row, n_feat);
}

/* Rows that the list names must be the backend's up to the last one named. */
static int64_t n_named(const int32_t *row, int64_t n_row)
{
    int64_t n = row != NULL ? 0 : n_row;
    for (int64_t i = 0; row != NULL && i < n_row; i++)
        n = row[i] >= n ? row[i] + 1 : n;
    return n;
}

static void strict_rows_move(float *out, const int32_t *to, const float *in, const int32_t *from,
                             int64_t n_row, int64_t n_feat, float scale)
{
    const int32_t *to_row = AT(to, n_row), *from_row = AT(from, n_row);
    mdl_rows_move(AT(out, n_named(to_row, n_row) * n_feat), to_row,
                  AT(in, n_named(from_row, n_row) * n_feat), from_row, n_row, n_feat, scale);
}

static void strict_rows_embed(float *out, const int32_t *to, const void *table, const int32_t *from,
                              int64_t n_row, int64_t n_feat, float scale)
{
    const int32_t *to_row = AT(to, n_row), *from_row = AT(from, n_row);
    mdl_rows_embed(AT(out, n_named(to_row, n_row) * n_feat), to_row,
                   AT((const float *)table, n_named(from_row, n_row) * n_feat), from_row, n_row,
                   n_feat, scale);
}

static void strict_rows_largest(int32_t *at, const float *x, int64_t n_row, int64_t n_feat)
{
    mdl_rows_largest(AT(at, n_row), AT(x, n_row * n_feat), n_row, n_feat);
}

static void strict_cross_entropy_forward(double *loss_sum, float *log_sum, const float *logit,
                                         const int32_t *target, int64_t n_row, int64_t n_class)
{
    mdl_cross_entropy_forward(AT(loss_sum, 1), AT(log_sum, n_row), AT(logit, n_row * n_class),
                              AT(target, n_row), n_row, n_class);
}

static void strict_cross_entropy_backward(float *dlogit, const float *logit, const float *log_sum,
                                          const int32_t *target, int64_t n_row, int64_t n_class,
                                          float scale)
{
    mdl_cross_entropy_backward(AT(dlogit, n_row * n_class), AT(logit, n_row * n_class),
                               AT(log_sum, n_row), AT(target, n_row), n_row, n_class, scale);
}

static void strict_vector_add(float *x, const float *y, int64_t n)
{
    mdl_vector_add(AT(x, n), AT(y, n), n);
}

static void strict_vector_scale(float *x, float factor, int64_t n)
{
    mdl_vector_scale(AT(x, n), factor, n);
}

static int strict_vector_square_sum(double *sum, const float *x, int64_t n, mdl_error_t *err)
{
    (void)err;
    *sum = mdl_vector_square_sum(AT(x, n), n);
    return MDL_OK;
}

static void strict_adam_step(float *param, const float *grad, float *m, float *v, int64_t n_param,
                             int64_t step, double lr, double beta1, double beta2, double eps)
{
    mdl_adam_step(AT(param, n_param), AT(grad, n_param), AT(m, n_param), AT(v, n_param), n_param,
                  step, lr, beta1, beta2, eps);
}

static const mdl_backend_t strict = {
    .name = "strict",
    .room = &mdl_backend_room_cpu,
    .alloc = strict_alloc,
    .release = strict_release,
    .upload = strict_upload,
    .download = strict_download,
    .copy = strict_copy,
    .zero = strict_zero,
    .host_alloc = strict_host_alloc,
    .host_release = free,
    .lane_open = strict_lane_open,
    .lane_send = strict_lane_send,
    .lane_join = strict_lane_finish,
    .lane_wait = strict_lane_finish,
    .matmul_nt = strict_matmul_nt,
    .matmul_nn = strict_matmul_nn,
    .matmul_tn = strict_matmul_tn,
    .linear_forward = strict_linear_forward,
    .linear_backward = strict_linear_backward,
    .rmsnorm_forward = strict_rmsnorm_forward,
    .rmsnorm_backward = strict_rmsnorm_backward,
    .head_norm_forward = strict_head_norm_forward,
    .head_norm_backward = strict_head_norm_backward,
    .rope_forward = strict_rope_forward,
    .rope_backward = strict_rope_backward,
    .attention_forward = strict_attention_forward,
    .attention_each = strict_attention_each,
    .attention_backward = strict_attention_backward,
    .layernorm_forward = mdl_strict_layernorm_forward,
    .rope_pairs_forward = mdl_strict_rope_pairs_forward,
    .full_attention_forward = mdl_strict_full_attention_forward,
    .patches = mdl_strict_patches,
    .depthwise_conv_forward = mdl_strict_depthwise_conv_forward,
    .swiglu_forward = strict_swiglu_forward,
    .swiglu_backward = strict_swiglu_backward,
    .geglu_forward = strict_geglu_forward,
    .geglu_backward = strict_geglu_backward,
    .gelu_forward = strict_gelu_forward,
    .gelu_backward = strict_gelu_backward,
    .gelu_tanh_forward = mdl_strict_gelu_tanh_forward,
    .gelu_quick_forward = mdl_strict_gelu_quick_forward,
    .rows_set = strict_rows_set,
    .rows_add_scaled = strict_rows_add_scaled,
    .rows_sum = strict_rows_sum,
    .rows_mean = mdl_strict_rows_mean,
    .rows_move = strict_rows_move,
    .rows_embed = strict_rows_embed,
    .rows_largest = strict_rows_largest,
    .cross_entropy_forward = strict_cross_entropy_forward,
    .cross_entropy_backward = strict_cross_entropy_backward,
    .vector_add = strict_vector_add,
    .vector_scale = strict_vector_scale,
    .vector_square_sum = strict_vector_square_sum,
    .adam_step = strict_adam_step,
};

const mdl_backend_t *mdl_backend_strict(void)
{
    return &strict;
}
