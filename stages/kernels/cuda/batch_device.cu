extern "C" {
#include "kernels/batch_device.h"
}

#include "kernels/cuda/batch_device_kernels.cuh"

#include <climits>
#include <cstring>
#include <new>

using mdl::model_out;

struct mdl_batch_device {
    mdl_batch_device_plan_t plan;
    mdl::reals type;
    mdl::pipeline device;
    mdl::upload upload;
    int64_t stride;   /* reals between the packed Gram matrices, whole chunks */
    int64_t *n_value; /* [n_model] of the rows that were taken */
    void *centred, *gram, *packed, *products;
    double *mean, *sums, *squares;
    model_out *out; /* [n_model] on the device */
    double *hsic;   /* [n_pair] on the device */
    model_out *host_out;
    double *host_hsic;
};

namespace
{

int64_t n_pair(const mdl_batch_device_plan_t &plan)
{
    return (int64_t)plan.n_model * (plan.n_model + 1) / 2;
}

int64_t n_packed(int64_t n_row)
{
    return mdl::whole_chunks(n_row * (n_row - 1) / 2);
}

int allocate_all(mdl_batch_device_t *b, mdl_error_t *err)
{
    const mdl_batch_device_plan_t &plan = b->plan;
    mdl::pipeline &d = b->device;
    size_t rows = (size_t)plan.max_row, reals = rows * (size_t)plan.max_feat;
    size_t n_model = (size_t)plan.n_model, chunks = (size_t)(b->stride / mdl::CHUNK);
    size_t pairs = (size_t)n_pair(plan), size = b->type.size, real = sizeof(double);
    MDL_DO(mdl::open_upload(d, b->upload, reals, size, err));
    MDL_DO(allocate(d, &b->centred, reals, b->type.input_size, "centred rows", err));
    MDL_DO(allocate(d, &b->gram, rows * rows, size, "a Gram matrix", err));
    MDL_DO(allocate(d, &b->packed, n_model * (size_t)b->stride, size, "Gram matrices", err));
    MDL_DO(allocate(d, &b->products, chunks * n_model * n_model, size, "products", err));
    MDL_DO(allocate(d, &b->mean, (size_t)plan.max_feat, real, "means", err));
    MDL_DO(allocate(d, &b->sums, rows + 1, real, "row sums", err));
    MDL_DO(allocate(d, &b->squares, rows, real, "row sums", err));
    MDL_DO(allocate(d, &b->out, n_model, sizeof *b->out, "sums", err));
    MDL_DO(allocate(d, &b->hsic, pairs, real, "sums", err));
    MDL_DO(allocate_pinned(d, &b->host_out, n_model, sizeof *b->host_out, err));
    MDL_DO(allocate_pinned(d, &b->host_hsic, pairs, real, err));
    return allocate_pinned(d, &b->n_value, n_model, sizeof *b->n_value, err);
}

template <typename T, typename C>
int compute(mdl_batch_device_t *b, int model, int64_t n, int64_t n_feat, const void *rows,
            double gamma, int gamma_exponent, mdl_error_t *err)
{
    const T *x = static_cast<const T *>(rows);
    T *gram = static_cast<T *>(b->gram);
    T *packed = static_cast<T *>(b->packed) + model * b->stride;
    C *centred = static_cast<C *>(b->centred);
    model_out *out = b->out + model;
    const mdl::pipeline &d = b->device;
    int limit = (b->plan.is_double ? 1024 : 128) - 2;
    int64_t blocks = mdl::n_block(n * n_feat), columns = (n_feat + mdl::THREADS - 1) / mdl::THREADS;
    MDL_CUDA(cudaMemsetAsync(out, 0, sizeof *out, d.compute));
    MDL_DO(launch(d, err, columns, mdl::column_means<T>, x, n, n_feat, b->mean, out));
    MDL_DO(launch(d, err, blocks, mdl::largest_centred<T>, x, n, n_feat, b->mean, out));
    MDL_DO(launch(d, err, 1, mdl::find_exponent, out, limit));
    MDL_DO(launch(d, err, blocks, mdl::centre<T, C>, x, n, n_feat, b->mean, out, centred));
    MDL_DO(mdl::upload_used(d, b->upload, err));
    MDL_DO(mdl::multiply(
        d, b->type, {false, centred, centred, n, n, n_feat, n_feat, n_feat, false, gram, n}, err));
    if (gamma > 0)
        MDL_DO(launch(d, err, n, mdl::to_rbf<T>, gram, n, gamma, gamma_exponent, out));
    MDL_DO(launch(d, err, n, mdl::row_sums<T>, gram, n, b->sums, b->squares));
    MDL_DO(launch(d, err, 1, mdl::finish_sums, b->sums, b->squares, n, out));
    return launch(d, err, n + 1, mdl::pack<T>, gram, n, b->sums, packed, n_packed(n));
}

template <typename T> int multiply_pairs(mdl_batch_device_t *b, int64_t n_row, mdl_error_t *err)
{
    int m = b->plan.n_model;
    int64_t n_chunk = n_packed(n_row) / mdl::CHUNK;
    MDL_DO(mdl::multiply_chunks(b->device, b->type, b->packed, m, b->stride, mdl::CHUNK, n_chunk,
                                b->products, err));
    return launch(b->device, err, (int64_t)m * m, mdl::add_chunks<T>,
                  static_cast<const T *>(b->products), n_chunk, m, b->hsic);
}

int check_size(const mdl_batch_device_plan_t *plan, int64_t stride, mdl_error_t *err)
{
    if (plan->max_feat <= INT_MAX && plan->max_row < 65536 && stride <= INT_MAX)
        return MDL_OK;
    return mdl_fail(err, MDL_E_USAGE,
                    "a batch of %lld rows of up to %lld features is too large for cuBLAS; give a "
                    "smaller --batch",
                    (long long)plan->max_row, (long long)plan->max_feat);
}

} // namespace

