#include "models/affine.h"

#include "kernels/gelu.h"
#include "kernels/gelu_quick.h"
#include "kernels/layernorm.h"
#include "kernels/matmul.h"
#include "kernels/rows.h"

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
    mdl_tensor_list_want(list, &linear->weight, 2, dims, "%s.weight", name);
    mdl_tensor_list_want(list, &linear->bias, 1, &n_out, "%s.bias", name);
}

void mdl_affine_linear(float *out, const float *in, const mdl_affine_t *linear, int64_t n_row,
                       int64_t n_out, int64_t n_in)
{
    mdl_matmul_nt(out, n_out, in, n_in, linear->weight, n_in, n_row, n_out, n_in, 1.0f, 0.0f);
    if (linear->bias != NULL)
        mdl_rows_add(out, linear->bias, n_row, n_out);
}

void mdl_affine_norm(float *out, const float *in, const mdl_affine_t *norm, int64_t n_row,
                     int64_t n_feat, double eps)
{
    mdl_layernorm_forward(out, in, norm->weight, norm->bias, n_row, n_feat, (float)eps);
}

void mdl_activation_forward(float *out, const float *in, int64_t n_value,
                            mdl_vision_activation_t activation)
{
    if (activation == MDL_GELU)
        mdl_gelu_forward(out, in, n_value);
    else if (activation == MDL_GELU_TANH)
        mdl_gelu_tanh_forward(out, in, n_value);
    else
        mdl_gelu_quick_forward(out, in, n_value);
}
