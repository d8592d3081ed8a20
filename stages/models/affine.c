#include "models/affine.h"

#include "kernels/bfloat16.h"

#include <stdarg.h>
#include <stdio.h>

void mdl_affine_want_norm(mdl_tensor_list_t *list, mdl_affine_t *norm, int64_t n_feat,
                          const char *format, ...)
{
    char name[MDL_TENSOR_NAME];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    mdl_tensor_list_want(list, &norm->weight, 1, &n_feat, "%s.weight", name);
    mdl_tensor_list_want(list, &norm->bias, 1, &n_feat, "%s.bias", name);
}

void mdl_affine_want_linear(mdl_tensor_list_t *list, mdl_affine_t *linear, int64_t n_out,
                            int64_t n_in, const char *format, ...)
{
    char name[MDL_TENSOR_NAME];
    const int64_t dims[2] = {n_out, n_in};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    mdl_tensor_list_want_matrix(list, &linear->weight, 2, dims, "%s.weight", name);
    mdl_tensor_list_want(list, &linear->bias, 1, &n_out, "%s.bias", name);
}

mdl_affine_t mdl_affine_from_row(const mdl_backend_t *backend, const mdl_affine_t *linear,
                                 int64_t first, int64_t n_in)
{
    size_t size = backend->bfloat16 ? sizeof(mdl_bfloat16_t) : sizeof(float);
    return (mdl_affine_t){(char *)linear->weight + (size_t)(first * n_in) * size,
                          linear->bias + first};
}

void mdl_affine_linear(const mdl_backend_t *backend, float *out, const float *in,
                       const mdl_affine_t *linear, int64_t n_row, int64_t n_out, int64_t n_in)
{
    backend->linear_forward(out, NULL, in, linear->weight, linear->bias, n_row, n_out, n_in);
}

void mdl_affine_norm(const mdl_backend_t *backend, float *out, const float *in,
                     const mdl_affine_t *norm, int64_t n_row, int64_t n_feat, double eps)
{
    backend->layernorm_forward(out, in, norm->weight, norm->bias, n_row, n_feat, (float)eps);
}

void mdl_activation_forward(const mdl_backend_t *backend, float *out, const float *in,
                            int64_t n_value, mdl_vision_activation_t activation)
{
    if (activation == MDL_GELU)
        backend->gelu_forward(out, in, n_value);
    else if (activation == MDL_GELU_TANH)
        backend->gelu_tanh_forward(out, in, n_value);
    else
        backend->gelu_quick_forward(out, in, n_value);
}
