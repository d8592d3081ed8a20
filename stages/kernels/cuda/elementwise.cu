#include "kernels/cuda/operations.h"
#include "kernels/cuda/tools.cuh"

/* As in kernels/geglu_cpu.c and kernels/gelu_cpu.c. */
#define SLOPE            1.59576912160573f
#define CUBIC            0.044715f
#define SQRT_HALF        0.70710678118654752f
#define INVERSE_SQRT_2PI 0.39894228040143268f

namespace mdl::engine
{

/* A thread a pair. */
__global__ void rotate(float *x, const float *cosine, const float *sine, float direction,
                       int64_t n_row, int64_t n_head, int64_t n_half, int64_t ld_x)
{
    int64_t number = thread_of_all(), i = number % n_half;
    int64_t head = number / n_half % n_head, row = number / n_half / n_head;
    if (row >= n_row)
        return;
    float *first = x + row * ld_x + head * 2 * n_half + i;
    float a = first[0], b = first[n_half];
    float c = cosine[row * n_half + i], turn = direction * sine[row * n_half + i];
    first[0] = a * c - b * turn;
    first[n_half] = b * c + a * turn;
}

/* The same of neighbours. */
__global__ void rotate_neighbours(float *x, const float *cosine, const float *sine, int64_t n_row,
                                  int64_t n_head, int64_t n_pair, int64_t ld_x)
{
    int64_t number = thread_of_all(), i = number % n_pair;
    int64_t head = number / n_pair % n_head, row = number / n_pair / n_head;
    if (row >= n_row)
        return;
    float *pair = x + row * ld_x + 2 * (head * n_pair + i);
    float a = pair[0], b = pair[1], c = cosine[row * n_pair + i], s = sine[row * n_pair + i];
    pair[0] = a * c - b * s;
    pair[1] = b * c + a * s;
}

/* Activations, and the slopes of those that are trained through. */
struct silu {
    static __device__ float value(float x)
    {
        return x / (1.0f + expf(-x));
    }
    static __device__ float slope(float x)
    {
        float share = 1.0f / (1.0f + expf(-x));
        return share + x * share * (1.0f - share);
    }
};

struct gelu_tanh {
    static __device__ float share(float x)
    {
        return 1.0f / (1.0f + expf(-SLOPE * x * (1.0f + CUBIC * x * x)));
    }
    static __device__ float value(float x)
    {
        return x * share(x);
    }
    static __device__ float slope(float x)
    {
        float s = share(x);
        return s + x * s * (1.0f - s) * SLOPE * (1.0f + 3.0f * CUBIC * x * x);
    }
};

struct gelu_exact {
    static __device__ float value(float x)
    {
        return 0.5f * x * (1.0f + erff(x * SQRT_HALF));
    }
};

struct gelu_quick {
    static __device__ float value(float x)
    {
        return x / (1.0f + expf(-1.702f * x));
    }
};

template <typename activation>
__global__ void gate(float *out, const float *in, int64_t n_row, int64_t n_feat)
{
    int64_t at = thread_of_all(), row = at / n_feat;
    if (row >= n_row)
        return;
    const float *x = in + at + row * n_feat;
    out[at] = activation::value(x[0]) * x[n_feat];
}

template <typename activation>
__global__ void gate_backward(float *din, const float *dout, const float *in, int64_t n_row,
                              int64_t n_feat)
{
    int64_t at = thread_of_all(), row = at / n_feat;
    if (row >= n_row)
        return;
    const float *x = in + at + row * n_feat;
    float *dx = din + at + row * n_feat;
    float dy = dout[at];
    dx[0] = dy * x[n_feat] * activation::slope(x[0]);
    dx[n_feat] = dy * activation::value(x[0]);
}

template <typename activation> __global__ void activate(float *out, const float *in, int64_t n)
{
    int64_t i = thread_of_all();
    if (i < n)
        out[i] = activation::value(in[i]);
}

__global__ void gelu_slope(float *din, const float *dout, const float *in, int64_t n)
{
    int64_t i = thread_of_all();
    if (i >= n)
        return;
    float x = in[i], phi = 0.5f * (1.0f + erff(x * SQRT_HALF));
    din[i] = dout[i] * (phi + x * INVERSE_SQRT_2PI * expf(-0.5f * x * x));
}

static void rope(const char *operation, float *x, const float *cosine, const float *sine,
                 float direction, int64_t n_row, int64_t n_head, int64_t n_head_feat, int64_t ld_x)
{
    int64_t n_half = n_head_feat / 2;
    launch_each(operation, n_row * n_head * n_half, rotate, x, cosine, sine, direction, n_row,
                n_head, n_half, ld_x);
}

void rope_forward(float *x, const float *cosine, const float *sine, int64_t n_row, int64_t n_head,
                  int64_t n_head_feat, int64_t ld_x)
{
    rope(__func__, x, cosine, sine, 1.0f, n_row, n_head, n_head_feat, ld_x);
}

void rope_backward(float *dx, const float *cosine, const float *sine, int64_t n_row, int64_t n_head,
                   int64_t n_head_feat, int64_t ld_dx)
{
    rope(__func__, dx, cosine, sine, -1.0f, n_row, n_head, n_head_feat, ld_dx);
}

void rope_pairs_forward(float *x, const float *cosine, const float *sine, int64_t n_row,
                        int64_t n_head, int64_t n_head_feat, int64_t ld_x)
{
    int64_t n_pair = n_head_feat / 2;
    launch_each(__func__, n_row * n_head * n_pair, rotate_neighbours, x, cosine, sine, n_row,
                n_head, n_pair, ld_x);
}

void swiglu_forward(float *out, const float *in, int64_t n_row, int64_t n_feat)
{
    launch_each(__func__, n_row * n_feat, gate<silu>, out, in, n_row, n_feat);
}

void swiglu_backward(float *din, const float *dout, const float *in, int64_t n_row, int64_t n_feat)
{
    launch_each(__func__, n_row * n_feat, gate_backward<silu>, din, dout, in, n_row, n_feat);
}

void geglu_forward(float *out, const float *in, int64_t n_row, int64_t n_feat)
{
    launch_each(__func__, n_row * n_feat, gate<gelu_tanh>, out, in, n_row, n_feat);
}

void geglu_backward(float *din, const float *dout, const float *in, int64_t n_row, int64_t n_feat)
{
    launch_each(__func__, n_row * n_feat, gate_backward<gelu_tanh>, din, dout, in, n_row, n_feat);
}

void gelu_forward(float *out, const float *in, int64_t n_value)
{
    launch_each(__func__, n_value, activate<gelu_exact>, out, in, n_value);
}

void gelu_tanh_forward(float *out, const float *in, int64_t n_value)
{
    launch_each(__func__, n_value, activate<gelu_tanh>, out, in, n_value);
}

void gelu_quick_forward(float *out, const float *in, int64_t n_value)
{
    launch_each(__func__, n_value, activate<gelu_quick>, out, in, n_value);
}

void gelu_backward(float *din, const float *dout, const float *in, int64_t n_value)
{
    launch_each(__func__, n_value, gelu_slope, din, dout, in, n_value);
}

} // namespace mdl::engine
