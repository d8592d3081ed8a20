#include "similarity/rbf_sample.h"

#include "mpi/agree.h"
#include "mpi/ordered.h"
#include "similarity/reader.h"

#include <math.h>
#include <stdlib.h>

enum { BLOCK = 256, LANES = 8 }; /* rows that the CPU takes at a time */

typedef struct {
    const mdl_means_t *means;
    mdl_full_device_t *device; /* NULL: the CPU */
    int64_t n, n_row, n_item;  /* sampled rows; rows of a block; blocks */
    int64_t first, step;       /* this rank's blocks */
    double *subtract;          /* [n_model, n_sample] of row and column, which centres the kernel */
    double *own;               /* [n_model, n] of the sampled rows */
    double *sums;              /* [n, n_pair] products over all rows */
    mdl_reader_t *reader;      /* on the CPU, with what follows */
    void *packed;              /* [n_feat_all, padded n] the sampled rows */
    double *norm;              /* [n_model, n] their squared lengths */
    void *block, *gram;        /* [max n_feat, BLOCK], [padded n, BLOCK] */
    double *block_norm;        /* [BLOCK] */
    double *centred;           /* [n_model, n, BLOCK] */
} work_t;

mdl_rbf_weights_t mdl_rbf_weights(const mdl_cka_task_t *task)
{
    double n = (double)task->n_sample;
    if (task->settings->estimator == MDL_CKA_BIASED)
        return (mdl_rbf_weights_t){n, n * n, (n - 1) * (n - 1)};
    return (mdl_rbf_weights_t){n - 2, (n - 1) * (n - 2), n * (n - 3)};
}

int64_t mdl_rbf_sample_size(int n_model, int64_t n_sample)
{
    enum { ONE_OF = 32, FEWEST = 128, MOST = 1024, MOST_VALUES = 1 << 16, ALWAYS = 16 };
    int64_t most = MOST_VALUES / mdl_cka_pair(n_model, 0), n = n_sample / ONE_OF;
    n = n < FEWEST ? FEWEST : n > MOST ? MOST : n;
    most = most < ALWAYS ? ALWAYS : most;
    n = n < most ? n : most;
    return n < n_sample ? n : n_sample;
}

static int64_t row_of(const work_t *work, int64_t s)
{
    return s * work->means->task->n_sample / work->n;
}

static int64_t rows_of_block(const work_t *work, int64_t item)
{
    int64_t left = work->means->task->n_sample - item * work->n_row;
    return left < work->n_row ? left : work->n_row;
}

static void *packed_of(const work_t *work, int model)
{
    int64_t first = work->means->offset[model] * mdl_real_padded(work->n);
    return (char *)work->packed + (size_t)first * work->means->task->real->size;
}

/* The sampled rows of a model, x: [n, n_feat] scratch or, on a device, where they are to be. */
static int read_sample(work_t *work, int model, void *x, mdl_error_t *err)
{
    const mdl_rows_t *rows = &work->means->task->models[model];
    const mdl_real_t *real = work->means->task->real;
    size_t n_byte = (size_t)rows->n_feat * real->size;
    int rc = MDL_OK;
    for (int64_t s = 0; rc == MDL_OK && s < work->n; s++)
        rc = rows->read(rows, row_of(work, s), 1, real->encoding, (char *)x + (size_t)s * n_byte,
                        err);
    return rc;
}

static int take_on_device(work_t *work, mdl_error_t *err)
{
    int rc = MDL_OK;
    for (int a = 0; rc == MDL_OK && a < work->means->task->n_model; a++) {
        void *x;
        rc = mdl_full_device_sample_place(work->device, a, &x, err);
        if (rc == MDL_OK)
            rc = read_sample(work, a, x, err);
        if (rc == MDL_OK)
            rc = mdl_full_device_sample_take(work->device, a, work->n, err);
    }
    return rc;
}

static mdl_read_t ask(void *data, int64_t request)
{
    const work_t *work = data;
    int64_t n_model = work->means->task->n_model;
    int64_t item = work->first + request / n_model * work->step;
    return (mdl_read_t){(int)(request % n_model), item * work->n_row, rows_of_block(work, item)};
}

