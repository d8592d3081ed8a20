/* No devices: what the headers of the CUDA bodies offer in a build without MORDAL_ENABLE_CUDA. */
#include "kernels/batch_device.h"
#include "kernels/device.h"
#include "kernels/feature_device.h"
#include "kernels/gram_device.h"

static int no_device(mdl_error_t *err)
{
    const char *why;
    mdl_device_count(&why);
    return mdl_fail(err, MDL_E_USAGE, "%s", why);
}

int mdl_device_count(const char **why)
{
    *why = "this Mordal was built without CUDA: configure with MORDAL_ENABLE_CUDA=ON";
    return 0;
}

int mdl_device_describe(int device, mdl_device_t *found, mdl_error_t *err)
{
    (void)device, (void)found;
    return no_device(err);
}

int mdl_device_rate(int device, int is_double, int bfloat16, int64_t n, double *rate,
                    mdl_error_t *err)
{
    (void)device, (void)is_double, (void)bfloat16, (void)n, (void)rate;
    return no_device(err);
}

double mdl_batch_device_bytes(const mdl_batch_device_plan_t *plan)
{
    (void)plan;
    return 0;
}

int mdl_batch_device_open(const mdl_batch_device_plan_t *plan, mdl_batch_device_t **batch,
                          mdl_error_t *err)
{
    (void)plan;
    *batch = NULL;
    return no_device(err);
}

void mdl_batch_device_close(mdl_batch_device_t *batch)
{
    (void)batch;
}

int mdl_batch_device_take(mdl_batch_device_t *batch, int model, int64_t n_row, int64_t n_feat,
                          const void *x, double gamma, int gamma_exponent, mdl_error_t *err)
{
    (void)batch, (void)model, (void)n_row, (void)n_feat, (void)x, (void)gamma;
    (void)gamma_exponent;
    return no_device(err);
}

int mdl_batch_device_finish(mdl_batch_device_t *batch, int64_t n_row, double *hsic, double *power,
                            double *exponent, int64_t *bad, mdl_error_t *err)
{
    (void)batch, (void)n_row, (void)hsic, (void)power, (void)exponent, (void)bad;
    return no_device(err);
}

int mdl_rows_device_want(mdl_rows_device_t *rows, int model, int64_t block, int role, void **x,
                         mdl_error_t *err)
{
    (void)rows, (void)model, (void)block, (void)role, (void)x;
    return no_device(err);
}

int mdl_rows_device_put(mdl_rows_device_t *rows, int model, int64_t block, int role, int64_t n_row,
                        mdl_error_t *err)
{
    (void)rows, (void)model, (void)block, (void)role, (void)n_row;
    return no_device(err);
}

double mdl_gram_device_bytes(const mdl_gram_device_plan_t *plan, int64_t n_block)
{
    (void)plan, (void)n_block;
    return 0;
}

int mdl_gram_device_open(const mdl_gram_device_plan_t *plan, mdl_gram_device_t **gram,
                         mdl_error_t *err)
{
    (void)plan;
    *gram = NULL;
    return no_device(err);
}

void mdl_gram_device_close(mdl_gram_device_t *gram)
{
    (void)gram;
}

mdl_rows_device_t *mdl_gram_device_rows(mdl_gram_device_t *gram)
{
    (void)gram;
    return NULL;
}

int mdl_gram_device_start(mdl_gram_device_t *gram, int64_t block_i, int64_t n_i, int64_t block_j,
                          int64_t n_j, mdl_error_t *err)
{
    (void)gram, (void)block_i, (void)n_i, (void)block_j, (void)n_j;
    return no_device(err);
}

int mdl_gram_device_finish(mdl_gram_device_t *gram, mdl_gram_tile_t *tile, mdl_error_t *err)
{
    (void)gram, (void)tile;
    return no_device(err);
}

int mdl_gram_device_sample(mdl_gram_device_t *gram, int64_t block_j, int64_t n_j, const double *own,
                           const double *columns, int64_t stride, double *sums, mdl_error_t *err)
{
    (void)gram, (void)block_j, (void)n_j, (void)own, (void)columns, (void)stride, (void)sums;
    return no_device(err);
}

double mdl_feature_device_bytes(const mdl_feature_device_plan_t *plan, int64_t n_block)
{
    (void)plan, (void)n_block;
    return 0;
}

int mdl_feature_device_open(const mdl_feature_device_plan_t *plan, mdl_feature_device_t **feature,
                            mdl_error_t *err)
{
    (void)plan;
    *feature = NULL;
    return no_device(err);
}

void mdl_feature_device_close(mdl_feature_device_t *feature)
{
    (void)feature;
}

mdl_rows_device_t *mdl_feature_device_rows(mdl_feature_device_t *feature)
{
    (void)feature;
    return NULL;
}

int mdl_feature_device_start(mdl_feature_device_t *feature, const mdl_feature_block_t *block,
                             mdl_error_t *err)
{
    (void)feature, (void)block;
    return no_device(err);
}

int mdl_feature_device_add(mdl_feature_device_t *feature, int64_t rows, int64_t n_row,
                           mdl_error_t *err)
{
    (void)feature, (void)rows, (void)n_row;
    return no_device(err);
}

int mdl_feature_device_finish(mdl_feature_device_t *feature, double *values, mdl_error_t *err)
{
    (void)feature, (void)values;
    return no_device(err);
}
