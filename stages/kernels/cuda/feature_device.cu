extern "C" {
#include "kernels/feature_device.h"
}

#include "kernels/cuda/comparison_kernels.cuh"
#include "kernels/cuda/rows_device.cuh"

#include <climits>
#include <cstring>
#include <new>

struct mdl_feature_device {
    mdl_rows_device_t rows;
    int64_t max_col, n_value; /* values of the largest block */
    int64_t n_sample, n_sampled;
    mdl_feature_block_t block;
    int64_t n_pending; /* rows in product that aren't in sum yet */
    void *product;     /* [n_col, n_b] in the type of products */
    double *sum;       /* the same */
    double *partial;   /* [max_col] */
    void *columns;     /* [n_col, n_sampled] of a's sampled rows */
    void *sampled;     /* [n_sampled, n_feat] b's sampled rows */
    void *weighted;    /* [n_sampled, n_b] a's sampled rows times the covariances */
    double *values;    /* [3 + 2 n_sampled] */
    double *host_values;
};

namespace
{

/* Rows that are summed in the type of products before they go on in double, as on the CPU. */
constexpr int64_t SUMMED_ROWS = 4096;

template <typename T> __global__ void accumulate(const T *product, int64_t n, double *sum)
{
    int64_t stride = (int64_t)gridDim.x * mdl::THREADS;
    for (int64_t k = mdl::thread_of_all(); k < n; k += stride)
        sum[k] += (double)product[k];
}

/* One block: values[1] and values[2] of mdl_feature_device_finish for more rows. */
__global__ void add_lengths(const double *squares_a, const double *squares_b, int64_t n, int same,
                            double *values)
{
    double both = 0, own = 0;
    for (int64_t i = threadIdx.x; i < n; i += mdl::THREADS) {
        both += squares_a[i] * squares_b[i];
        own += same ? squares_a[i] : 0;
    }
    both = mdl::sum_of_block(both);
    own = mdl::sum_of_block(own);
    if (threadIdx.x == 0) {
        values[1] += both;
        values[2] += own;
    }
}

/* A block a row; the first n_twice values of each count twice. */
__global__ void sum_squares(const double *sum, int64_t n, int64_t n_twice, double *partial)
{
    const double *row = sum + (int64_t)blockIdx.x * n;
    double total = 0;
    for (int64_t j = threadIdx.x; j < n; j += mdl::THREADS)
        total += (j < n_twice ? 2 : 1) * row[j] * row[j];
    total = mdl::sum_of_block(total);
    if (threadIdx.x == 0)
        partial[blockIdx.x] = total;
}

/* One block. */
__global__ void sum_all(const double *partial, int64_t n, double *value)
{
    double total = 0;
    for (int64_t i = threadIdx.x; i < n; i += mdl::THREADS)
        total += partial[i];
    total = mdl::sum_of_block(total);
    if (threadIdx.x == 0)
        *value = total;
}

/* A block a sampled row, from number first on: the first width values of row number
 * s n_sample / n_sampled, where x starts at row number row, go to into[s row_step + j step]. */
template <typename C>
__global__ void take_sampled(const C *x, int64_t n_feat, int64_t row, int64_t first,
                             int64_t n_sample, int64_t n_sampled, int64_t width, C *into,
                             int64_t row_step, int64_t step)
{
    int64_t s = first + blockIdx.x;
    const C *from = x + (s * n_sample / n_sampled - row) * n_feat;
    for (int64_t j = threadIdx.x; j < width; j += mdl::THREADS)
        into[s * row_step + j * step] = from[j];
}

template <typename C> __global__ void round_all(const double *sum, int64_t n, C *out)
{
    int64_t stride = (int64_t)gridDim.x * mdl::THREADS;
    for (int64_t k = mdl::thread_of_all(); k < n; k += stride)
        out[k] = mdl::rounded<C>(sum[k]);
}

/* A block a sampled row: the inner product of its n values in left and right, the first n_twice
 * counted twice, and right's own over all of n_feat, if that is wanted. */
template <typename T, typename C>
__global__ void sampled_sums(const T *left, const C *right, int64_t n, int64_t n_twice,
                             int64_t n_feat, int wants_own, double *sums, double *own)
{
    int64_t s = blockIdx.x;
    double sum = 0, square = 0;
    for (int64_t j = threadIdx.x; j < n_feat; j += mdl::THREADS) {
        double value = mdl::widened(right[s * n_feat + j]);
        if (j < n)
            sum += (j < n_twice ? 2 : 1) * (double)left[s * n + j] * value;
        square += value * value;
    }
    sum = mdl::sum_of_block(sum);
    square = mdl::sum_of_block(square);
    if (threadIdx.x == 0) {
        sums[s] = sum;
        own[s] = wants_own ? square : 0;
    }
}

int allocate_all(mdl_feature_device_t *f, mdl_error_t *err)
{
    mdl::pipeline &d = f->rows.device;
    size_t n = (size_t)f->n_value, size = f->rows.type.size, real = sizeof(double);
    size_t sampled = (size_t)f->n_sampled, max_col = (size_t)f->max_col, feat = n / max_col;
    size_t input = f->rows.type.input_size, n_value = 3 + 2 * sampled;
    MDL_DO(allocate(d, &f->product, n, size, "a block of covariances", err));
    MDL_DO(allocate(d, &f->sum, n, real, "a block of covariances", err));
    MDL_DO(allocate(d, &f->partial, max_col, real, "sums", err));
    MDL_DO(allocate(d, &f->columns, sampled * max_col, input, "sampled rows", err));
    MDL_DO(allocate(d, &f->sampled, sampled * feat, input, "sampled rows", err));
    MDL_DO(allocate(d, &f->weighted, sampled * feat, size, "sampled rows", err));
    MDL_DO(allocate(d, &f->values, n_value, real, "sums", err));
    return allocate_pinned(d, &f->host_values, n_value, real, err);
}

template <typename T> int add_product(mdl_feature_device_t *f, mdl_error_t *err)
{
    int64_t n = f->block.n_col * f->block.n_b;
    f->n_pending = 0;
    return launch(f->rows.device, err, mdl::n_block(n), accumulate<T>,
                  static_cast<const T *>(f->product), n, f->sum);
}

int add_pending(mdl_feature_device_t *f, mdl_error_t *err)
{
    if (f->n_pending == 0)
        return MDL_OK;
    return f->rows.plan.is_double ? add_product<double>(f, err) : add_product<float>(f, err);
}

/* Takes the sampled rows of a block of n_row rows: of a the columns of the covariances. */
template <typename C>
int take_sample(mdl_feature_device_t *f, int64_t block, int64_t n_row, const void *a, const void *b,
                mdl_error_t *err)
{
    const mdl_feature_block_t &at = f->block;
    int64_t row = block * f->rows.plan.tile, n = f->n_sampled;
    int64_t first = (row * n + f->n_sample - 1) / f->n_sample;
    int64_t end = ((row + n_row) * n + f->n_sample - 1) / f->n_sample;
    int64_t d_a = f->rows.n_feat[(size_t)at.a], d_b = f->rows.n_feat[(size_t)at.b];
    if (first == end)
        return MDL_OK;
    MDL_DO(launch(f->rows.device, err, end - first, take_sampled<C>,
                  static_cast<const C *>(a) + at.first, d_a, row, first, f->n_sample, n, at.n_col,
                  static_cast<C *>(f->columns), 1, n));
    return launch(f->rows.device, err, end - first, take_sampled<C>, static_cast<const C *>(b), d_b,
                  row, first, f->n_sample, n, d_b, static_cast<C *>(f->sampled), d_b, 1);
}

/* Once the covariances are summed: what each sampled row has of them. */
template <typename T, typename C> int add_sampled(mdl_feature_device_t *f, mdl_error_t *err)
{
    const mdl::pipeline &d = f->rows.device;
    const mdl_feature_block_t &at = f->block;
    int64_t n = at.n_col * at.n_b, d_b = f->rows.n_feat[(size_t)at.b];
    int same = at.a == at.b;
    C *rounded = static_cast<C *>(f->product);
    MDL_DO(launch(d, err, mdl::n_block(n), round_all<C>, f->sum, n, rounded));
    MDL_DO(mdl::multiply(d, f->rows.type,
                         {true, f->columns, rounded, f->n_sampled, at.n_b, f->n_sampled, at.n_b,
                          at.n_col, false, f->weighted, at.n_b},
                         err));
    return launch(d, err, f->n_sampled, sampled_sums<T, C>, static_cast<const T *>(f->weighted),
                  static_cast<const C *>(f->sampled), at.n_b, same ? at.first : 0, d_b,
                  same && at.first == 0, f->values + 3, f->values + 3 + f->n_sampled);
}

int64_t widest(const mdl_rows_device_plan_t *plan)
{
    int64_t n_feat = 0;
    for (int a = 0; a < plan->n_model; a++)
        n_feat = plan->n_feat[a] > n_feat ? plan->n_feat[a] : n_feat;
    return n_feat;
}

} // namespace

