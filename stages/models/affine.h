/* Weights with a bias, and what vision encoders do with them. */
#ifndef MDL_MODELS_AFFINE_H
#define MDL_MODELS_AFFINE_H

#include "io/vision_config.h"
#include "models/tensor_list.h"

/* Memory of a backend. */
typedef struct {
    void *weight; /* a linear layer's [n_out, n_in] as the backend keeps frozen matrices, or a
                     norm's [n_feat] of float32; NULL: there is no such layer */
    float *bias;  /* [n_out], [n_feat]; NULL: none */
} mdl_affine_t;

/* Asks for the tensors NAME.weight and NAME.bias of a norm [n_feat], NAME given by format. */
void mdl_affine_want_norm(mdl_tensor_list_t *list, mdl_affine_t *norm, int64_t n_feat,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The same of a linear layer [n_out, n_in]. */
void mdl_affine_want_linear(mdl_tensor_list_t *list, mdl_affine_t *linear, int64_t n_out,
                            int64_t n_in, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* The layer that has the rows of linear from first on. */
mdl_affine_t mdl_affine_from_row(const mdl_backend_t *backend, const mdl_affine_t *linear,
                                 int64_t first, int64_t n_in);

/* out [n_row, n_out] = in [n_row, n_in] weight' + bias. */
void mdl_affine_linear(const mdl_backend_t *backend, float *out, const float *in,
                       const mdl_affine_t *linear, int64_t n_row, int64_t n_out, int64_t n_in);

/* Layer norm of in [n_row, n_feat]; out may be in. */
void mdl_affine_norm(const mdl_backend_t *backend, float *out, const float *in,
                     const mdl_affine_t *norm, int64_t n_row, int64_t n_feat, double eps);

/* out [n_value] = the activation of in [n_value]. */
void mdl_activation_forward(const mdl_backend_t *backend, float *out, const float *in,
                            int64_t n_value, mdl_vision_activation_t activation);

#endif
