#include "kernels/gelu_quick.h"

#include "kernels/clones.h"
#include "kernels/expf.h"

MDL_CLONES
void mdl_gelu_quick_forward(float *out, const float *in, int64_t n_value)
{
    for (int64_t i = 0; i < n_value; i++)
        out[i] = in[i] / (1.0f + mdl_expf(-1.702f * in[i]));
}
