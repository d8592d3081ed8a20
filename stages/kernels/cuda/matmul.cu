#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/tools.cuh"

#include <algorithm>
#include <array>
#include <cuda_bf16.h>
#include <map>

namespace mdl::engine
{

/* out = scale * left right + keep * before + bias, of row-major matrices: out and before
 * [n_row, n_col], left [n_row, n_inner] or its transpose, right [n_inner, n_col] or its transpose,
 * bias [n_col] or NULL. */
struct product {
    cudaDataType_t type; /* of left and right: CUDA_R_32F or CUDA_R_16BF; the rest is float32 */
    cublasComputeType_t compute;
    int64_t n_row, n_col, n_inner;
    const void *left, *right;
    const float *before, *bias;
    float *out;
    int64_t ld_left, ld_right, ld_out;
    bool left_transposed, right_transposed;
    float scale, keep;
};

/* cuBLASLt reads column by column: a row-major matrix is its transpose there. So it computes
 * out' = right' left'. */
struct descriptors {
    cublasLtMatmulDesc_t operation = nullptr;
    cublasLtMatrixLayout_t right = nullptr, left = nullptr, out = nullptr;
    cublasLtMatmulPreference_t preference = nullptr;

    ~descriptors()
    {
        if (preference != nullptr)
            cublasLtMatmulPreferenceDestroy(preference);
        for (cublasLtMatrixLayout_t layout : {right, left, out})
            if (layout != nullptr)
                cublasLtMatrixLayoutDestroy(layout);
        if (operation != nullptr)
            cublasLtMatmulDescDestroy(operation);
    }
};

/* Leaves the function with the first status that isn't success. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        cublasStatus_t status_ = (call);                                                           \
        if (status_ != CUBLAS_STATUS_SUCCESS)                                                      \
            return status_;                                                                        \
    } while (0)

static cublasStatus_t make_layout(cublasLtMatrixLayout_t *layout, cudaDataType_t type,
                                  int64_t n_row, int64_t n_col, int64_t ld)
{
    return cublasLtMatrixLayoutCreate(layout, type, (uint64_t)n_col, (uint64_t)n_row, ld);
}

template <typename T>
cublasStatus_t set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t name, T value)
{
    return cublasLtMatmulDescSetAttribute(operation, name, &value, sizeof value);
}

static cublasStatus_t describe(descriptors *d, const product &p)
{
    TRY(cublasLtMatmulDescCreate(&d->operation, p.compute, CUDA_R_32F));
    TRY(set(d->operation, CUBLASLT_MATMUL_DESC_TRANSA,
            p.right_transposed ? CUBLAS_OP_T : CUBLAS_OP_N));
    TRY(set(d->operation, CUBLASLT_MATMUL_DESC_TRANSB,
            p.left_transposed ? CUBLAS_OP_T : CUBLAS_OP_N));
    if (p.bias != nullptr) {
        TRY(set(d->operation, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS));
        TRY(set(d->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias));
    }
    TRY(p.right_transposed ? make_layout(&d->right, p.type, p.n_col, p.n_inner, p.ld_right)
                           : make_layout(&d->right, p.type, p.n_inner, p.n_col, p.ld_right));
    TRY(p.left_transposed ? make_layout(&d->left, p.type, p.n_inner, p.n_row, p.ld_left)
                          : make_layout(&d->left, p.type, p.n_row, p.n_inner, p.ld_left));
    return make_layout(&d->out, CUDA_R_32F, p.n_row, p.n_col, p.ld_out);
}

/* Bytes that an address is a multiple of, 256 at most. */
static uint32_t alignment(const void *address)
{
    uintptr_t bits = (uintptr_t)address | 256u;
    return (uint32_t)(bits & (~bits + 1));
}

/* cuBLASLt is told none for the bias: what it knows of the result has to be true of both. */
static uint32_t result_alignment(const product &p)
{
    return std::min(alignment(p.out), alignment(p.bias));
}

static cublasStatus_t find_way(descriptors *d, const product &p, cublasLtMatmulAlgo_t *way)
{
    const struct {
        cublasLtMatmulPreferenceAttributes_t name;
        uint32_t n_byte;
    } operands[] = {{CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(p.right)},
                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(p.left)},
                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(p.before)},
                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, result_alignment(p)}};
    cublasLtMatmulHeuristicResult_t result;
    int n_found = 0;
    TRY(cublasLtMatmulPreferenceCreate(&d->preference));
    TRY(cublasLtMatmulPreferenceSetAttribute(d->preference,
                                             CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                             &PRODUCT_WORKSPACE, sizeof PRODUCT_WORKSPACE));
    for (const auto &operand : operands)
        TRY(cublasLtMatmulPreferenceSetAttribute(d->preference, operand.name, &operand.n_byte,
                                                 sizeof operand.n_byte));
    TRY(cublasLtMatmulAlgoGetHeuristic(current.products, d->operation, d->right, d->left, d->out,
                                       d->out, d->preference, 1, &result, &n_found));
    if (n_found == 0)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    *way = result.algo;
    return CUBLAS_STATUS_SUCCESS;
}