extern "C" double mdl_batch_device_bytes(const mdl_batch_device_plan_t *plan)
{
    mdl::reals type = mdl::reals_of(plan->is_double, plan->bfloat16);
    double rows = (double)plan->max_row, reals = rows * (double)plan->max_feat;
    double size = (double)type.size, m = plan->n_model, packed = (double)n_packed(plan->max_row);
    return reals * (2 * size + (double)type.input_size) + rows * rows * size + m * packed * size +
           packed / (double)mdl::CHUNK * m * m * size;
}

extern "C" int mdl_batch_device_open(const mdl_batch_device_plan_t *plan,
                                     mdl_batch_device_t **batch, mdl_error_t *err)
{
    mdl_batch_device_t *b = *batch = new (std::nothrow) mdl_batch_device{};
    if (b == nullptr)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a batch on a device");
    b->plan = *plan;
    b->type = mdl::reals_of(plan->is_double, plan->bfloat16);
    b->stride = n_packed(plan->max_row);
    b->device.advice = "give a smaller --batch, or --backend cpu";
    int rc = check_size(plan, b->stride, err);
    if (rc == MDL_OK)
        rc = mdl::open_pipeline(b->device, plan->device, err);
    if (rc == MDL_OK)
        rc = allocate_all(b, err);
    if (rc != MDL_OK) {
        mdl_batch_device_close(b);
        *batch = nullptr;
    }
    return rc;
}

extern "C" void mdl_batch_device_close(mdl_batch_device_t *b)
{
    if (b == nullptr)
        return;
    mdl::close_upload(b->upload);
    mdl::close_pipeline(b->device);
    delete b;
}

extern "C" int mdl_batch_device_take(mdl_batch_device_t *b, int model, int64_t n_row,
                                     int64_t n_feat, const void *x, double gamma,
                                     int gamma_exponent, mdl_error_t *err)
{
    size_t n_byte = (size_t)(n_row * n_feat) * b->type.size;
    void *buffer = nullptr;
    const void *rows = nullptr;
    MDL_DO(mdl::upload_buffer(b->upload, &buffer, err));
    memcpy(buffer, x, n_byte);
    MDL_DO(mdl::upload_send(b->device, b->upload, n_byte, &rows, err));
    b->n_value[model] = n_row * n_feat;
    if (b->plan.is_double)
        return compute<double, double>(b, model, n_row, n_feat, rows, gamma, gamma_exponent, err);
    if (b->plan.bfloat16)
        return compute<float, __nv_bfloat16>(b, model, n_row, n_feat, rows, gamma, gamma_exponent,
                                             err);
    return compute<float, float>(b, model, n_row, n_feat, rows, gamma, gamma_exponent, err);
}

extern "C" int mdl_batch_device_finish(mdl_batch_device_t *b, int64_t n_row, double *hsic,
                                       double *power, double *exponent, int64_t *bad,
                                       mdl_error_t *err)
{
    size_t n_model = (size_t)b->plan.n_model, n = (size_t)n_pair(b->plan);
    double scale = 1 / ((double)n_row * (double)(n_row - 3));
    cudaStream_t stream = b->device.compute;
    MDL_DO(b->plan.is_double ? multiply_pairs<double>(b, n_row, err)
                             : multiply_pairs<float>(b, n_row, err));
    MDL_CUDA(
        cudaMemcpyAsync(b->host_hsic, b->hsic, n * sizeof(double), cudaMemcpyDeviceToHost, stream));
    MDL_CUDA(cudaMemcpyAsync(b->host_out, b->out, n_model * sizeof *b->out, cudaMemcpyDeviceToHost,
                             stream));
    MDL_CUDA(cudaStreamSynchronize(stream));
    for (size_t pair = 0; pair < n; pair++)
        hsic[pair] = 2 * scale * b->host_hsic[pair];
    for (size_t a = 0; a < n_model; a++) {
        const model_out &out = b->host_out[a];
        power[a] = scale * out.power;
        exponent[a] = out.exponent;
        bad[a] = out.bad == 0 ? -1 : b->n_value[a] - (int64_t)out.bad;
    }
    return MDL_OK;
}
