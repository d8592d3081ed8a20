/* A device that computes on rows while the next are copied: its streams and memory, launches,
 * matrix products, and the rows on their way. */
#ifndef MDL_KERNELS_CUDA_PIPELINE_CUH
#define MDL_KERNELS_CUDA_PIPELINE_CUH

#include "kernels/cuda/tools.cuh"

#include <cublas_v2.h>
#include <vector>

#define MDL_CUBLAS(call)                                                                           \
    do {                                                                                           \
        cublasStatus_t status_ = (call);                                                           \
        if (status_ != CUBLAS_STATUS_SUCCESS)                                                      \
            return mdl_fail(err, MDL_E_INTERNAL, "cuBLAS: %s: %s", #call,                          \
                            cublasGetStatusString(status_));                                       \
    } while (0)

namespace mdl
{

/* Reals whose products are summed in their own type, as on the CPU; the chunks' sums are double. */
constexpr int64_t CHUNK = 2048;

inline int64_t whole_chunks(int64_t n)
{
    return (n + CHUNK - 1) / CHUNK * CHUNK;
}

/* Types of a product's factors and of its result. */
struct reals {
    cudaDataType_t input, output;
    size_t input_size, size; /* bytes */
};

inline reals reals_of(bool is_double, bool bfloat16)
{
    if (is_double)
        return {CUDA_R_64F, CUDA_R_64F, sizeof(double), sizeof(double)};
    if (bfloat16)
        return {CUDA_R_16BF, CUDA_R_32F, 2, sizeof(float)};
    return {CUDA_R_32F, CUDA_R_32F, sizeof(float), sizeof(float)};
}

/* A device with its two streams and all that is allocated on it. */
struct pipeline {
    int before = -1;                                /* the caller's device */
    cudaStream_t copy = nullptr, compute = nullptr; /* rows come by one, the other computes */
    cublasHandle_t blas = nullptr;
    std::vector<void *> blocks, host_blocks;
    const char *advice = ""; /* what to lower when memory is out */
};

inline int open_pipeline(pipeline &d, int number, mdl_error_t *err)
{
    MDL_CUDA(cudaGetDevice(&d.before));
    MDL_CUDA(cudaSetDevice(number));
    MDL_CUDA(cudaStreamCreateWithFlags(&d.copy, cudaStreamNonBlocking));
    MDL_CUDA(cudaStreamCreateWithFlags(&d.compute, cudaStreamNonBlocking));
    MDL_CUBLAS(cublasCreate(&d.blas));
    MDL_CUBLAS(cublasSetStream(d.blas, d.compute));
    return MDL_OK;
}

inline void close_pipeline(pipeline &d)
{
    if (d.before < 0)
        return;
    cudaDeviceSynchronize();
    for (void *block : d.blocks)
        cudaFree(block);
    for (void *block : d.host_blocks)
        cudaFreeHost(block);
    if (d.blas != nullptr)
        cublasDestroy(d.blas);
    if (d.copy != nullptr)
        cudaStreamDestroy(d.copy);
    if (d.compute != nullptr)
        cudaStreamDestroy(d.compute);
    cudaSetDevice(d.before);
}

/* count values on the device; their content is undefined. */
template <typename T>
int allocate(pipeline &d, T **values, size_t count, size_t size, const char *what, mdl_error_t *err)
{
    void *block = nullptr;
    MDL_DO(allocate_bytes(&block, count * size, what, d.advice, err));
    d.blocks.push_back(block);
    *values = static_cast<T *>(block);
    return MDL_OK;
}

/* The same on the host, pinned, so that copies don't wait. */
template <typename T>
int allocate_pinned(pipeline &d, T **values, size_t count, size_t size, mdl_error_t *err)
{
    void *block = nullptr;
    char wanted[32];
    cudaError_t status = cudaMallocHost(&block, count * size);
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        return mdl_fail(err, MDL_E_MEMORY, "the host can't pin %s for copies to the GPU; %s",
                        mdl_text_bytes((double)count * (double)size, wanted), d.advice);
    }
    MDL_CUDA(status);
    d.host_blocks.push_back(block);
    *values = static_cast<T *>(block);
    return MDL_OK;
}

/* n_block blocks of THREADS threads, after all that was asked of the compute stream before. */
template <typename... P, typename... A>
int launch(const pipeline &d, mdl_error_t *err, int64_t n_block, void (*kernel)(P...),
           A... arguments)
{
    cudaError_t status =
        start_kernel(d.compute, dim3((unsigned)n_block), THREADS, 0, kernel, arguments...);
    return status == cudaSuccess ? MDL_OK : cuda_failed(status, "a kernel's launch", err);
}

/* Blocks for n threads, or fewer for kernels that go on by the size of the grid. */
inline int64_t n_block(int64_t n)
{
    int64_t blocks = (n + THREADS - 1) / THREADS;
    return blocks < 4096 ? blocks : 4096;
}

/* out: [n_left, n_right] row-major with rows of out_width, = or += with add. Factors are row-major
 * with rows of left_width and right_width values: inner products of their first n rows' columns
 * (of_columns: out = left' right, n rows), or of rows of n values (out = left right'). Neither TF32
 * nor emulated float32 or float64, whatever the environment asks of cuBLAS. cuBLAS is column-major:
 * it sees rows as columns, and computes the transpose of out. */
