#include "cublasLt.h"

#include "cuda_bf16.h"

struct host_lt {
};
struct host_lt_preference {
};
struct host_lt_operation {
    cublasOperation_t a, b;
    cublasLtEpilogue_t epilogue;
    const float *bias;
};
struct host_lt_layout {
    cudaDataType_t type;
    int64_t n_row, n_col, ld;
};

namespace
{

struct matrix {
    const void *values;
    host_lt_layout layout;
    bool transposed;

    int64_t rows() const
    {
        return transposed ? layout.n_col : layout.n_row;
    }
    int64_t columns() const
    {
        return transposed ? layout.n_row : layout.n_col;
    }
    float operator()(int64_t i, int64_t j) const
    {
        int64_t at = transposed ? j + i * layout.ld : i + j * layout.ld;
        return layout.type == CUDA_R_32F ? ((const float *)values)[at]
                                         : (float)((const __nv_bfloat16 *)values)[at];
    }
};

template <typename T> cublasStatus_t make(T **made, const T &value)
{
    *made = new T(value);
    return CUBLAS_STATUS_SUCCESS;
}

template <typename T> cublasStatus_t destroy(T *made)
{
    delete made;
    return CUBLAS_STATUS_SUCCESS;
}

} // namespace

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    return make(handle, {});
}

const char *cublasLtGetStatusString(cublasStatus_t status)
{
    return cublasGetStatusString(status);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *made, cublasComputeType_t,
                                        cudaDataType_t)
{
    return make(made, {CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, nullptr});
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation,
                                              cublasLtMatmulDescAttributes_t name,
                                              const void *value, size_t n_byte)
{
    void *into = name == CUBLASLT_MATMUL_DESC_TRANSA     ? (void *)&operation->a
                 : name == CUBLASLT_MATMUL_DESC_TRANSB   ? (void *)&operation->b
                 : name == CUBLASLT_MATMUL_DESC_EPILOGUE ? (void *)&operation->epilogue
                                                         : (void *)&operation->bias;
    size_t size = name == CUBLASLT_MATMUL_DESC_BIAS_POINTER ? sizeof operation->bias : 4;
    if (n_byte != size)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(into, value, n_byte);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation)
{
    return destroy(operation);
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *made, cudaDataType_t type,
                                          uint64_t n_row, uint64_t n_col, int64_t ld)
{
    if (n_row < 1 || n_col < 1 || ld < (int64_t)n_row)
        return CUBLAS_STATUS_INVALID_VALUE;
    return make(made, {type, (int64_t)n_row, (int64_t)n_col, ld});
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
    return destroy(layout);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *made)
{
    return make(made, {});
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t,
                                                    cublasLtMatmulPreferenceAttributes_t name,
                                                    const void *, size_t n_byte)
{
    size_t size = name == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES ? 8 : 4;
    return n_byte == size ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
    return destroy(preference);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t, int,
                                              cublasLtMatmulHeuristicResult_t *found, int *n_found)
{
    *found = {};
    *n_found = 1;
    return CUBLAS_STATUS_SUCCESS;
}

/* d = alpha a b + beta c + bias of the rows. The layouts' contents are taken now, as they may be
 * destroyed before the stream comes to it. */
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t operation, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                              cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                              cublasLtMatrixLayout_t c_layout, void *d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *, void *,
                              size_t, cudaStream_t stream)
{
    matrix left = {a, *a_layout, operation->a == CUBLAS_OP_T};
    matrix right = {b, *b_layout, operation->b == CUBLAS_OP_T};
    matrix before = {c, *c_layout, false};
    float scale = *(const float *)alpha, keep = *(const float *)beta, *out = (float *)d;
    const float *bias = operation->epilogue == CUBLASLT_EPILOGUE_BIAS ? operation->bias : nullptr;
    int64_t m = d_layout->n_row, n = d_layout->n_col, ld = d_layout->ld;
    if (left.rows() != m || right.columns() != n || left.columns() != right.rows() ||
        before.rows() != m || before.columns() != n || left.layout.type != right.layout.type ||
        d_layout->type != CUDA_R_32F)
        return CUBLAS_STATUS_INVALID_VALUE;
    host_cuda_ask(stream, [=] {
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < m; i++) {
                float sum = 0;
                for (int64_t k = 0; k < left.columns(); k++)
                    sum += left(i, k) * right(k, j);
                sum = scale * sum + (keep != 0 ? keep * before(i, j) : 0);
                out[i + j * ld] = sum + (bias != nullptr ? bias[i] : 0);
            }
    });
    return CUBLAS_STATUS_SUCCESS;
}
