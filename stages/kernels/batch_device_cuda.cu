extern "C" {
#include "kernels/batch_device.h"
}

#include "kernels/batch_device_kernels.cuh"

#include <climits>
#include <cstdlib>
#include <cstring>
#include <cublas_v2.h>
#include <cuda_runtime.h>

using mdl::model_out;
using mdl::THREADS;

namespace
{

/* Reals whose products are summed in their own type, as on the CPU; the chunks' sums are double. */
constexpr int64_t CHUNK = 2048;

int failed(cudaError_t status, const char *what, mdl_error_t *err)
{
    int code = status == cudaErrorMemoryAllocation ? MDL_E_MEMORY : MDL_E_INTERNAL;
    return mdl_fail(err, code, "CUDA: %s: %s", what, cudaGetErrorString(status));
}

#define MDL_CUDA(call)                                                                             \
    do {                                                                                           \
        cudaError_t status_ = (call);                                                              \
        if (status_ != cudaSuccess)                                                                \
            return failed(status_, #call, err);                                                    \
    } while (0)

#define MDL_CUBLAS(call)                                                                           \
    do {                                                                                           \
        cublasStatus_t status_ = (call);                                                           \
        if (status_ != CUBLAS_STATUS_SUCCESS)                                                      \
            return mdl_fail(err, MDL_E_INTERNAL, "cuBLAS: %s: %s", #call,                          \
                            cublasGetStatusString(status_));                                       \
    } while (0)

/* Rows on their way: pinned on the host, then on the device. */
struct slot {
    void *host, *device;
    cudaEvent_t copied, used;
};

} // namespace

struct mdl_batch_device {
    mdl_batch_device_plan_t plan;
    size_t size;    /* bytes of a real */
    int64_t stride; /* reals between the packed Gram matrices, a multiple of CHUNK */
    cudaStream_t copy, compute;
    cublasHandle_t blas;
    slot slots[2];
    int next; /* slot */
    void *centred, *gram, *packed, *products;
    double *mean, *sums, *squares;
    model_out *out; /* [n_model] on the device */
    double *hsic;   /* [n_pair] on the device */
    model_out *host_out;
    double *host_hsic;
};

namespace
{

int64_t n_pair(const mdl_batch_device_t *b)
{
    return (int64_t)b->plan.n_model * (b->plan.n_model + 1) / 2;
}

int allocate(mdl_batch_device_t *b, mdl_error_t *err)
{
    size_t rows = (size_t)b->plan.max_row, reals = rows * (size_t)b->plan.max_feat;
    size_t n_model = (size_t)b->plan.n_model, chunks = (size_t)(b->stride / CHUNK);
    size_t pairs = (size_t)n_pair(b);
    for (slot &s : b->slots) {
        MDL_CUDA(cudaMallocHost(&s.host, reals * b->size));
        MDL_CUDA(cudaMalloc(&s.device, reals * b->size));
        MDL_CUDA(cudaEventCreateWithFlags(&s.copied, cudaEventDisableTiming));
        MDL_CUDA(cudaEventCreateWithFlags(&s.used, cudaEventDisableTiming));
    }
    MDL_CUDA(cudaMalloc(&b->centred, reals * b->size));
    MDL_CUDA(cudaMalloc(&b->gram, rows * rows * b->size));
    MDL_CUDA(cudaMalloc(&b->packed, n_model * (size_t)b->stride * b->size));
    MDL_CUDA(cudaMalloc(&b->products, chunks * n_model * n_model * b->size));
    MDL_CUDA(cudaMalloc(&b->mean, (size_t)b->plan.max_feat * sizeof(double)));
    MDL_CUDA(cudaMalloc(&b->sums, (rows + 1) * sizeof(double)));
    MDL_CUDA(cudaMalloc(&b->squares, rows * sizeof(double)));
    MDL_CUDA(cudaMalloc(&b->out, n_model * sizeof *b->out));
    MDL_CUDA(cudaMalloc(&b->hsic, pairs * sizeof(double)));
    MDL_CUDA(cudaMallocHost(&b->host_out, n_model * sizeof *b->host_out));
    MDL_CUDA(cudaMallocHost(&b->host_hsic, pairs * sizeof(double)));
    return MDL_OK;
}

int open_streams(mdl_batch_device_t *b, mdl_error_t *err)
{
    MDL_CUDA(cudaSetDevice(b->plan.device));
    MDL_CUDA(cudaStreamCreateWithFlags(&b->copy, cudaStreamNonBlocking));
    MDL_CUDA(cudaStreamCreateWithFlags(&b->compute, cudaStreamNonBlocking));
    MDL_CUBLAS(cublasCreate(&b->blas));
    MDL_CUBLAS(cublasSetStream(b->blas, b->compute));
    /* Neither TF32 nor reduced sums, whatever the environment asks of cuBLAS. */
    MDL_CUBLAS(cublasSetMathMode(b->blas, b->plan.bfloat16
                                              ? CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION
                                              : CUBLAS_PEDANTIC_MATH));
    return MDL_OK;
}

int n_block(int64_t n)
{
    int64_t blocks = (n + THREADS - 1) / THREADS;
    return (int)(blocks < 1024 ? blocks : 1024);
}

/* gram = centred centred'. cuBLAS is column-major: the rows are its columns. */
int multiply(mdl_batch_device_t *b, int64_t n, int64_t n_feat, mdl_error_t *err)
{
    const float one = 1, zero = 0;
    const double double_one = 1, double_zero = 0;
    cudaDataType_t real = b->plan.is_double ? CUDA_R_64F : CUDA_R_32F;
    cudaDataType_t input = b->plan.bfloat16 ? CUDA_R_16BF : real;
    const void *alpha = b->plan.is_double ? (const void *)&double_one : &one;
    const void *beta = b->plan.is_double ? (const void *)&double_zero : &zero;
    cublasComputeType_t type = b->plan.is_double  ? CUBLAS_COMPUTE_64F
                               : b->plan.bfloat16 ? CUBLAS_COMPUTE_32F
                                                  : CUBLAS_COMPUTE_32F_PEDANTIC;
    MDL_CUBLAS(cublasGemmEx(b->blas, CUBLAS_OP_T, CUBLAS_OP_N, (int)n, (int)n, (int)n_feat, alpha,
                            b->centred, input, (int)n_feat, b->centred, input, (int)n_feat, beta,
                            b->gram, real, (int)n, type, CUBLAS_GEMM_DEFAULT));
    return MDL_OK;
}

template <typename T, typename C>
int compute(mdl_batch_device_t *b, int model, int64_t n, int64_t n_feat, slot &s, double gamma,
            int gamma_exponent, double rounding, mdl_error_t *err)
{
    const T *x = static_cast<const T *>(s.device);
    T *gram = static_cast<T *>(b->gram);
    model_out *out = b->out + model;
    int limit = (b->plan.is_double ? 1024 : 128) - 2;
    mdl::column_means<<<(unsigned)((n_feat + THREADS - 1) / THREADS), THREADS, 0, b->compute>>>(
        x, n, n_feat, b->mean, out);
    mdl::largest_centred<<<n_block(n * n_feat), THREADS, 0, b->compute>>>(x, n, n_feat, b->mean,
                                                                          out);
    mdl::find_exponent<<<1, 1, 0, b->compute>>>(out, limit);
    mdl::centre<<<n_block(n * n_feat), THREADS, 0, b->compute>>>(x, n, n_feat, b->mean, out,
                                                                 static_cast<C *>(b->centred));
    MDL_CUDA(cudaGetLastError());
    MDL_CUDA(cudaEventRecord(s.used, b->compute));
    int rc = multiply(b, n, n_feat, err);
    if (rc != MDL_OK)
        return rc;
    if (gamma > 0)
        mdl::to_rbf<<<(unsigned)n, THREADS, 0, b->compute>>>(gram, n, gamma, gamma_exponent,
                                                             rounding, out);
    mdl::row_sums<<<(unsigned)n, THREADS, 0, b->compute>>>(gram, n, b->sums, b->squares);
    mdl::finish_sums<<<1, THREADS, 0, b->compute>>>(b->sums, b->squares, n, out);
    mdl::pack<<<(unsigned)n + 1, THREADS, 0, b->compute>>>(
        gram, n, b->sums, static_cast<T *>(b->packed) + model * b->stride, b->stride);
    MDL_CUDA(cudaGetLastError());
    return MDL_OK;
}

/* Products of all pairs, chunk by chunk: each is packed packed' over CHUNK reals. */
int multiply_pairs(mdl_batch_device_t *b, mdl_error_t *err)
{
    const float one = 1, zero = 0;
    const double double_one = 1, double_zero = 0;
    int m = b->plan.n_model, is_double = b->plan.is_double;
    cudaDataType_t real = is_double ? CUDA_R_64F : CUDA_R_32F;
    MDL_CUBLAS(cublasGemmStridedBatchedEx(
        b->blas, CUBLAS_OP_T, CUBLAS_OP_N, m, m, (int)CHUNK,
        is_double ? (const void *)&double_one : &one, b->packed, real, (int)b->stride, CHUNK,
        b->packed, real, (int)b->stride, CHUNK, is_double ? (const void *)&double_zero : &zero,
        b->products, real, m, (long long)m * m, (int)(b->stride / CHUNK),
        is_double ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F_PEDANTIC, CUBLAS_GEMM_DEFAULT));
    unsigned blocks = (unsigned)(((int64_t)m * m + THREADS - 1) / THREADS);
    int64_t n_chunk = b->stride / CHUNK;
    if (is_double)
        mdl::add_chunks<<<blocks, THREADS, 0, b->compute>>>(static_cast<double *>(b->products),
                                                            n_chunk, m, b->hsic);
    else
        mdl::add_chunks<<<blocks, THREADS, 0, b->compute>>>(static_cast<float *>(b->products),
                                                            n_chunk, m, b->hsic);
    MDL_CUDA(cudaGetLastError());
    return MDL_OK;
}

} // namespace

extern "C" int mdl_batch_device_count(const char **why)
{
    int n = 0;
    cudaError_t status = cudaGetDeviceCount(&n);
    *why = status == cudaSuccess ? "CUDA finds no GPU on this node" : cudaGetErrorString(status);
    return status == cudaSuccess ? n : 0;
}

extern "C" int mdl_batch_device_open(const mdl_batch_device_plan_t *plan,
                                     mdl_batch_device_t **batch, mdl_error_t *err)
{
    int rc = mdl_alloc(batch, 1, sizeof **batch, "a batch on a device", err);
    if (rc != MDL_OK)
        return rc;
    mdl_batch_device_t *b = *batch;
    int64_t n_value = plan->max_row * (plan->max_row - 1) / 2;
    b->plan = *plan;
    b->size = plan->is_double ? sizeof(double) : sizeof(float);
    b->stride = (n_value + CHUNK - 1) / CHUNK * CHUNK;
    rc = plan->max_feat > INT_MAX || b->stride > INT_MAX
             ? mdl_fail(err, MDL_E_USAGE, "a batch of %lld rows is too large for cuBLAS",
                        (long long)plan->max_row)
             : open_streams(b, err);
    if (rc == MDL_OK)
        rc = allocate(b, err);
    if (rc != MDL_OK) {
        mdl_batch_device_close(b);
        *batch = NULL;
    }
    return rc;
}

extern "C" void mdl_batch_device_close(mdl_batch_device_t *b)
{
    if (b == NULL)
        return;
    cudaDeviceSynchronize();
    for (slot &s : b->slots) {
        cudaFreeHost(s.host);
        cudaFree(s.device);
        if (s.copied != NULL)
            cudaEventDestroy(s.copied);
        if (s.used != NULL)
            cudaEventDestroy(s.used);
    }
    void *const blocks[] = {b->centred, b->gram,    b->packed, b->products, b->mean,
                            b->sums,    b->squares, b->out,    b->hsic};
    for (void *block : blocks)
        cudaFree(block);
    cudaFreeHost(b->host_out);
    cudaFreeHost(b->host_hsic);
    if (b->blas != NULL)
        cublasDestroy(b->blas);
    if (b->copy != NULL)
        cudaStreamDestroy(b->copy);
    if (b->compute != NULL)
        cudaStreamDestroy(b->compute);
    free(b);
}

extern "C" int mdl_batch_device_take(mdl_batch_device_t *b, int model, int64_t n_row,
                                     int64_t n_feat, const void *x, double gamma,
                                     int gamma_exponent, mdl_error_t *err)
{
    static const model_out start = {0, 0, LLONG_MAX, 0};
    slot &s = b->slots[b->next];
    size_t n_byte = (size_t)(n_row * n_feat) * b->size;
    b->next = 1 - b->next;
    MDL_CUDA(cudaEventSynchronize(s.copied));
    memcpy(s.host, x, n_byte);
    MDL_CUDA(cudaStreamWaitEvent(b->copy, s.used, 0));
    MDL_CUDA(cudaMemcpyAsync(s.device, s.host, n_byte, cudaMemcpyHostToDevice, b->copy));
    MDL_CUDA(cudaEventRecord(s.copied, b->copy));
    MDL_CUDA(
        cudaMemcpyAsync(b->out + model, &start, sizeof start, cudaMemcpyHostToDevice, b->compute));
    MDL_CUDA(cudaStreamWaitEvent(b->compute, s.copied, 0));
    if (b->plan.is_double)
        return compute<double, double>(b, model, n_row, n_feat, s, gamma, gamma_exponent, 1e-13,
                                       err);
    if (b->plan.bfloat16)
        return compute<float, __nv_bfloat16>(b, model, n_row, n_feat, s, gamma, gamma_exponent,
                                             8e-3, err);
    return compute<float, float>(b, model, n_row, n_feat, s, gamma, gamma_exponent, 3e-6, err);
}

extern "C" int mdl_batch_device_finish(mdl_batch_device_t *b, int64_t n_row, double *hsic,
                                       double *power, double *exponent, int64_t *bad,
                                       mdl_error_t *err)
{
    size_t n_model = (size_t)b->plan.n_model;
    double scale = 1 / ((double)n_row * (double)(n_row - 3));
    int rc = multiply_pairs(b, err);
    if (rc != MDL_OK)
        return rc;
    MDL_CUDA(cudaMemcpyAsync(b->host_hsic, b->hsic, (size_t)n_pair(b) * sizeof(double),
                             cudaMemcpyDeviceToHost, b->compute));
    MDL_CUDA(cudaMemcpyAsync(b->host_out, b->out, n_model * sizeof *b->out, cudaMemcpyDeviceToHost,
                             b->compute));
    MDL_CUDA(cudaStreamSynchronize(b->compute));
    for (int64_t pair = 0; pair < n_pair(b); pair++)
        hsic[pair] = 2 * scale * b->host_hsic[pair];
    for (size_t a = 0; a < n_model; a++) {
        const model_out *out = b->host_out + a;
        power[a] = scale * out->power;
        exponent[a] = out->exponent;
        bad[a] = out->bad == LLONG_MAX ? -1 : (int64_t)out->bad;
    }
    return MDL_OK;
}
