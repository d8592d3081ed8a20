/* Where the engine computes: a table of operations on memory of its own, one for each kind of
 * device. What an operation computes is told by the header that its type names; every pointer to
 * numbers that it takes is memory of the backend, of which the host knows the addresses alone.
 * Operations run in the order of their calls; upload and download wait for those before them. A
 * failure of a device is reported by the next call that returns an error.
 * A process works on one device at a time. Not collective, all of it. */
#ifndef MDL_KERNELS_BACKEND_H
#define MDL_KERNELS_BACKEND_H

#include "core/error.h"
#include "kernels/attention.h"
#include "kernels/backend_room.h"
#include "kernels/full_attention.h"
#include "kernels/patches.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes of what names a link. */
enum { MDL_LINK_NAME = 128 };

/* Lanes, whose copies can be on their way beside operations, and the copies of a lane at a time. */
enum { MDL_N_LANE = 2, MDL_LANE_COPIES = 3 };

typedef void mdl_matmul_f(float *out, int64_t ld_out, const float *a, int64_t ld_a, const float *b,
                          int64_t ld_b, int64_t n_row, int64_t n_col, int64_t n_inner, float scale,
                          float keep);

typedef struct {
    const char *name;
    int on_host;  /* its memory is the host's, so that values needn't be copied there */
    int bfloat16; /* frozen matrices are of bfloat16, and so are the factors of their products */
    const mdl_backend_room_t *room;

    /* n_byte zeroed bytes; what names them in the message of MDL_E_MEMORY. */
    int (*alloc)(void *pointer_to_pointer, size_t n_byte, const char *what, mdl_error_t *err);
    void (*release)(void *memory); /* NULL is allowed */
    int (*upload)(void *to, const void *from_host, size_t n_byte, mdl_error_t *err);
    int (*download)(void *to_host, const void *from, size_t n_byte, mdl_error_t *err);
    void (*copy)(void *to, const void *from, size_t n_byte);
    void (*zero)(void *memory, size_t n_byte);

    /* Copies from the host's memory beside operations; all NULL where the backend's memory is the
     * host's. host_alloc: as alloc, but not zeroed, memory of the host that lane_send copies from
     * best; what it copies from mustn't change before lane_wait.
     * lane_open: the lane's next copies come after all operations called so far. lane_join: all
     * operations called from now on come after the lane's copies, MDL_LANE_COPIES since lane_open
     * at most. lane_wait: so does the host. */
    int (*host_alloc)(void *pointer_to_pointer, size_t n_byte, const char *what, mdl_error_t *err);
    void (*host_release)(void *memory); /* NULL is allowed */
    void (*lane_open)(int lane);
    void (*lane_send)(int lane, void *to, const void *from_host, size_t n_byte);
    void (*lane_join)(int lane);
    void (*lane_wait)(int lane);

    /* kernels/matmul.h */
    mdl_matmul_f *matmul_nt, *matmul_nn, *matmul_tn;
    /* kernels/linear.h */
    void (*linear_forward)(float *out, const float *before, const float *in, const void *weight,
                           const float *bias, int64_t n_row, int64_t n_out, int64_t n_in);
    void (*linear_backward)(float *din, const float *dout, const void *weight, int64_t n_row,
                            int64_t n_out, int64_t n_in);
    /* kernels/rmsnorm.h */
    void (*rmsnorm_forward)(float *out, float *inverse, const float *in, const float *weight,
                            int64_t n_row, int64_t n_feat, float eps);
    void (*rmsnorm_backward)(float *din, const float *dout, const float *in, const float *inverse,
                             const float *weight, int64_t n_row, int64_t n_feat);
    /* kernels/head_norm.h */
    void (*head_norm_forward)(float *x, float *plain, float *inverse, const float *weight,
                              int64_t n_row, int64_t n_head, int64_t n_head_feat, int64_t ld_x,
                              int64_t ld_plain, int64_t ld_inverse, float eps);
    void (*head_norm_backward)(float *dx, const float *plain, const float *inverse,
                               const float *weight, int64_t n_row, int64_t n_head,
                               int64_t n_head_feat, int64_t ld_dx, int64_t ld_plain,
                               int64_t ld_inverse);
    /* kernels/rope.h */
    void (*rope_forward)(float *x, const float *cosine, const float *sine, int64_t n_row,
                         int64_t n_head, int64_t n_head_feat, int64_t ld_x);
    void (*rope_backward)(float *dx, const float *cosine, const float *sine, int64_t n_row,
                          int64_t n_head, int64_t n_head_feat, int64_t ld_dx);
    /* kernels/attention.h; shape is host memory, its begin the backend's */
    void (*attention_forward)(float *out, float *log_sum, float *scratch, const float *qkv,
                              const mdl_attention_t *shape, int64_t first, int64_t n_row,
                              int64_t ld_log_sum);
    void (*attention_each)(float *out, float *log_sum, float *scratch, const float *qkv,
                           const mdl_attention_t *shape, const int32_t *at, int64_t n_row,
                           int64_t ld_log_sum);
    void (*attention_backward)(float *dqkv, float *scratch, const float *dout, const float *out,
                               const float *log_sum, const float *qkv, const mdl_attention_t *shape,
                               int64_t n_row, int64_t ld_log_sum);
    /* kernels/layernorm.h */
    void (*layernorm_forward)(float *out, const float *in, const float *weight, const float *bias,
                              int64_t n_row, int64_t n_feat, float eps);
    /* kernels/rope_pairs.h */
    void (*rope_pairs_forward)(float *x, const float *cosine, const float *sine, int64_t n_row,
                               int64_t n_head, int64_t n_head_feat, int64_t ld_x);
    /* kernels/full_attention.h; shape is host memory */
    void (*full_attention_forward)(float *out, float *score, const float *q, const float *k,
                                   const float *v, const mdl_full_attention_t *shape);
    /* kernels/patches.h, kernels/depthwise_conv.h; layout is host memory */
    void (*patches)(float *out, const float *image, const mdl_image_layout_t *layout,
                    int64_t patch);
    void (*depthwise_conv_forward)(float *out, const float *in, const float *weight,
                                   const float *bias, int64_t height, int64_t width,
                                   int64_t n_channel, int64_t width_k);
    /* kernels/swiglu.h, kernels/geglu.h, kernels/gelu.h, kernels/gelu_quick.h */
    void (*swiglu_forward)(float *out, const float *in, int64_t n_row, int64_t n_feat);
    void (*swiglu_backward)(float *din, const float *dout, const float *in, int64_t n_row,
                            int64_t n_feat);
    void (*geglu_forward)(float *out, const float *in, int64_t n_row, int64_t n_feat);
    void (*geglu_backward)(float *din, const float *dout, const float *in, int64_t n_row,
                           int64_t n_feat);
    void (*gelu_forward)(float *out, const float *in, int64_t n_value);
    void (*gelu_backward)(float *din, const float *dout, const float *in, int64_t n_value);
    void (*gelu_tanh_forward)(float *out, const float *in, int64_t n_value);
    void (*gelu_quick_forward)(float *out, const float *in, int64_t n_value);
    /* kernels/rows.h */
    void (*rows_set)(float *x, const float *bias, int64_t n_row, int64_t n_feat);
    void (*rows_add_scaled)(float *x, const float *y, const float *scale, int64_t n_row,
                            int64_t n_feat);
    void (*rows_sum)(float *sum, const float *x, int64_t n_row, int64_t n_feat);
    void (*rows_mean)(float *out, const float *x, int64_t n_row, int64_t n_feat);
    void (*rows_move)(float *out, const int32_t *to, const float *in, const int32_t *from,
                      int64_t n_row, int64_t n_feat, float scale);
    void (*rows_embed)(float *out, const int32_t *to, const void *table, const int32_t *from,
                       int64_t n_row, int64_t n_feat, float scale);
    void (*rows_largest)(int32_t *at, const float *x, int64_t n_row, int64_t n_feat);
    /* kernels/cross_entropy.h */
    void (*cross_entropy_forward)(double *loss_sum, float *log_sum, const float *logit,
                                  const int32_t *target, int64_t n_row, int64_t n_class);
    void (*cross_entropy_backward)(float *dlogit, const float *logit, const float *log_sum,
                                   const int32_t *target, int64_t n_row, int64_t n_class,
                                   float scale);
    /* kernels/vector.h; *sum is host memory, and is waited for */
    void (*vector_add)(float *x, const float *y, int64_t n);
    void (*vector_scale)(float *x, float factor, int64_t n);
    int (*vector_square_sum)(double *sum, const float *x, int64_t n, mdl_error_t *err);
    /* kernels/adam.h */
    void (*adam_step)(float *param, const float *grad, float *m, float *v, int64_t n_param,
                      int64_t step, double lr, double beta1, double beta2, double eps);

    /* Passes numbers between the backends of n_rank ranks without the hosts' memory; all NULL where
     * that isn't possible. One rank makes a name, all open the link by it, together. x [n] goes to
     * rank to and y [n] comes from rank from, which call it together; -1: nobody. */
    int (*link_name)(char name[MDL_LINK_NAME], mdl_error_t *err);
    int (*link_open)(void **link, const char *name, int rank, int n_rank, mdl_error_t *err);
    void (*link_close)(void *link);
    int (*link_pass)(void *link, const float *x, int to, float *y, int from, int64_t n,
                     mdl_error_t *err);
} mdl_backend_t;

/* The processor; its memory is the host's. */
const mdl_backend_t *mdl_backend_cpu(void);
const mdl_backend_t *mdl_backend_cpu_bfloat16(void);

/* The processor with memory that only its operations reach: the host can't read or write at its
 * addresses, and an operation ends the program when it is given another address or too few bytes
 * behind it. Shows missing copies on any machine; for tests. */
const mdl_backend_t *mdl_backend_strict(void);

/* GPU number device, below mdl_device_count, from now on the one of this process. Returns
 * MDL_E_USAGE without one, MDL_E_INTERNAL naming CUDA's error. */
int mdl_backend_cuda(int device, int bfloat16, const mdl_backend_t **backend, mdl_error_t *err);

#endif
