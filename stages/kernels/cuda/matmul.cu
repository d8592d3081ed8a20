#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/tools.cuh"

#include <array>
#include <map>

namespace mdl::engine
{

/* out = scale * left right + keep * before + bias, of row-major matrices: out and before
 * [n_row, n_col], left [n_row, n_inner] or its transpose, right [n_inner, n_col] or its transpose,
 * bias [n_col] or NULL. */
struct product {
    int64_t n_row, n_col, n_inner;
    const float *left, *right, *before, *bias;
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

static cublasStatus_t make_layout(cublasLtMatrixLayout_t *layout, int64_t n_row, int64_t n_col,
                                  int64_t ld)
{
    return cublasLtMatrixLayoutCreate(layout, CUDA_R_32F, (uint64_t)n_col, (uint64_t)n_row, ld);
}

template <typename T>
cublasStatus_t set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t name, T value)
{
    return cublasLtMatmulDescSetAttribute(operation, name, &value, sizeof value);
}

static cublasStatus_t describe(descriptors *d, const product &p)
{
    TRY(cublasLtMatmulDescCreate(&d->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    TRY(set(d->operation, CUBLASLT_MATMUL_DESC_TRANSA,
            p.right_transposed ? CUBLAS_OP_T : CUBLAS_OP_N));
    TRY(set(d->operation, CUBLASLT_MATMUL_DESC_TRANSB,
            p.left_transposed ? CUBLAS_OP_T : CUBLAS_OP_N));
    if (p.bias != nullptr) {
        TRY(set(d->operation, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS));
        TRY(set(d->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias));
    }
    TRY(p.right_transposed ? make_layout(&d->right, p.n_col, p.n_inner, p.ld_right)
                           : make_layout(&d->right, p.n_inner, p.n_col, p.ld_right));
    TRY(p.left_transposed ? make_layout(&d->left, p.n_inner, p.n_row, p.ld_left)
                          : make_layout(&d->left, p.n_row, p.n_inner, p.ld_left));
    return make_layout(&d->out, p.n_row, p.n_col, p.ld_out);
}

/* Bytes that an address is a multiple of, 256 at most. */
static uint32_t alignment(const void *address)
{
    uintptr_t bits = (uintptr_t)address | 256u;
    return (uint32_t)(bits & (~bits + 1));
}

static cublasStatus_t find_way(descriptors *d, const product &p, cublasLtMatmulAlgo_t *way)
{
    const struct {
        cublasLtMatmulPreferenceAttributes_t name;
        const void *address;
    } operands[] = {{CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, p.right},
                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, p.left},
                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, p.before},
                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, p.out}};
    cublasLtMatmulHeuristicResult_t result;
    int n_found = 0;
    TRY(cublasLtMatmulPreferenceCreate(&d->preference));
    TRY(cublasLtMatmulPreferenceSetAttribute(d->preference,
                                             CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                             &PRODUCT_WORKSPACE, sizeof PRODUCT_WORKSPACE));
    for (const auto &operand : operands) {
        uint32_t n_byte = alignment(operand.address);
        TRY(cublasLtMatmulPreferenceSetAttribute(d->preference, operand.name, &n_byte,
                                                 sizeof n_byte));
    }
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
    static std::map<std::array<int64_t, 12>, cublasLtMatmulAlgo_t> known;
    std::array<int64_t, 12> shape = {p.n_row,
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
                                     alignment(p.out)};
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

void matmul_nt(float *out, int64_t ld_out, const float *a, int64_t ld_a, const float *b,
               int64_t ld_b, int64_t n_row, int64_t n_col, int64_t n_inner, float scale, float keep)
{
    multiply(__func__, {n_row, n_col, n_inner, a, b, out, nullptr, out, ld_a, ld_b, ld_out, false,
                        true, scale, keep});
}

void matmul_nn(float *out, int64_t ld_out, const float *a, int64_t ld_a, const float *b,
               int64_t ld_b, int64_t n_row, int64_t n_col, int64_t n_inner, float scale, float keep)
{
    multiply(__func__, {n_row, n_col, n_inner, a, b, out, nullptr, out, ld_a, ld_b, ld_out, false,
                        false, scale, keep});
}

void matmul_tn(float *out, int64_t ld_out, const float *a, int64_t ld_a, const float *b,
               int64_t ld_b, int64_t n_row, int64_t n_col, int64_t n_inner, float scale, float keep)
{
    multiply(__func__, {n_row, n_col, n_inner, a, b, out, nullptr, out, ld_a, ld_b, ld_out, true,
                        false, scale, keep});
}

void linear_forward(float *out, const float *before, const float *in, const float *weight,
                    const float *bias, int64_t n_row, int64_t n_out, int64_t n_in)
{
    multiply(__func__, {n_row, n_out, n_in, in, weight, before != nullptr ? before : out, bias, out,
                        n_in, n_in, n_out, false, true, 1.0f, before != nullptr ? 1.0f : 0.0f});
}

void linear_backward(float *din, const float *dout, const float *weight, int64_t n_row,
                     int64_t n_out, int64_t n_in)
{
    matmul_nn(din, n_in, dout, n_out, weight, n_in, n_row, n_in, n_out, 1.0f, 0.0f);
}

} // namespace mdl::engine