struct product {
    bool of_columns;
    const void *left, *right;
    int64_t n_left, n_right, left_width, right_width, n;
    bool add;
    void *out;
    int64_t out_width;
};

inline int multiply(const pipeline &d, const reals &type, const product &p, mdl_error_t *err)
{
    const float one = 1, beta = p.add;
    const double double_one = 1, double_beta = p.add;
    bool wide = type.output == CUDA_R_64F;
    cublasComputeType_t compute = wide                        ? CUBLAS_COMPUTE_64F_PEDANTIC
                                  : type.input == CUDA_R_16BF ? CUBLAS_COMPUTE_32F
                                                              : CUBLAS_COMPUTE_32F_PEDANTIC;
    MDL_CUBLAS(cublasGemmEx(d.blas, p.of_columns ? CUBLAS_OP_N : CUBLAS_OP_T,
                            p.of_columns ? CUBLAS_OP_T : CUBLAS_OP_N, (int)p.n_right, (int)p.n_left,
                            (int)p.n, wide ? (const void *)&double_one : &one, p.right, type.input,
                            (int)p.right_width, p.left, type.input, (int)p.left_width,
                            wide ? (const void *)&double_beta : &beta, p.out, type.output,
                            (int)p.out_width, compute, CUBLAS_GEMM_DEFAULT));
    return MDL_OK;
}

/* products: [n_chunk, n_model, n_model], the stack's own products over chunks of length values:
 * stack: [n_model, stride]. */
inline int multiply_chunks(const pipeline &d, const reals &type, const void *stack, int n_model,
                           int64_t stride, int64_t length, int64_t n_chunk, void *products,
                           mdl_error_t *err)
{
    constexpr int64_t AT_ONCE = 32768; /* a grid's third dimension ends at 65535 */
    const float one = 1, zero = 0;
    const double double_one = 1, double_zero = 0;
    bool wide = type.output == CUDA_R_64F;
    long long size = (long long)n_model * n_model;
    for (int64_t first = 0; first < n_chunk; first += AT_ONCE) {
        int64_t n = n_chunk - first < AT_ONCE ? n_chunk - first : AT_ONCE;
        const char *from = (const char *)stack + (size_t)(first * length) * type.size;
        char *to = (char *)products + (size_t)(first * size) * type.size;
        MDL_CUBLAS(cublasGemmStridedBatchedEx(
            d.blas, CUBLAS_OP_T, CUBLAS_OP_N, n_model, n_model, (int)length,
            wide ? (const void *)&double_one : &one, from, type.output, (int)stride, length, from,
            type.output, (int)stride, length, wide ? (const void *)&double_zero : &zero, to,
            type.output, n_model, size, (int)n,
            wide ? CUBLAS_COMPUTE_64F_PEDANTIC : CUBLAS_COMPUTE_32F_PEDANTIC, CUBLAS_GEMM_DEFAULT));
    }
    return MDL_OK;
}

/* Two blocks of rows on their way: while one is copied, the other is computed on. */
struct upload {
    void *host[2] = {}, *rows[2] = {};
    cudaEvent_t copied[2] = {}, used[2] = {};
    int at = 0;
};

inline int open_upload(pipeline &d, upload &u, size_t count, size_t size, mdl_error_t *err)
{
    for (int k = 0; k < 2; k++) {
        MDL_DO(allocate_pinned(d, &u.host[k], count, size, err));
        MDL_DO(allocate(d, &u.rows[k], count, size, "rows on their way", err));
        MDL_CUDA(cudaEventCreateWithFlags(&u.copied[k], cudaEventDisableTiming));
        MDL_CUDA(cudaEventCreateWithFlags(&u.used[k], cudaEventDisableTiming));
    }
    return MDL_OK;
}

inline void close_upload(upload &u)
{
    for (cudaEvent_t event : {u.copied[0], u.copied[1], u.used[0], u.used[1]})
        if (event != nullptr)
            cudaEventDestroy(event);
}

/* Waits until the pinned block that is due, *rows, may be written. */
inline int upload_buffer(upload &u, void **rows, mdl_error_t *err)
{
    MDL_CUDA(cudaEventSynchronize(u.copied[u.at]));
    *rows = u.host[u.at];
    return MDL_OK;
}

/* Copies that block; what the compute stream is asked from now on finds it in *rows, until
 * upload_used. */
inline int upload_send(const pipeline &d, upload &u, size_t n_byte, const void **rows,
                       mdl_error_t *err)
{
    MDL_CUDA(cudaStreamWaitEvent(d.copy, u.used[u.at], 0));
    MDL_CUDA(cudaMemcpyAsync(u.rows[u.at], u.host[u.at], n_byte, cudaMemcpyHostToDevice, d.copy));
    MDL_CUDA(cudaEventRecord(u.copied[u.at], d.copy));
    MDL_CUDA(cudaStreamWaitEvent(d.compute, u.copied[u.at], 0));
    *rows = u.rows[u.at];
    return MDL_OK;
}

inline int upload_used(const pipeline &d, upload &u, mdl_error_t *err)
{
    MDL_CUDA(cudaEventRecord(u.used[u.at], d.compute));
    u.at = 1 - u.at;
    return MDL_OK;
}

} // namespace mdl

#endif
