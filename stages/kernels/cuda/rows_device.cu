#include "kernels/cuda/rows_device.cuh"

#include "kernels/cuda/comparison_kernels.cuh"

#include <climits>
#include <cmath>

namespace
{

template <typename T, typename C>
__global__ void centre_rows(const T *x, int64_t n, int64_t n_feat, const double *reference,
                            const double *mean, double scale, C *centred)
{
    int64_t stride = (int64_t)gridDim.x * mdl::THREADS;
    for (int64_t k = mdl::thread_of_all(); k < n * n_feat; k += stride) {
        int64_t j = k % n_feat;
        centred[k] = mdl::rounded<C>(((double)x[k] - reference[j] - mean[j]) * scale);
    }
}

/* A block a row. */
template <typename C>
__global__ void square_lengths(const C *centred, int64_t n_feat, double *squares)
{
    const C *row = centred + (int64_t)blockIdx.x * n_feat;
    double sum = 0;
    for (int64_t j = threadIdx.x; j < n_feat; j += mdl::THREADS) {
        double value = mdl::widened(row[j]);
        sum += value * value;
    }
    sum = mdl::sum_of_block(sum);
    if (threadIdx.x == 0)
        squares[blockIdx.x] = sum;
}

template <typename T, typename C>
int prepare(mdl_rows_device_t &rows, int model, int64_t slot, int64_t n_row, const void *x,
            mdl_error_t *err)
{
    int64_t n_feat = rows.n_feat[(size_t)model], offset = rows.offset[(size_t)model];
    C *centred = (C *)mdl::rows_at(rows, model, slot);
    double *squares = const_cast<double *>(mdl::rows_squares(rows, model, slot));
    double scale = ldexp(1.0, rows.exponent[(size_t)model]);
    MDL_DO(launch(rows.device, err, mdl::n_block(n_row * n_feat), centre_rows<T, C>,
                  static_cast<const T *>(x), n_row, n_feat, rows.reference + offset,
                  rows.mean + offset, scale, centred));
    MDL_DO(mdl::upload_used(rows.device, rows.upload, err));
    return launch(rows.device, err, n_row, square_lengths<C>, centred, n_feat, squares);
}

size_t widest(const mdl_rows_device_plan_t &plan)
{
    int64_t n_feat = 0;
    for (int a = 0; a < plan.n_model; a++)
        n_feat = plan.n_feat[a] > n_feat ? plan.n_feat[a] : n_feat;
    return (size_t)n_feat;
}

double sum_of_features(const mdl_rows_device_plan_t &plan)
{
    double sum = 0;
    for (int a = 0; a < plan.n_model; a++)
        sum += (double)plan.n_feat[a];
    return sum;
}

} // namespace

double mdl::rows_block_bytes(const mdl_rows_device_plan_t &plan)
{
    double feat = sum_of_features(plan);
    double size = (double)reals_of(plan.is_double, plan.bfloat16).input_size;
    return (double)plan.tile * (feat * size + plan.n_model * (double)sizeof(double));
}

double mdl::rows_other_bytes(const mdl_rows_device_plan_t &plan)
{
    double size = (double)reals_of(plan.is_double, plan.bfloat16).size;
    return 2 * (double)plan.tile * (double)widest(plan) * size + 16 * sum_of_features(plan);
}

int mdl::rows_open(mdl_rows_device_t &rows, const mdl_rows_device_plan_t &plan, mdl_error_t *err)
{
    rows.plan = plan;
    rows.type = reals_of(plan.is_double, plan.bfloat16);
    for (int a = 0; a < plan.n_model; a++) {
        rows.n_feat.push_back(plan.n_feat[a]);
        rows.offset.push_back(rows.n_feat_all);
        rows.exponent.push_back(plan.exponent[a]);
        rows.n_feat_all += plan.n_feat[a];
    }
    if (widest(plan) > INT_MAX)
        return mdl_fail(err, MDL_E_USAGE, "a model of %zu features is too wide for cuBLAS",
                        widest(plan));
    rows.device.advice = "compare fewer models at once, or give --backend cpu";
    size_t all = (size_t)rows.n_feat_all, n_byte = all * sizeof(double);
    MDL_DO(open_pipeline(rows.device, plan.device, err));
    MDL_DO(open_upload(rows.device, rows.upload, (size_t)plan.tile * widest(plan), rows.type.size,
                       err));
    MDL_DO(allocate(rows.device, &rows.reference, all, sizeof(double), "mean rows", err));
    MDL_DO(allocate(rows.device, &rows.mean, all, sizeof(double), "mean rows", err));
    MDL_CUDA(cudaMemcpy(rows.reference, plan.reference, n_byte, cudaMemcpyHostToDevice));
    MDL_CUDA(cudaMemcpy(rows.mean, plan.mean, n_byte, cudaMemcpyHostToDevice));
    return MDL_OK;
}

