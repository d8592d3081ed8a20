/* The rows of rows_device.h, as the CUDA bodies that compute on them see them. */
#ifndef MDL_KERNELS_CUDA_ROWS_DEVICE_CUH
#define MDL_KERNELS_CUDA_ROWS_DEVICE_CUH

extern "C" {
#include "kernels/rows_device.h"
}

#include "kernels/cuda/pipeline.cuh"

struct mdl_rows_device {
    mdl_rows_device_plan_t plan;         /* without its pointers */
    std::vector<int64_t> n_feat, offset; /* [n_model] */
    std::vector<int> exponent;
    int64_t n_feat_all, n_slot; /* the slot beyond has the rows apart */
    std::vector<int64_t> there; /* [n_slot + 1, n_model] block, -1: none */
    mdl::reals type;
    mdl::pipeline device;
    mdl::upload upload;
    double *reference, *mean; /* on the device, [n_feat_all] */
    char *values;             /* [n_slot, n_feat_all, tile] */
    double *squares;          /* [n_slot, n_model, tile] squared lengths of the rows */
};

namespace mdl
{

/* Opens the device and takes what is needed beside the rows themselves. Freed with rows_close, also
 * after a failure. */
int rows_open(mdl_rows_device_t &rows, const mdl_rows_device_plan_t &plan, mdl_error_t *err);

/* Room for as many blocks as fit, once all else is allocated. */
int rows_make_room(mdl_rows_device_t &rows, mdl_error_t *err);
void rows_close(mdl_rows_device_t &rows);

/* Bytes of one block of all models, and of what rows_open takes. */
double rows_block_bytes(const mdl_rows_device_plan_t &plan);
double rows_other_bytes(const mdl_rows_device_plan_t &plan);

/* Place of a block; where its rows and their squared lengths are. */
int64_t rows_slot(const mdl_rows_device_t &rows, int64_t block, int role);
const char *rows_at(const mdl_rows_device_t &rows, int model, int64_t slot);
const double *rows_squares(const mdl_rows_device_t &rows, int model, int64_t slot);

} // namespace mdl

#endif