/* The way of products of this shape: asked for once, as asking takes as long as a small product. */
static cublasStatus_t way_of(descriptors *d, const product &p, cublasLtMatmulAlgo_t *way)
{
    static std::map<std::array<int64_t, 13>, cublasLtMatmulAlgo_t> known;
    std::array<int64_t, 13> shape = {p.compute + 1000 * p.type,
                                     p.n_row,
                                     p.n_col,
                                     p.n_inner,
                                     p.ld_left,
                                     p.ld_right,
                                     p.ld_out,
                                     p.left_transposed + 2 * p.right_transposed,
                                     p.bias != nullptr,
                                     alignment(p.left),
                                     alignment(p.right),
                                     alignment(p.before),
                                     result_alignment(p)};
    auto found = known.find(shape);
    if (found == known.end()) {
        TRY(find_way(d, p, way));
        known[shape] = *way;
    } else
        *way = found->second;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t compute(const product &p)
{
    descriptors d;
    cublasLtMatmulAlgo_t way;
    TRY(describe(&d, p));
    TRY(way_of(&d, p, &way));
    return cublasLtMatmul(current.products, d.operation, &p.scale, p.right, d.right, p.left, d.left,
                          &p.keep, p.before, d.out, p.out, d.out, &way, current.workspace,
                          PRODUCT_WORKSPACE, current.stream);
}

static void multiply(const char *operation, const product &p)
{
    if (p.n_row == 0 || p.n_col == 0)
        return;
    cublasStatus_t status = compute(p);
    if (status != CUBLAS_STATUS_SUCCESS)
        keep_failure(operation, cublasLtGetStatusString(status));
}

/* The shape and factors of a call of matmul_*, in the order of its arguments. */
#define MATMUL(name, compute_type, left_transposed, right_transposed)                              \
    void name(float *out, int64_t ld_out, const float *a, int64_t ld_a, const float *b,            \
              int64_t ld_b, int64_t n_row, int64_t n_col, int64_t n_inner, float scale,            \
              float keep)                                                                          \
    {                                                                                              \
        multiply(__func__,                                                                         \
                 {CUDA_R_32F, compute_type, n_row, n_col, n_inner, a, b, out, nullptr, out, ld_a,  \
                  ld_b, ld_out, left_transposed, right_transposed, scale, keep});                  \
    }

MATMUL(matmul_nt, CUBLAS_COMPUTE_32F, false, true)
MATMUL(matmul_nn, CUBLAS_COMPUTE_32F, false, false)
MATMUL(matmul_tn, CUBLAS_COMPUTE_32F, true, false)
MATMUL(matmul_nt_tf32, CUBLAS_COMPUTE_32F_FAST_TF32, false, true)
MATMUL(matmul_nn_tf32, CUBLAS_COMPUTE_32F_FAST_TF32, false, false)
MATMUL(matmul_tn_tf32, CUBLAS_COMPUTE_32F_FAST_TF32, true, false)

/* out = before + in W' + bias, before and bias 0 where they are NULL. */
static product forward_product(cudaDataType_t type, float *out, const float *before, const void *in,
                               const void *weight, const float *bias, int64_t n_row, int64_t n_out,
                               int64_t n_in)
{
    return {type,
            CUBLAS_COMPUTE_32F,
            n_row,
            n_out,
            n_in,
            in,
            weight,
            before != nullptr ? before : out,
            bias,
            out,
            n_in,
            n_in,
            n_out,
            false,
            true,
            1.0f,
            before != nullptr ? 1.0f : 0.0f};
}

/* din = dout W. */
static product backward_product(cudaDataType_t type, float *din, const void *dout,
                                const void *weight, int64_t n_row, int64_t n_out, int64_t n_in)
{
    return {type,    CUBLAS_COMPUTE_32F,
            n_row,   n_in,
            n_out,   dout,
            weight,  din,
            nullptr, din,
            n_out,   n_in,
            n_in,    false,
            false,   1.0f,
            0.0f};
}

void linear_forward(float *out, const float *before, const float *in, const void *weight,
                    const float *bias, int64_t n_row, int64_t n_out, int64_t n_in)
{
    multiply(__func__,
             forward_product(CUDA_R_32F, out, before, in, weight, bias, n_row, n_out, n_in));
}

void linear_backward(float *din, const float *dout, const void *weight, int64_t n_row,
                     int64_t n_out, int64_t n_in)
{
    multiply(__func__, backward_product(CUDA_R_32F, din, dout, weight, n_row, n_out, n_in));
}

__global__ void round_values(__nv_bfloat16 *out, const float *in, int64_t n)
{
    int64_t i = thread_of_all();
    if (i < n)
        out[i] = __float2bfloat16_rn(in[i]);
}

/* in [n] rounded, on the device until the next call. */
static const void *narrow(const char *operation, const float *in, int64_t n)
{
    auto *out = static_cast<__nv_bfloat16 *>(current.narrow);
    launch_each(operation, n, round_values, out, in, n);
    return out;
}

/* Rows of n_col numbers that are rounded at once. */
static int64_t rows_at_once(int64_t n_row, int64_t n_col)
{
    int64_t n_most = (int64_t)(NARROW_ROOM / sizeof(__nv_bfloat16)) / n_col;
    return n_row < n_most ? n_row : n_most;
}

void linear_forward_bfloat16(float *out, const float *before, const float *in, const void *weight,
                             const float *bias, int64_t n_row, int64_t n_out, int64_t n_in)
{
    int64_t n_most = rows_at_once(n_row, n_in);
    for (int64_t row = 0; row < n_row; row += n_most) {
        int64_t n = n_row - row < n_most ? n_row - row : n_most;
        const void *part = narrow(__func__, in + row * n_in, n * n_in);
        multiply(__func__, forward_product(CUDA_R_16BF, out + row * n_out,
                                           before != nullptr ? before + row * n_out : nullptr, part,
                                           weight, bias, n, n_out, n_in));
    }
}

void linear_backward_bfloat16(float *din, const float *dout, const void *weight, int64_t n_row,
                              int64_t n_out, int64_t n_in)
{
    int64_t n_most = rows_at_once(n_row, n_out);
    for (int64_t row = 0; row < n_row; row += n_most) {
        int64_t n = n_row - row < n_most ? n_row - row : n_most;
        const void *part = narrow(__func__, dout + row * n_out, n * n_out);
        multiply(__func__,
                 backward_product(CUDA_R_16BF, din + row * n_in, part, weight, n, n_out, n_in));
    }
}

} // namespace mdl::engine