int mdl::rows_make_room(mdl_rows_device_t &rows, mdl_error_t *err)
{
    const mdl_rows_device_plan_t &plan = rows.plan;
    size_t left = 0, all = 0, n_model = (size_t)plan.n_model, tile = (size_t)plan.tile;
    MDL_CUDA(cudaMemGetInfo(&left, &all));
    /* A tenth stays for cuBLAS and for those whose need isn't known. */
    double room = 0.9 * (double)left / (plan.n_sharer > 1 ? plan.n_sharer : 1);
    int64_t least = plan.n_block < 2 ? plan.n_block : 2;
    int64_t apart = plan.n_apart > 0;
    rows.n_slot = (int64_t)fmin(room / rows_block_bytes(plan) - apart, (double)plan.n_block);
    rows.n_slot = rows.n_slot < least ? least : rows.n_slot;
    size_t n_slot = (size_t)(rows.n_slot + apart),
           n_value = n_slot * (size_t)rows.n_feat_all * tile;
    rows.there.assign(n_slot * n_model, -1);
    MDL_DO(
        allocate(rows.device, &rows.values, n_value, rows.type.input_size, "blocks of rows", err));
    return allocate(rows.device, &rows.squares, n_slot * n_model * tile, sizeof(double),
                    "lengths of rows", err);
}

void mdl::rows_close(mdl_rows_device_t &rows)
{
    close_upload(rows.upload);
    close_pipeline(rows.device);
}

int64_t mdl::rows_slot(const mdl_rows_device_t &rows, int64_t block, int role)
{
    if (block == rows.plan.n_block)
        return rows.n_slot;
    if (rows.n_slot >= rows.plan.n_block || block < rows.n_slot - 2)
        return block;
    return rows.n_slot - 2 + role;
}

const char *mdl::rows_at(const mdl_rows_device_t &rows, int model, int64_t slot)
{
    int64_t first = (slot * rows.n_feat_all + rows.offset[(size_t)model]) * rows.plan.tile;
    return rows.values + (size_t)first * rows.type.input_size;
}

const double *mdl::rows_squares(const mdl_rows_device_t &rows, int model, int64_t slot)
{
    return rows.squares + (slot * rows.plan.n_model + model) * rows.plan.tile;
}

extern "C" int mdl_rows_device_want(mdl_rows_device_t *rows, int model, int64_t block, int role,
                                    void **x, mdl_error_t *err)
{
    int64_t slot = mdl::rows_slot(*rows, block, role);
    *x = nullptr;
    if (rows->there[(size_t)(slot * rows->plan.n_model + model)] == block)
        return MDL_OK;
    return mdl::upload_buffer(rows->upload, x, err);
}

extern "C" int mdl_rows_device_put(mdl_rows_device_t *rows, int model, int64_t block, int role,
                                   int64_t n_row, mdl_error_t *err)
{
    int64_t slot = mdl::rows_slot(*rows, block, role);
    size_t n_byte = (size_t)(n_row * rows->n_feat[(size_t)model]) * rows->type.size;
    const void *x = nullptr;
    MDL_DO(mdl::upload_send(rows->device, rows->upload, n_byte, &x, err));
    rows->there[(size_t)(slot * rows->plan.n_model + model)] = block;
    if (rows->plan.is_double)
        return prepare<double, double>(*rows, model, slot, n_row, x, err);
    if (rows->plan.bfloat16)
        return prepare<float, __nv_bfloat16>(*rows, model, slot, n_row, x, err);
    return prepare<float, float>(*rows, model, slot, n_row, x, err);
}
