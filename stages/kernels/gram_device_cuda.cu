extern "C" {
#include "kernels/gram_device.h"
}

#include "kernels/device_kernels.cuh"
#include "kernels/rows_device.cuh"

#include <climits>
#include <cstring>
#include <new>

struct mdl_gram_device {
    mdl_rows_device_t rows;
    std::vector<double> gamma; /* [n_model], none: the linear kernel */
    int drop_diagonal;
    int64_t stride; /* reals between the models' tiles, whole chunks */
    void *stack;    /* [n_model, stride] tiles */
    void *products; /* [n_chunk, n_model, n_model] */
    double *sums;   /* [n_pair], then lines: [n_model, 2, tile] */
    double *host_sums;
    cudaEvent_t done;
};

namespace
{

/* A block a row of a tile on the diagonal. */
template <typename T> __global__ void take_diagonal(T *tile, int64_t n, int drop, double *diagonal)
{
    int64_t i = blockIdx.x;
    T *row = tile + i * n;
    if (threadIdx.x == 0)
        diagonal[i] = (double)row[i];
    __syncthreads();
    for (int64_t j = i + !drop + threadIdx.x; j < n; j += mdl::THREADS)
        row[j] = (T)0;
}

/* A block a row; of a tile on the diagonal the upper triangle becomes 0, and the diagonal is. */
template <typename T>
__global__ void tile_to_rbf(T *tile, int64_t n_j, const double *squares_i, const double *squares_j,
                            double gamma, int on_diagonal)
{
    int64_t i = blockIdx.x;
    T *row = tile + i * n_j;
    for (int64_t j = threadIdx.x; j < n_j; j += mdl::THREADS)
        row[j] = on_diagonal && j >= i
                     ? (T)0
                     : mdl::rbf_less_one(row[j], squares_i[i], squares_j[j], gamma);
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

int64_t n_pair(int n_model)
{
    return (int64_t)n_model * (n_model + 1) / 2;
}

size_t n_sum(const mdl_rows_device_plan_t &plan)
{
    return (size_t)(n_pair(plan.n_model) + 2 * plan.n_model * plan.tile);
}

int allocate_all(mdl_gram_device_t *g, mdl_error_t *err)
{
    mdl::device &d = g->rows.device;
    size_t m = (size_t)g->rows.plan.n_model, n = n_sum(g->rows.plan), size = g->rows.type.size;
    size_t stride = (size_t)g->stride;
    MDL_DO(allocate(d, &g->stack, m * stride, size, "tiles of Gram matrices", err));
    MDL_DO(allocate(d, &g->products, stride / mdl::CHUNK * m * m, size, "products", err));
    MDL_DO(allocate(d, &g->sums, n, sizeof(double), "sums", err));
    MDL_DO(allocate_pinned(d, &g->host_sums, n, sizeof(double), err));
    MDL_CUDA(cudaEventCreateWithFlags(&g->done, cudaEventDisableTiming));
    return MDL_OK;
}

/* A block of rows in its place. */
struct place {
    int64_t slot, n;
};

template <typename T>
int make_tile(mdl_gram_device_t *g, int model, place i, place j, mdl_error_t *err)
{
    const mdl_rows_device_t &rows = g->rows;
    const mdl::device &d = rows.device;
    int64_t n_feat = rows.n_feat[(size_t)model], n_value = i.n * j.n;
    T *tile = static_cast<T *>(g->stack) + model * g->stride;
    double *lines = g->sums + n_pair(rows.plan.n_model) + 2 * model * rows.plan.tile;
    int on_diagonal = i.slot == j.slot;
    MDL_DO(
        mdl::multiply(d, rows.type,
                      {false, mdl::rows_at(rows, model, i.slot), mdl::rows_at(rows, model, j.slot),
                       i.n, j.n, n_feat, n_feat, n_feat, false, tile},
                      err));
    MDL_CUDA(cudaMemsetAsync(
        tile + n_value, 0, (size_t)(mdl::whole_chunks(n_value) - n_value) * sizeof(T), d.compute));
    if (g->gamma.empty())
        return on_diagonal
                   ? launch(d, err, i.n, take_diagonal<T>, tile, i.n, g->drop_diagonal, lines)
                   : MDL_OK;
    MDL_DO(launch(d, err, i.n, tile_to_rbf<T>, tile, j.n, mdl::rows_squares(rows, model, i.slot),
                  mdl::rows_squares(rows, model, j.slot), g->gamma[(size_t)model], on_diagonal));
    MDL_DO(launch(d, err, i.n, line_sums<T>, tile, j.n, j.n, 1, lines));
    return launch(d, err, j.n, line_sums<T>, tile, 1, i.n, j.n, lines + rows.plan.tile);
}

template <typename T> int start(mdl_gram_device_t *g, place i, place j, mdl_error_t *err)
{
    const mdl::device &d = g->rows.device;
    int n_model = g->rows.plan.n_model;
    int64_t n_chunk = mdl::whole_chunks(i.n * j.n) / mdl::CHUNK;
    for (int a = 0; a < n_model; a++)
        MDL_DO(make_tile<T>(g, a, i, j, err));
    MDL_DO(mdl::multiply_chunks(d, g->rows.type, g->stack, n_model, g->stride, n_chunk, g->products,
                                err));
    return launch(d, err, (int64_t)n_model * n_model, mdl::add_chunks<T>,
                  static_cast<const T *>(g->products), n_chunk, n_model, g->sums);
}

} // namespace

extern "C" double mdl_gram_device_bytes(const mdl_gram_device_plan_t *plan, int64_t n_block)
{
    double size = (double)mdl::reals_of(plan->rows.is_double, plan->rows.bfloat16).size;
    double m = plan->rows.n_model;
    double stride = (double)mdl::whole_chunks(plan->rows.tile * plan->rows.tile);
    return size * m * stride * (1 + m / (double)mdl::CHUNK) + mdl::rows_other_bytes(plan->rows) +
           (double)n_block * mdl::rows_block_bytes(plan->rows);
}

extern "C" int mdl_gram_device_open(const mdl_gram_device_plan_t *plan, mdl_gram_device_t **gram,
                                    mdl_error_t *err)
{
    mdl_gram_device_t *g = *gram = new (std::nothrow) mdl_gram_device{};
    if (g == nullptr)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for Gram tiles on a device");
    g->stride = mdl::whole_chunks(plan->rows.tile * plan->rows.tile);
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
    bool has_lines = !g->gamma.empty() || block_i == block_j;
    size_t n = has_lines ? n_sum(g->rows.plan) : (size_t)n_pair(g->rows.plan.n_model);
    MDL_CUDA(cudaMemcpyAsync(g->host_sums, g->sums, n * sizeof(double), cudaMemcpyDeviceToHost,
                             g->rows.device.compute));
    MDL_CUDA(cudaEventRecord(g->done, g->rows.device.compute));
    return MDL_OK;
}

extern "C" int mdl_gram_device_finish(mdl_gram_device_t *g, double *products, const double **lines,
                                      mdl_error_t *err)
{
    int64_t n = n_pair(g->rows.plan.n_model);
    MDL_CUDA(cudaEventSynchronize(g->done));
    memcpy(products, g->host_sums, (size_t)n * sizeof *products);
    *lines = g->host_sums + n;
    return MDL_OK;
}
