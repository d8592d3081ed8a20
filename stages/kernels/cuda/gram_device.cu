extern "C" {
#include "kernels/gram_device.h"
}

#include "kernels/cuda/comparison_kernels.cuh"
#include "kernels/cuda/rows_device.cuh"

#include <climits>
#include <cstring>
#include <new>

struct mdl_gram_device {
    mdl_rows_device_t rows;
    std::vector<double> gamma; /* [n_model], none: the linear kernel */
    int drop_diagonal;
    int64_t n_row, n_column; /* of a part */
    int64_t stride;          /* reals between the models' tiles */
    void *stack;             /* [n_model, stride] tiles, with rows of whole parts */
    void *products;          /* [tile, n_across, n_model, n_model] of a row of a part */
    double *sums;            /* [n_down, n_across, n_pair] */
    double *lines;           /* [n_model, 2, tile] */
    double *host_sums, *host_lines;
    mdl_gram_tile_t tile; /* the one that was started */
    cudaEvent_t done;
};

namespace
{

/* A block a row of a tile on the diagonal. */
template <typename T>
__global__ void take_diagonal(T *tile, int64_t n, int64_t ld, int drop, double *diagonal)
{
    int64_t i = blockIdx.x;
    T *row = tile + i * ld;
    if (threadIdx.x == 0)
        diagonal[i] = (double)row[i];
    __syncthreads();
    for (int64_t j = i + !drop + threadIdx.x; j < n; j += mdl::THREADS)
        row[j] = (T)0;
}

/* A block a row; of a tile on the diagonal the upper triangle becomes 0, and the diagonal is. */
template <typename T>
__global__ void tile_to_rbf(T *tile, int64_t n_j, int64_t ld, const double *squares_i,
                            const double *squares_j, double gamma, int on_diagonal)
{
    int64_t i = blockIdx.x;
    T *row = tile + i * ld;
    for (int64_t j = threadIdx.x; j < n_j; j += mdl::THREADS)
        row[j] = on_diagonal && j >= i
                     ? (T)0
                     : mdl::rbf_less_one(row[j], squares_i[i], squares_j[j], gamma);
}

/* A block a row. */
template <typename T>
__global__ void subtract(T *tile, int64_t n_j, int64_t ld, const double *rows,
                         const double *columns)
{
    T *row = tile + (int64_t)blockIdx.x * ld;
    double own = rows[blockIdx.x];
    for (int64_t j = threadIdx.x; j < n_j; j += mdl::THREADS)
        row[j] = (T)((double)row[j] - own - columns[j]);
}

/* A block a line: values line * apart + k * step for k < n. */
template <typename T>
__global__ void line_sums(const T *tile, int64_t apart, int64_t n, int64_t step, double *sums)
{
    const T *line = tile + (int64_t)blockIdx.x * apart;
    double sum = 0;
    for (int64_t k = threadIdx.x; k < n; k += mdl::THREADS)
        sum += (double)line[k * step];
    sum = mdl::sum_of_block(sum);
    if (threadIdx.x == 0)
        sums[blockIdx.x] = sum;
}

/* A block a part, n_row of the n_i rows of a tile by one of n_across parts of them; a thread a
 * pair: the sum over the rows of products: [n_i, n_across, n_model, n_model]. */
template <typename T>
__global__ void add_rows(const T *products, int64_t n_i, int64_t n_row, int64_t n_across,
                         int n_model, double *sums)
{
    int64_t first = blockIdx.x / n_across * n_row, part = blockIdx.x % n_across;
    int64_t end = first + n_row < n_i ? first + n_row : n_i;
    int64_t n_pair = (int64_t)n_model * (n_model + 1) / 2, size = (int64_t)n_model * n_model;
    for (int64_t k = threadIdx.x; k < size; k += mdl::THREADS) {
        int64_t a = k / n_model, b = k % n_model;
        double sum = 0;
        for (int64_t i = first; b <= a && i < end; i++)
            sum += (double)products[(i * n_across + part) * size + k];
        if (b <= a)
            sums[blockIdx.x * n_pair + a * (a + 1) / 2 + b] = sum;
    }
}

int64_t n_pair(int n_model)
{
    return (int64_t)n_model * (n_model + 1) / 2;
}

int64_t n_part(int64_t n, int64_t of)
{
    return (n + of - 1) / of;
}

/* Rows of a part: few, as a thread adds them one after the other. */
int64_t rows_of_part(int64_t n_column)
{
    return n_column < 64 ? n_column : 64;
}

int allocate_all(mdl_gram_device_t *g, mdl_error_t *err)
{
    mdl::pipeline &d = g->rows.device;
    int64_t tile = g->rows.plan.tile, across = n_part(tile, g->n_column);
    size_t m = (size_t)g->rows.plan.n_model, size = g->rows.type.size, real = sizeof(double);
    int64_t down = n_part(tile, g->n_row), apart = g->rows.plan.n_apart;
    size_t n = (size_t)((down > apart ? down : apart) * across * n_pair(g->rows.plan.n_model));
    size_t n_line = 2 * m * (size_t)tile;
    MDL_DO(allocate(d, &g->stack, m * (size_t)g->stride, size, "tiles of Gram matrices", err));
    MDL_DO(allocate(d, &g->products, (size_t)(tile * across) * m * m, size, "products", err));
    MDL_DO(allocate(d, &g->sums, n, real, "sums", err));
    MDL_DO(allocate(d, &g->lines, n_line, real, "sums", err));
    MDL_DO(allocate_pinned(d, &g->host_sums, n, real, err));
    MDL_DO(allocate_pinned(d, &g->host_lines, n_line, real, err));
    MDL_CUDA(cudaEventCreateWithFlags(&g->done, cudaEventDisableTiming));
    return MDL_OK;
}

/* A block of rows in its place. */
struct place {
    int64_t slot, n;
};

/* The model's kernel matrix of rows i by rows j. */
template <typename T>
int make_kernel(mdl_gram_device_t *g, int model, place i, place j, mdl_error_t *err)
{
    const mdl_rows_device_t &rows = g->rows;
    const mdl::pipeline &d = rows.device;
    int64_t n_feat = rows.n_feat[(size_t)model], ld = n_part(j.n, g->n_column) * g->n_column;
    T *tile = static_cast<T *>(g->stack) + model * g->stride;
    MDL_DO(
        mdl::multiply(d, rows.type,
                      {false, mdl::rows_at(rows, model, i.slot), mdl::rows_at(rows, model, j.slot),
                       i.n, j.n, n_feat, n_feat, n_feat, false, tile, ld},
                      err));
    if (ld > j.n)
        MDL_CUDA(cudaMemset2DAsync(tile + j.n, (size_t)ld * sizeof(T), 0,
                                   (size_t)(ld - j.n) * sizeof(T), (size_t)i.n, d.compute));
    if (g->gamma.empty())
        return MDL_OK;
    return launch(d, err, i.n, tile_to_rbf<T>, tile, j.n, ld,
                  mdl::rows_squares(rows, model, i.slot), mdl::rows_squares(rows, model, j.slot),
                  g->gamma[(size_t)model], i.slot == j.slot);
}

template <typename T>
int make_tile(mdl_gram_device_t *g, int model, place i, place j, mdl_error_t *err)
{
    const mdl::pipeline &d = g->rows.device;
    int64_t side = g->rows.plan.tile, ld = n_part(j.n, g->n_column) * g->n_column;
    T *tile = static_cast<T *>(g->stack) + model * g->stride;
    MDL_DO(make_kernel<T>(g, model, i, j, err));
    if (g->gamma.empty())
        return i.slot == j.slot ? launch(d, err, i.n, take_diagonal<T>, tile, i.n, ld,
                                         g->drop_diagonal, g->lines + model * side)
                                : MDL_OK;
    double *lines = g->lines + 2 * model * side;
    MDL_DO(launch(d, err, i.n, line_sums<T>, tile, ld, j.n, 1, lines));
    return launch(d, err, j.n, line_sums<T>, tile, 1, i.n, ld, lines + side);
}

template <typename T> int start(mdl_gram_device_t *g, place i, place j, mdl_error_t *err)
{
    const mdl::pipeline &d = g->rows.device;
    int n_model = g->rows.plan.n_model;
    int64_t down = n_part(i.n, g->n_row), across = n_part(j.n, g->n_column);
    for (int a = 0; a < n_model; a++)
        MDL_DO(make_tile<T>(g, a, i, j, err));
    MDL_DO(mdl::multiply_chunks(d, g->rows.type, g->stack, n_model, g->stride, g->n_column,
                                i.n * across, g->products, err));
    g->tile = {g->n_row, g->n_column, down, across, g->host_sums, g->host_lines};
    return launch(d, err, down * across, add_rows<T>, static_cast<const T *>(g->products), i.n,
                  g->n_row, across, n_model, g->sums);
}

/* As start, for the rows apart; what is subtracted is in lines. */
template <typename T> int start_sample(mdl_gram_device_t *g, place i, place j, mdl_error_t *err)
{
    const mdl::pipeline &d = g->rows.device;
    int n_model = g->rows.plan.n_model;
    int64_t across = n_part(j.n, g->n_column), side = g->rows.plan.tile;
    for (int a = 0; a < n_model; a++) {
        const double *lines = g->lines + 2 * a * side;
        MDL_DO(make_kernel<T>(g, a, i, j, err));
        MDL_DO(launch(d, err, i.n, subtract<T>, static_cast<T *>(g->stack) + a * g->stride, j.n,
                      across * g->n_column, lines, lines + side));
    }
    MDL_DO(mdl::multiply_chunks(d, g->rows.type, g->stack, n_model, g->stride, g->n_column,
                                i.n * across, g->products, err));
    return launch(d, err, i.n * across, add_rows<T>, static_cast<const T *>(g->products), i.n, 1,
                  across, n_model, g->sums);
}

} // namespace