extern "C" double mdl_feature_device_bytes(const mdl_feature_device_plan_t *plan, int64_t n_block)
{
    const mdl::reals type = mdl::reals_of(plan->rows.is_double, plan->rows.bfloat16);
    double size = (double)type.size, input = (double)type.input_size;
    double feat = (double)widest(&plan->rows), max_col = (double)plan->max_col;
    double sampled = input * (max_col + feat) + size * feat;
    return max_col * feat * (size + sizeof(double)) + (double)plan->n_sampled * sampled +
           mdl::rows_other_bytes(plan->rows) + (double)n_block * mdl::rows_block_bytes(plan->rows);
}

extern "C" int mdl_feature_device_open(const mdl_feature_device_plan_t *plan,
                                       mdl_feature_device_t **feature, mdl_error_t *err)
{
    mdl_feature_device_t *f = *feature = new (std::nothrow) mdl_feature_device{};
    if (f == nullptr)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for covariances on a device");
    f->max_col = plan->max_col;
    f->n_value = plan->max_col * widest(&plan->rows);
    f->n_sample = plan->n_sample;
    f->n_sampled = plan->n_sampled;
    int rc = mdl::rows_open(f->rows, plan->rows, err);
    if (rc == MDL_OK)
        rc = allocate_all(f, err);
    if (rc == MDL_OK)
        rc = mdl::rows_make_room(f->rows, err);
    if (rc != MDL_OK) {
        mdl_feature_device_close(f);
        *feature = nullptr;
    }
    return rc;
}

