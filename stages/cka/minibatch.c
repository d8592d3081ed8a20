#include "cka/block.h"
#include "cka/estimate.h"
#include "core/log.h"
#include "mpi/agree.h"
#include "mpi/ordered.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    mdl_cka_task_t *task;
    int64_t n_pair, n_batch;
    double *x;         /* [batch, max n_feat] */
    double *feat;      /* [max n_feat] */
    double *gram;      /* [batch, batch] */
    double *row;       /* [batch] */
    double *centred;   /* [n_model, batch (batch - 1) / 2] */
    int *reference;    /* [n_model] exponent that the sums are kept in */
    int has_reference; /* the first batch has been folded */
} work_t;

int64_t mdl_cka_n_batch(int64_t n_sample, int64_t batch)
{
    return n_sample / batch + (n_sample % batch >= MDL_CKA_MIN_ROWS);
}

/* Kernel matrix of the model's rows, lower triangle in work->gram. */
static int kernel_of_batch(work_t *work, int model, int64_t first, int64_t n, int *exponent,
                           mdl_error_t *err)
{
    mdl_cka_task_t *task = work->task;
    const mdl_rows_t *rows = &task->models[model];
    double spread;
    int rc = mdl_block_read(rows, first, n, NULL, work->x, &spread, err);
    if (rc != MDL_OK)
        return rc;
    *exponent = task->gamma == NULL ? mdl_block_exponent(spread) : task->exponent[model];
    mdl_block_scale(work->x, n * rows->n_feat, *exponent);
    mdl_block_mean(work->x, n, rows->n_feat, work->feat);
    mdl_block_centre(work->x, n, rows->n_feat, work->feat);
    mdl_block_gram(work->x, n, work->x, n, rows->n_feat, work->gram);
    if (task->gamma != NULL) {
        mdl_block_norms(work->x, n, rows->n_feat, work->row);
        mdl_block_rbf(work->gram, n, n, work->row, work->row, task->gamma[model]);
        *exponent = 0;
    }
    return MDL_OK;
}

/* U-centring (Szekely and Rizzo 2014): subtracts row and column means of the off-diagonal part, so
 * that HSIC_1 is a plain sum of products. out: [n (n - 1) / 2]. */
static void u_centre(const double *gram, int64_t n, double *row, double *out)
{
    double total = 0;
    for (int64_t i = 0; i < n; i++)
        row[i] = 0;
    for (int64_t i = 1; i < n; i++) {
        for (int64_t j = 0; j < i; j++) {
            row[i] += gram[i * n + j];
            row[j] += gram[i * n + j];
        }
    }
    for (int64_t i = 0; i < n; i++) {
        total += row[i];
        row[i] /= (double)(n - 2);
    }
    total /= (double)(n - 1) * (double)(n - 2);
    for (int64_t i = 1; i < n; i++)
        for (int64_t j = 0; j < i; j++)
            *out++ = gram[i * n + j] - row[i] - row[j] + total;
}

static double square_sum_below_diagonal(const double *gram, int64_t n)
{
    double sum = 0;
    for (int64_t i = 1; i < n; i++)
        sum += mdl_block_dot(gram + i * n, gram + i * n, i);
    return sum;
}

/* values: HSIC_1 of all pairs, then power and exponent of each model. */
static int compute_batch(void *data, int64_t item, double *values, mdl_error_t *err)
{
    work_t *work = data;
    int n_model = work->task->n_model;
    int64_t batch = work->task->settings->batch, first = item * batch;
    int64_t n = work->task->n_sample - first < batch ? work->task->n_sample - first : batch;
    int64_t n_below = n * (n - 1) / 2;
    double scale = 2 / ((double)n * (double)(n - 3));
    double *power = values + work->n_pair;
    for (int a = 0; a < n_model; a++) {
        int exponent;
        int rc = kernel_of_batch(work, a, first, n, &exponent, err);
        if (rc != MDL_OK)
            return rc;
        double *mine = work->centred + a * n_below;
        u_centre(work->gram, n, work->row, mine);
        power[a] = scale * square_sum_below_diagonal(work->gram, n);
        power[n_model + a] = exponent;
        for (int b = 0; b <= a; b++)
            values[mdl_cka_pair(a, b)] =
                scale * mdl_block_dot(mine, work->centred + b * n_below, n_below);
    }
    return MDL_OK;
}

static void fold_batch(void *data, int64_t item, const double *values)
{
    work_t *work = data;
    mdl_cka_task_t *task = work->task;
    const double *power = values + work->n_pair, *exponent = power + task->n_model;
    (void)item;
    for (int a = 0; !work->has_reference && a < task->n_model; a++)
        work->reference[a] = (int)exponent[a];
    work->has_reference = 1;
    for (int a = 0; a < task->n_model; a++) {
        int shift_a = 2 * (work->reference[a] - (int)exponent[a]);
        task->power[a] += ldexp(power[a], 2 * shift_a);
        for (int b = 0; b <= a; b++) {
            int shift_b = 2 * (work->reference[b] - (int)exponent[b]);
            int64_t pair = mdl_cka_pair(a, b);
            task->hsic[pair] += ldexp(values[pair], shift_a + shift_b);
        }
    }
}

static int allocate(work_t *work, mdl_error_t *err)
{
    mdl_cka_task_t *task = work->task;
    size_t n_model = (size_t)task->n_model, feat = (size_t)mdl_cka_max_feat(task);
    size_t batch = (size_t)task->settings->batch;
    if (batch > (size_t)task->n_sample)
        batch = (size_t)task->n_sample;
    int rc;
    MDL_TRY(mdl_alloc(&work->x, batch * feat, sizeof *work->x, "a batch of rows", err));
    MDL_TRY(mdl_alloc(&work->feat, feat, sizeof *work->feat, "a mean row", err));
    MDL_TRY(mdl_alloc(&work->gram, batch * batch, sizeof *work->gram, "a Gram matrix", err));
    MDL_TRY(mdl_alloc(&work->row, batch, sizeof *work->row, "row sums", err));
    MDL_TRY(mdl_alloc(&work->centred, n_model * (batch * (batch - 1) / 2), sizeof *work->centred,
                      "centred Gram matrices", err));
    MDL_TRY(mdl_alloc(&work->reference, n_model, sizeof *work->reference, "exponents", err));
done:
    return rc;
}

int mdl_cka_minibatch(MPI_Comm comm, mdl_cka_task_t *task, mdl_error_t *err)
{
    int64_t batch = task->settings->batch;
    work_t work = {.task = task,
                   .n_pair = mdl_cka_pair(task->n_model, 0),
                   .n_batch = mdl_cka_n_batch(task->n_sample, batch)};
    if (task->n_sample > work.n_batch * batch)
        mdl_log(MDL_LOG_WARN,
                "the last %lld rows are fewer than %d and make no batch: they are left out",
                (long long)(task->n_sample - work.n_batch * batch), MDL_CKA_MIN_ROWS);
    mdl_ordered_t ordered = {.n_item = work.n_batch,
                             .n_value = work.n_pair + 2 * task->n_model,
                             .what = "batches",
                             .compute = compute_batch,
                             .fold = fold_batch,
                             .data = &work};
    int rc = allocate(&work, err);
    MDL_TRY(mdl_agree(comm, rc, err));
    MDL_TRY(mdl_ordered_run(comm, &ordered, err));
done:
    free(work.x);
    free(work.feat);
    free(work.gram);
    free(work.row);
    free(work.centred);
    free(work.reference);
    return rc;
}