static int take_on_cpu(work_t *work, int64_t n_own, mdl_error_t *err)
{
    const mdl_cka_task_t *task = work->means->task;
    size_t size = task->real->size, feat = (size_t)mdl_cka_max_feat(task), n = (size_t)work->n;
    size_t padded = (size_t)mdl_real_padded(work->n), n_model = (size_t)task->n_model;
    void *x = NULL;
    int rc;
    MDL_TRY(mdl_alloc_aligned(&work->packed, (size_t)work->means->n_feat_all * padded, size,
                              "rows of a sample", err));
    MDL_TRY(mdl_alloc(&work->norm, n_model * n, sizeof(double), "squared lengths", err));
    MDL_TRY(mdl_alloc_aligned(&work->block, feat * BLOCK, size, "packed rows", err));
    MDL_TRY(mdl_alloc_aligned(&work->gram, padded * BLOCK, size, "kernel values", err));
    MDL_TRY(mdl_alloc(&work->block_norm, BLOCK, sizeof(double), "squared lengths", err));
    MDL_TRY(mdl_alloc(&work->centred, n_model * n * BLOCK, sizeof(double), "kernel values", err));
    MDL_TRY(mdl_alloc(&x, n * feat, size, "rows of a sample", err));
    for (int a = 0; a < task->n_model; a++) {
        MDL_TRY(read_sample(work, a, x, err));
        mdl_means_pack(work->means, a, work->n, x, packed_of(work, a));
        task->real->packed_norms(packed_of(work, a), work->n, task->models[a].n_feat,
                                 work->norm + a * work->n);
    }
    if (n_own > 0)
        rc = mdl_reader_start(&work->reader, task->models, task->real->encoding,
                              n_own * task->n_model, (int64_t)feat * BLOCK, 1, ask, work, err);
done:
    free(x);
    return rc;
}

/* The centred kernel values of the sampled rows with a block's. */
static int centre_block(work_t *work, int model, int64_t item, mdl_error_t *err)
{
    const mdl_cka_task_t *task = work->means->task;
    const mdl_real_t *real = task->real;
    int64_t n_j = rows_of_block(work, item), n_feat = task->models[model].n_feat;
    int64_t ld = mdl_real_padded(n_j);
    const double *columns = work->subtract + model * task->n_sample + item * work->n_row;
    void *x;
    int rc = mdl_reader_next(work->reader, &x, err);
    if (rc != MDL_OK)
        return rc;
    mdl_means_pack(work->means, model, n_j, x, work->block);
    real->packed_norms(work->block, n_j, n_feat, work->block_norm);
    real->gram(packed_of(work, model), work->n, work->block, n_j, n_feat, work->gram);
    real->rbf(work->gram, work->n, n_j, work->norm + model * work->n, work->block_norm,
              task->gamma[model]);
    for (int64_t s = 0; s < work->n; s++) {
        double *row = work->centred + (model * work->n + s) * BLOCK;
        double own = work->own[model * work->n + s];
        for (int64_t j = 0; j < n_j; j++)
            row[j] = mdl_real_get(real, work->gram, s * ld + j) - own - columns[j];
        for (int64_t j = n_j; j < BLOCK; j++)
            row[j] = 0;
    }
    return MDL_OK;
}

static double dot(const double *x, const double *y)
{
    double lane[LANES] = {0}, sum = 0;
    for (int64_t k = 0; k < BLOCK; k += LANES)
        for (int l = 0; l < LANES; l++)
            lane[l] += x[k + l] * y[k + l];
    for (int l = 0; l < LANES; l++)
        sum += lane[l];
    return sum;
}

static int compute(void *data, int64_t item, double *values, mdl_error_t *err)
{
    work_t *work = data;
    const mdl_cka_task_t *task = work->means->task;
    if (work->device != NULL)
        return mdl_full_device_sample(work->device, item, work->own, work->subtract, values, err);
    for (int a = 0; a < task->n_model; a++) {
        int rc = centre_block(work, a, item, err);
        if (rc != MDL_OK)
            return rc;
    }
    for (int64_t s = 0; s < work->n; s++)
        for (int a = 0; a < task->n_model; a++)
            for (int b = 0; b <= a; b++)
                values[s * task->n_pair + mdl_cka_pair(a, b)] =
                    dot(work->centred + (a * work->n + s) * BLOCK,
                        work->centred + (b * work->n + s) * BLOCK);
    return MDL_OK;
}

static void fold(void *data, int64_t item, const double *values)
{
    work_t *work = data;
    (void)item;
    for (int64_t k = 0; k < work->n * work->means->task->n_pair; k++)
        work->sums[k] += values[k];
}