extern "C" void mdl_feature_device_close(mdl_feature_device_t *f)
{
    if (f == nullptr)
        return;
    mdl::rows_close(f->rows);
    delete f;
}

extern "C" mdl_rows_device_t *mdl_feature_device_rows(mdl_feature_device_t *f)
{
    return &f->rows;
}

extern "C" int mdl_feature_device_start(mdl_feature_device_t *f, const mdl_feature_block_t *block,
                                        mdl_error_t *err)
{
    cudaStream_t stream = f->rows.device.compute;
    size_t n = (size_t)(block->n_col * block->n_b);
    f->block = *block;
    f->n_pending = 0;
    MDL_CUDA(cudaMemsetAsync(f->sum, 0, n * sizeof(double), stream));
    MDL_CUDA(cudaMemsetAsync(f->values, 0, 3 * sizeof(double), stream));
    return MDL_OK;
}

extern "C" int mdl_feature_device_add(mdl_feature_device_t *f, int64_t block, int64_t n_row,
                                      mdl_error_t *err)
{
    const mdl_rows_device_t &rows = f->rows;
    const mdl_feature_block_t &at = f->block;
    int64_t slot_a = mdl::rows_slot(rows, block, 0);
    int64_t slot_b = at.a == at.b ? slot_a : mdl::rows_slot(rows, block, 1);
    const char *a = mdl::rows_at(rows, at.a, slot_a), *b = mdl::rows_at(rows, at.b, slot_b);
    mdl::product product = {true,
                            a + (size_t)at.first * rows.type.input_size,
                            b,
                            at.n_col,
                            at.n_b,
                            rows.n_feat[(size_t)at.a],
                            rows.n_feat[(size_t)at.b],
                            n_row,
                            f->n_pending > 0,
                            f->product,
                            at.n_b};
    MDL_DO(mdl::multiply(rows.device, rows.type, product, err));
    f->n_pending += n_row;
    if (f->n_pending >= SUMMED_ROWS)
        MDL_DO(add_pending(f, err));
    MDL_DO(rows.plan.is_double  ? take_sample<double>(f, block, n_row, a, b, err)
           : rows.plan.bfloat16 ? take_sample<__nv_bfloat16>(f, block, n_row, a, b, err)
                                : take_sample<float>(f, block, n_row, a, b, err));
    if (at.first > 0)
        return MDL_OK;
    return launch(rows.device, err, 1, add_lengths, mdl::rows_squares(rows, at.a, slot_a),
                  mdl::rows_squares(rows, at.b, slot_b), n_row, at.a == at.b, f->values);
}

extern "C" int mdl_feature_device_finish(mdl_feature_device_t *f, double *values, mdl_error_t *err)
{
    size_t n_byte = (size_t)(3 + 2 * f->n_sampled) * sizeof *values;
    const mdl::pipeline &d = f->rows.device;
    const mdl_feature_block_t &at = f->block;
    MDL_DO(add_pending(f, err));
    MDL_DO(launch(d, err, at.n_col, sum_squares, f->sum, at.n_b, at.a == at.b ? at.first : 0,
                  f->partial));
    MDL_DO(launch(d, err, 1, sum_all, f->partial, at.n_col, f->values));
    MDL_DO((f->rows.plan.is_double  ? add_sampled<double, double>(f, err)
            : f->rows.plan.bfloat16 ? add_sampled<float, __nv_bfloat16>(f, err)
                                    : add_sampled<float, float>(f, err)));
    MDL_CUDA(cudaMemcpyAsync(f->host_values, f->values, n_byte, cudaMemcpyDeviceToHost, d.compute));
    MDL_CUDA(cudaStreamSynchronize(d.compute));
    memcpy(values, f->host_values, n_byte);
    return MDL_OK;
}