extern "C" double mdl_gram_device_bytes(const mdl_gram_device_plan_t *plan, int64_t n_block)
{
    double size = (double)mdl::reals_of(plan->rows.is_double, plan->rows.bfloat16).size;
    double m = plan->rows.n_model, tile = (double)plan->rows.tile;
    double across = (double)n_part(plan->rows.tile, plan->n_column);
    return size * m * tile * across * ((double)plan->n_column + m) +
           mdl::rows_other_bytes(plan->rows) +
           (double)(n_block + (plan->rows.n_apart > 0)) * mdl::rows_block_bytes(plan->rows);
}

extern "C" int mdl_gram_device_open(const mdl_gram_device_plan_t *plan, mdl_gram_device_t **gram,
                                    mdl_error_t *err)
{
    mdl_gram_device_t *g = *gram = new (std::nothrow) mdl_gram_device{};
    if (g == nullptr)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for Gram tiles on a device");
    g->n_column = plan->n_column;
    g->n_row = rows_of_part(plan->n_column);
    g->stride = plan->rows.tile * n_part(plan->rows.tile, plan->n_column) * plan->n_column;
    g->drop_diagonal = plan->drop_diagonal;
    if (plan->gamma != nullptr)
        g->gamma.assign(plan->gamma, plan->gamma + plan->rows.n_model);
    int rc = mdl::rows_open(g->rows, plan->rows, err);
    if (rc == MDL_OK)
        rc = allocate_all(g, err);
    if (rc == MDL_OK)
        rc = mdl::rows_make_room(g->rows, err);
    if (rc != MDL_OK) {
        mdl_gram_device_close(g);
        *gram = nullptr;
    }
    return rc;
}

