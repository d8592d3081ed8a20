/* The CUDA bodies of the operations of kernels/backend.h, which tells what each computes. */
#ifndef MDL_KERNELS_CUDA_OPERATIONS_H
#define MDL_KERNELS_CUDA_OPERATIONS_H

extern "C" {
#include "kernels/backend.h"
}

namespace mdl::engine
{

/* link_nccl.cu or link_none.cu: what links GPUs, NULL where NCCL wasn't found. */
struct links {
    int (*name)(char name[MDL_LINK_NAME], mdl_error_t *err);
    int (*open)(void **link, const char *name, int rank, int n_rank, mdl_error_t *err);
    void (*close)(void *link);
    int (*pass)(void *link, const float *x, int to, float *y, int from, int64_t n,
                mdl_error_t *err);
};
const links &available_links();

/* memory.cu */
int alloc(void *pointer_to_pointer, size_t n_byte, const char *what, mdl_error_t *err);
void release(void *memory);
int upload(void *to, const void *from_host, size_t n_byte, mdl_error_t *err);
int download(void *to_host, const void *from, size_t n_byte, mdl_error_t *err);
void copy(void *to, const void *from, size_t n_byte);
void zero(void *memory, size_t n_byte);

/* lanes.cu */
int host_alloc(void *pointer_to_pointer, size_t n_byte, const char *what, mdl_error_t *err);
void host_release(void *memory);
void lane_open(int lane);
void lane_send(int lane, void *to, const void *from_host, size_t n_byte);
void lane_join(int lane);
void lane_wait(int lane);

/* matmul.cu */
mdl_matmul_f matmul_nt, matmul_nn, matmul_tn;
void linear_forward(float *out, const float *before, const float *in, const void *weight,
                    const float *bias, int64_t n_row, int64_t n_out, int64_t n_in);
void linear_backward(float *din, const float *dout, const void *weight, int64_t n_row,
                     int64_t n_out, int64_t n_in);

/* The same where frozen matrices are of bfloat16; products of others take factors of TF32, which
 * have the 8 bits of bfloat16 and 3 more. */
mdl_matmul_f matmul_nt_tf32, matmul_nn_tf32, matmul_tn_tf32;
void linear_forward_bfloat16(float *out, const float *before, const float *in, const void *weight,
                             const float *bias, int64_t n_row, int64_t n_out, int64_t n_in);
void linear_backward_bfloat16(float *din, const float *dout, const void *weight, int64_t n_row,
                              int64_t n_out, int64_t n_in);

/* norm.cu */
void rmsnorm_forward(float *out, float *inverse, const float *in, const float *weight,
                     int64_t n_row, int64_t n_feat, float eps);
void rmsnorm_backward(float *din, const float *dout, const float *in, const float *inverse,
                      const float *weight, int64_t n_row, int64_t n_feat);
void head_norm_forward(float *x, float *plain, float *inverse, const float *weight, int64_t n_row,
                       int64_t n_head, int64_t n_head_feat, int64_t ld_x, int64_t ld_plain,
                       int64_t ld_inverse, float eps);
void head_norm_backward(float *dx, const float *plain, const float *inverse, const float *weight,
                        int64_t n_row, int64_t n_head, int64_t n_head_feat, int64_t ld_dx,
                        int64_t ld_plain, int64_t ld_inverse);

void layernorm_forward(float *out, const float *in, const float *weight, const float *bias,
                       int64_t n_row, int64_t n_feat, float eps);

/* elementwise.cu */
void rope_forward(float *x, const float *cosine, const float *sine, int64_t n_row, int64_t n_head,
                  int64_t n_head_feat, int64_t ld_x);
void rope_backward(float *dx, const float *cosine, const float *sine, int64_t n_row, int64_t n_head,
                   int64_t n_head_feat, int64_t ld_dx);
void rope_pairs_forward(float *x, const float *cosine, const float *sine, int64_t n_row,
                        int64_t n_head, int64_t n_head_feat, int64_t ld_x);
void swiglu_forward(float *out, const float *in, int64_t n_row, int64_t n_feat);
void swiglu_backward(float *din, const float *dout, const float *in, int64_t n_row, int64_t n_feat);
void geglu_forward(float *out, const float *in, int64_t n_row, int64_t n_feat);
void geglu_backward(float *din, const float *dout, const float *in, int64_t n_row, int64_t n_feat);
void gelu_forward(float *out, const float *in, int64_t n_value);
void gelu_backward(float *din, const float *dout, const float *in, int64_t n_value);
void gelu_tanh_forward(float *out, const float *in, int64_t n_value);
void gelu_quick_forward(float *out, const float *in, int64_t n_value);

/* attention.cu, attention_backward.cu */
void attention_forward(float *out, float *log_sum, float *scratch, const float *qkv,
                       const mdl_attention_t *shape, int64_t first, int64_t n_row,
                       int64_t ld_log_sum);
void attention_backward(float *dqkv, float *scratch, const float *dout, const float *out,
                        const float *log_sum, const float *qkv, const mdl_attention_t *shape,
                        int64_t n_row, int64_t ld_log_sum);

/* attention_tensor.cu, attention_tensor_backward.cu */
void attention_each(float *out, float *log_sum, float *scratch, const float *qkv,
                    const mdl_attention_t *shape, const int32_t *at, int64_t n_row,
                    int64_t ld_log_sum);
void attention_forward_bfloat16(float *out, float *log_sum, float *scratch, const float *qkv,
                                const mdl_attention_t *shape, int64_t first, int64_t n_row,
                                int64_t ld_log_sum);
void attention_backward_bfloat16(float *dqkv, float *scratch, const float *dout, const float *out,
                                 const float *log_sum, const float *qkv,
                                 const mdl_attention_t *shape, int64_t n_row, int64_t ld_log_sum);

/* full_attention.cu */
void full_attention_forward(float *out, float *score, const float *q, const float *k,
                            const float *v, const mdl_full_attention_t *shape);

/* images.cu */
void patches(float *out, const float *image, const mdl_image_layout_t *layout, int64_t patch);
void depthwise_conv_forward(float *out, const float *in, const float *weight, const float *bias,
                            int64_t height, int64_t width, int64_t n_channel, int64_t width_k);

/* rows.cu */
void rows_set(float *x, const float *bias, int64_t n_row, int64_t n_feat);
void rows_add_scaled(float *x, const float *y, const float *scale, int64_t n_row, int64_t n_feat);
void rows_sum(float *sum, const float *x, int64_t n_row, int64_t n_feat);
void rows_mean(float *out, const float *x, int64_t n_row, int64_t n_feat);
void rows_move(float *out, const int32_t *to, const float *in, const int32_t *from, int64_t n_row,
               int64_t n_feat, float scale);
void rows_embed(float *out, const int32_t *to, const void *table, const int32_t *from,
                int64_t n_row, int64_t n_feat, float scale);
void rows_embed_bfloat16(float *out, const int32_t *to, const void *table, const int32_t *from,
                         int64_t n_row, int64_t n_feat, float scale);
void rows_largest(int32_t *at, const float *x, int64_t n_row, int64_t n_feat);

/* cross_entropy.cu */
void cross_entropy_forward(double *loss_sum, float *log_sum, const float *logit,
                           const int32_t *target, int64_t n_row, int64_t n_class);
void cross_entropy_backward(float *dlogit, const float *logit, const float *log_sum,
                            const int32_t *target, int64_t n_row, int64_t n_class, float scale);

/* vector.cu */
void vector_add(float *x, const float *y, int64_t n);
void vector_scale(float *x, float factor, int64_t n);
int vector_square_sum(double *sum, const float *x, int64_t n, mdl_error_t *err);
void adam_step(float *param, const float *grad, float *m, float *v, int64_t n_param, int64_t step,
               double lr, double beta1, double beta2, double eps);

} // namespace mdl::engine

#endif
