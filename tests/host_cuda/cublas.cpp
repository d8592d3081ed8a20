#include "cublas_v2.h"

#include "cuda_bf16.h"

#include <vector>

struct host_blas {
    cudaStream_t stream;
};

namespace
{

struct matrix {
    const char *values;
    cudaDataType_t type;
    int64_t ld;
    bool transposed;
};

double value_of(const matrix &m, int64_t row, int64_t column)
{
    int64_t at = m.transposed ? column + row * m.ld : row + column * m.ld;
    if (m.type == CUDA_R_64F)
        return ((const double *)m.values)[at];
    if (m.type == CUDA_R_32F)
        return ((const float *)m.values)[at];
    return __bfloat162float(((const __nv_bfloat16 *)m.values)[at]);
}

/* c = a b + beta c, each value's sum in its type, in order. */
template <typename T>
void multiply(const matrix &a, const matrix &b, int m, int n, int k, T beta, T *c, int ldc)
{
    std::vector<T> left((size_t)m * (size_t)k), right((size_t)k);
    for (int i = 0; i < m; i++)
        for (int l = 0; l < k; l++)
            left[(size_t)i * (size_t)k + (size_t)l] = (T)value_of(a, i, l);
    for (int j = 0; j < n; j++) {
        for (int l = 0; l < k; l++)
            right[(size_t)l] = (T)value_of(b, l, j);
        for (int i = 0; i < m; i++) {
            const T *row = &left[(size_t)i * (size_t)k];
            T sum = 0;
            for (int l = 0; l < k; l++)
                sum += row[l] * right[(size_t)l];
            T *out = c + (int64_t)j * ldc + i;
            *out = beta == 0 ? sum : sum + beta * *out;
        }
    }
}

size_t size_of(cudaDataType_t type)
{
    return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2;
}

/* What cuBLAS's table of supported types has. */
bool fits(cudaDataType_t a, cudaDataType_t b, cudaDataType_t c, cublasComputeType_t compute)
{
    if (a != b)
        return false;
    if (compute == CUBLAS_COMPUTE_64F || compute == CUBLAS_COMPUTE_64F_PEDANTIC)
        return a == CUDA_R_64F && c == CUDA_R_64F;
    return (a == CUDA_R_32F || a == CUDA_R_16BF) && c == CUDA_R_32F;
}

} // namespace

cublasStatus_t cublasCreate(cublasHandle_t *handle)
{
    *handle = new host_blas{};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle)
{
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream)
{
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}

const char *cublasGetStatusString(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_SUCCESS ? "success" : "invalid value";
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t op_a,
                                          cublasOperation_t op_b, int m, int n, int k,
                                          const void *alpha, const void *a, cudaDataType_t a_type,
                                          int lda, long long a_stride, const void *b,
                                          cudaDataType_t b_type, int ldb, long long b_stride,
                                          const void *beta, void *c, cudaDataType_t c_type, int ldc,
                                          long long c_stride, int n_batch,
                                          cublasComputeType_t compute, cublasGemmAlgo_t)
{
    bool wide = c_type == CUDA_R_64F;
    double one = wide ? *(const double *)alpha : *(const float *)alpha;
    double scale = wide ? *(const double *)beta : *(const float *)beta;
    if (m < 1 || n < 1 || k < 1 || n_batch < 1 || one != 1 || ldc < m ||
        lda < (op_a == CUBLAS_OP_N ? m : k) || ldb < (op_b == CUBLAS_OP_N ? k : n) ||
        !fits(a_type, b_type, c_type, compute))
        return CUBLAS_STATUS_INVALID_VALUE;
    host_cuda_ask(handle->stream, [=] {
        for (int64_t i = 0; i < n_batch; i++) {
            matrix left = {(const char *)a + (size_t)(i * a_stride) * size_of(a_type), a_type, lda,
                           op_a == CUBLAS_OP_T};
            matrix right = {(const char *)b + (size_t)(i * b_stride) * size_of(b_type), b_type, ldb,
                            op_b == CUBLAS_OP_T};
            if (wide)
                multiply<double>(left, right, m, n, k, scale, (double *)c + i * c_stride, ldc);
            else
                multiply<float>(left, right, m, n, k, (float)scale, (float *)c + i * c_stride, ldc);
        }
    });
    return CUBLAS_STATUS_SUCCESS;
}