extern "C" void mdl_gram_device_close(mdl_gram_device_t *g)
{
    if (g == nullptr)
        return;
    if (g->done != nullptr)
        cudaEventDestroy(g->done);
    mdl::rows_close(g->rows);
    delete g;
}

extern "C" mdl_rows_device_t *mdl_gram_device_rows(mdl_gram_device_t *g)
{
    return &g->rows;
}

extern "C" int mdl_gram_device_start(mdl_gram_device_t *g, int64_t block_i, int64_t n_i,
                                     int64_t block_j, int64_t n_j, mdl_error_t *err)
{
    place i = {mdl::rows_slot(g->rows, block_i, 0), n_i};
    place j = {mdl::rows_slot(g->rows, block_j, block_i == block_j ? 0 : 1), n_j};
    MDL_DO(g->rows.plan.is_double ? start<double>(g, i, j, err) : start<float>(g, i, j, err));
    cudaStream_t stream = g->rows.device.compute;
    size_t m = (size_t)g->rows.plan.n_model, real = sizeof(double);
    size_t n = (size_t)(g->tile.n_down * g->tile.n_across * n_pair(g->rows.plan.n_model));
    size_t n_line = !g->gamma.empty()  ? 2 * m * (size_t)g->rows.plan.tile
                    : i.slot == j.slot ? m * (size_t)g->rows.plan.tile
                                       : 0;
    MDL_CUDA(cudaMemcpyAsync(g->host_sums, g->sums, n * real, cudaMemcpyDeviceToHost, stream));
    if (n_line > 0)
        MDL_CUDA(cudaMemcpyAsync(g->host_lines, g->lines, n_line * real, cudaMemcpyDeviceToHost,
                                 stream));
    MDL_CUDA(cudaEventRecord(g->done, stream));
    return MDL_OK;
}