/* A row counts with all pairs (i, j) and (j, i); the pair (i, i) once for the biased estimator, not
 * at all for the unbiased one, while sums have it, with a kernel value less 1 of 0. */
static void finish(work_t *work)
{
    const mdl_cka_task_t *task = work->means->task;
    double scale = mdl_rbf_weights(task).scale;
    double weight = sqrt((double)task->n_sample / (double)work->n) / scale;
    double diagonal = task->settings->estimator == MDL_CKA_BIASED ? 1 : 2;
    for (int a = 0; a < task->n_model; a++) {
        for (int b = 0; b <= a; b++) {
            double *unit = task->sums->unit + mdl_cka_pair(a, b), mean = 0;
            for (int64_t s = 0; s < work->n; s++) {
                double own = 4 * work->own[a * work->n + s] * work->own[b * work->n + s];
                double change = 2 * work->sums[s * task->n_pair + mdl_cka_pair(a, b)];
                unit[s * task->n_pair] = change - diagonal * own;
                mean += unit[s * task->n_pair] / (double)work->n;
            }
            for (int64_t s = 0; s < work->n; s++)
                unit[s * task->n_pair] = weight * (unit[s * task->n_pair] - mean);
        }
    }
}

static int prepare(work_t *work, const double *row_sum, mdl_error_t *err)
{
    const mdl_cka_task_t *task = work->means->task;
    mdl_rbf_weights_t weights = mdl_rbf_weights(task);
    size_t n_model = (size_t)task->n_model, n = (size_t)work->n, n_sample = (size_t)task->n_sample;
    size_t n_value = n * (size_t)task->n_pair;
    int rc;
    MDL_TRY(mdl_alloc(&work->subtract, n_model * n_sample, sizeof(double), "row sums", err));
    MDL_TRY(mdl_alloc(&work->own, n_model * n, sizeof(double), "row sums", err));
    MDL_TRY(mdl_alloc(&work->sums, n_value, sizeof(double), "sums of products", err));
    MDL_TRY(mdl_alloc(&task->sums->unit, n_value, sizeof(double), "sums of rows", err));
    task->sums->n_unit = work->n;
    for (int a = 0; a < task->n_model; a++) {
        const double *sums = row_sum + a * task->n_sample;
        double *subtract = work->subtract + a * task->n_sample, total = 0;
        for (int64_t i = 0; i < task->n_sample; i++)
            total += sums[i];
        for (int64_t i = 0; i < task->n_sample; i++)
            subtract[i] = sums[i] / weights.row - total / weights.total / 2;
        for (int64_t s = 0; s < work->n; s++)
            work->own[a * work->n + s] = subtract[row_of(work, s)];
    }
done:
    return rc;
}

static void release(work_t *work)
{
    mdl_reader_stop(work->reader);
    free(work->subtract);
    free(work->own);
    free(work->sums);
    free(work->packed);
    free(work->norm);
    free(work->block);
    free(work->gram);
    free(work->block_norm);
    free(work->centred);
}

int mdl_rbf_sample_run(MPI_Comm comm, const mdl_means_t *means, mdl_full_device_t *device,
                       const double *row_sum, mdl_error_t *err)
{
    const mdl_cka_task_t *task = means->task;
    work_t work = {.means = means,
                   .device = device,
                   .n = mdl_rbf_sample_size(task->n_model, task->n_sample),
                   .n_row = device != NULL ? means->tile : BLOCK};
    int n_rank, rank, rc;
    work.n_item = (task->n_sample + work.n_row - 1) / work.n_row;
    mdl_ordered_t run = {.n_item = work.n_item,
                         .n_value = work.n * task->n_pair,
                         .what = "blocks for the standard errors",
                         .compute = compute,
                         .fold = fold,
                         .data = &work};
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &n_rank);
    work.first = rank;
    work.step = mdl_ordered_step(&run, n_rank);
    int64_t n_own = rank < work.step && rank < work.n_item
                        ? (work.n_item - rank + work.step - 1) / work.step
                        : 0;
    rc = prepare(&work, row_sum, err);
    if (rc == MDL_OK)
        rc = device != NULL ? take_on_device(&work, err) : take_on_cpu(&work, n_own, err);
    MDL_TRY(mdl_agree(comm, rc, err));
    MDL_TRY(mdl_ordered_run(comm, &run, err));
    task->sums->bytes_sent += run.n_item * run.n_value * 8;
    finish(&work);
done:
    release(&work);
    return rc;
}