extern "C" int mdl_gram_device_finish(mdl_gram_device_t *g, mdl_gram_tile_t *tile, mdl_error_t *err)
{
    MDL_CUDA(cudaEventSynchronize(g->done));
    *tile = g->tile;
    return MDL_OK;
}

extern "C" int mdl_gram_device_sample(mdl_gram_device_t *g, int64_t block_j, int64_t n_j,
                                      const double *own, const double *columns, int64_t stride,
                                      double *sums, mdl_error_t *err)
{
    const mdl_rows_device_plan_t &plan = g->rows.plan;
    cudaStream_t stream = g->rows.device.compute;
    place i = {mdl::rows_slot(g->rows, plan.n_block, 0), plan.n_apart};
    place j = {mdl::rows_slot(g->rows, block_j, 1), n_j};
    int64_t across = n_part(n_j, g->n_column), pairs = n_pair(plan.n_model);
    size_t n = (size_t)(i.n * across * pairs), real = sizeof(double);
    for (int64_t a = 0; a < plan.n_model; a++) {
        double *lines = g->host_lines + 2 * a * plan.tile;
        memcpy(lines, own + a * i.n, (size_t)i.n * real);
        memcpy(lines + plan.tile, columns + a * stride, (size_t)n_j * real);
    }
    MDL_CUDA(cudaMemcpyAsync(g->lines, g->host_lines,
                             2 * (size_t)plan.n_model * (size_t)plan.tile * real,
                             cudaMemcpyHostToDevice, stream));
    MDL_DO(plan.is_double ? start_sample<double>(g, i, j, err) : start_sample<float>(g, i, j, err));
    MDL_CUDA(cudaMemcpyAsync(g->host_sums, g->sums, n * real, cudaMemcpyDeviceToHost, stream));
    MDL_CUDA(cudaStreamSynchronize(stream));
    for (int64_t s = 0; s < i.n; s++)
        for (int64_t pair = 0; pair < pairs; pair++) {
            sums[s * pairs + pair] = 0;
            for (int64_t c = 0; c < across; c++)
                sums[s * pairs + pair] += g->host_sums[(s * across + c) * pairs + pair];
        }
    return MDL_OK;
}
