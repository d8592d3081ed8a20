#include "models/sample.h"
#include "models/verify.h"
#include "models/verify_batch.h"
#include "models/workspace_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_ADAM_STEP = 10 };
/* The references scale LoRA's product by alpha / rank = 2. */
static const double LORA_SCALE = 2;

typedef struct {
    const mdl_backend_t *backend;
    const mdl_safetensors_t *reference;
    mdl_decoder_t *decoder;
    mdl_verify_batch_t batch;
    mdl_verify_report_t *report;
    int64_t d, n_vocab;
    mdl_error_t *err;
} job_t;

/* The projector and LoRA (or the projector alone) with the reference's values, and room to run. */
typedef struct {
    mdl_adapter_t *adapter;
    mdl_workspace_t *ws;
} run_t;

static double allowed(const job_t *job, double tolerance)
{
    return mdl_verify_tolerance(job->backend, mdl_decoder_config(job->decoder)->n_layer, tolerance);
}

static int compare(const job_t *job, const char *name, const float *got, int n_dim,
                   const int64_t *dims, double tolerance)
{
    float *expected;
    int64_t n_value = 1;
    for (int i = 0; i < n_dim; i++)
        n_value *= dims[i];
    int rc = mdl_verify_read(job->reference, name, n_dim, dims, &expected, job->err);
    if (rc == MDL_OK)
        mdl_verify_compare(job->report, name, got, expected, n_value, allowed(job, tolerance));
    free(expected);
    return rc;
}

/* Compares the rows of a [n_sample, n_length, n_col] tensor that are no padding; got holds them
 * without gaps. */
static int compare_rows(const job_t *job, const char *name, const float *got, int64_t n_col)
{
    const mdl_verify_batch_t *batch = &job->batch;
    int64_t dims[3] = {batch->n_sample, batch->n_length, n_col}, n_row = 0;
    float *expected;
    int rc = mdl_verify_read(job->reference, name, 3, dims, &expected, job->err);
    for (int64_t b = 0; rc == MDL_OK && b < batch->n_sample; b++) {
        int64_t n = batch->sample[b].n_token + batch->n_visual;
        memmove(expected + n_row * n_col, expected + b * batch->n_length * n_col,
                (size_t)(n * n_col) * sizeof *expected);
        n_row += n;
    }
    if (rc == MDL_OK)
        mdl_verify_compare(job->report, name, got, expected, n_row * n_col,
                           allowed(job, MDL_VERIFY_TOLERANCE));
    free(expected);
    return rc;
}

/* The name of a slice's tensor in the reference: W1, or lora.MODULE.lora_A.weight. */
static const char *reference_name(const mdl_slice_t *slice)
{
    static const char start[] = "projector.";
    size_t n_start = sizeof start - 1;
    return strncmp(slice->name, start, n_start) == 0 ? slice->name + n_start : slice->name;
}

static int set_slice(const job_t *job, mdl_adapter_t *adapter, const mdl_slice_t *slice)
{
    float *values;
    int rc = mdl_verify_read(job->reference, reference_name(slice), slice->n_dim, slice->dims,
                             &values, job->err);
    if (rc == MDL_OK)
        rc = job->backend->upload(adapter->param + slice->offset, values,
                                  (size_t)slice->n_value * sizeof *values, job->err);
    free(values);
    return rc;
}

/* The rank and the targets of the reference's LoRA, by its tensors for block 0. */
static int find_lora(const job_t *job, mdl_adapter_options_t *options)
{
    char name[96];
    *options = (mdl_adapter_options_t){0};
    for (int i = 0; i < MDL_N_LINEAR; i++) {
        snprintf(name, sizeof name, "lora.model.layers.0.%s.lora_A.weight",
                 mdl_linear_path((mdl_linear_t)i));
        const mdl_tensor_t *a = mdl_safetensors_find(job->reference, name);
        if (a == NULL)
            continue;
        options->targets |= 1u << i;
        options->rank = a->dims[0];
        options->alpha = LORA_SCALE * (double)options->rank;
    }
    return options->rank > 0 ? MDL_OK
                             : mdl_fail(job->err, MDL_E_INPUT, "the reference has no LoRA tensors");
}

/* What the reference trains and the engine would leave out is a mistake of one of them. */
static int check_lora(const job_t *job, const mdl_adapter_t *adapter)
{
    static const char start[] = "lora.";
    for (int64_t i = 0; i < mdl_safetensors_count(job->reference); i++) {
        const char *name = mdl_safetensors_at(job->reference, i)->name;
        if (strncmp(name, start, sizeof start - 1) == 0 && mdl_adapter_find(adapter, name) == NULL)
            return mdl_fail(job->err, MDL_E_INPUT,
                            "the reference's %s belongs to no linear layer of this model", name);
    }
    return MDL_OK;
}

static int run_begin(const job_t *job, const mdl_adapter_options_t *options, run_t *run)
{
    int rc = MDL_OK;
    *run = (run_t){0};
    MDL_TRY(mdl_adapter_new(job->backend, mdl_decoder_config(job->decoder),
                            job->batch.n_vision_feat, options, 1, &run->adapter, job->err));
    for (int64_t i = 0; i < run->adapter->n_slice; i++)
        MDL_TRY(set_slice(job, run->adapter, &run->adapter->slice[i]));
    MDL_TRY(mdl_workspace_new(job->decoder, run->adapter, job->batch.n_length, MDL_KEEP_ALL,
                              &run->ws, job->err));
done:
    return rc;
}

static void run_end(run_t *run)
{
    mdl_workspace_free(run->ws);
    mdl_adapter_free(run->adapter);
}

/* Mean loss of the batch; adds its gradient to the adapter's. With dvisual its gradient for the
 * visual tokens [n_sample, n_visual, d] is kept. */
static int batch_gradient(const job_t *job, const run_t *run, float *loss, float *dvisual)
{
    const mdl_verify_batch_t *batch = &job->batch;
    int rc = MDL_OK;
    double total = 0, sum;
    int64_t n = batch->n_visual * job->d;
    for (int64_t b = 0; b < batch->n_sample; b++) {
        float *dstream = run->ws->dstream + job->d;
        size_t n_byte = (size_t)n * sizeof *dstream;
        job->backend->zero(dstream, n_byte); /* none scored: stays */
        MDL_TRY(mdl_sample_gradient(run->ws, &batch->sample[b], 1.0 / (double)batch->n_scored, &sum,
                                    job->err));
        total += sum;
        if (dvisual != NULL)
            MDL_TRY(job->backend->download(dvisual + b * n, dstream, n_byte, job->err));
    }
    *loss = (float)(total / (double)batch->n_scored);
done:
    return rc;
}

static int compare_logits(const job_t *job, const run_t *run, const char *name)
{
    const mdl_verify_batch_t *batch = &job->batch;
    float *logits = NULL;
    int rc = MDL_OK;
    MDL_TRY(mdl_alloc(&logits, (size_t)(batch->n_sample * batch->n_length),
                      (size_t)job->n_vocab * sizeof *logits, "logits", job->err));
    float *next = logits;
    for (int64_t b = 0; b < batch->n_sample; b++) {
        MDL_TRY(mdl_sample_logits(run->ws, &batch->sample[b], next, job->err));
        next += (batch->sample[b].n_token + batch->n_visual) * job->n_vocab;
    }
    rc = compare_rows(job, name, logits, job->n_vocab);
done:
    free(logits);
    return rc;
}

static int compare_hidden(const job_t *job, const run_t *run)
{
    const mdl_verify_batch_t *batch = &job->batch;
    int64_t dims[3] = {batch->n_sample, batch->n_visual, job->d}, n_visual = batch->n_visual;
    float *hidden = NULL, *visual = NULL;
    int rc = MDL_OK;
    size_t n_byte = (size_t)job->d * sizeof *hidden;
    MDL_TRY(mdl_alloc(&hidden, (size_t)(batch->n_sample * batch->n_length), n_byte, "hidden states",
                      job->err));
    MDL_TRY(mdl_alloc(&visual, (size_t)(batch->n_sample * n_visual), n_byte, "visual tokens",
                      job->err));
    float *next = hidden;
    for (int64_t b = 0; b < batch->n_sample; b++) {
        MDL_TRY(mdl_sample_hidden(run->ws, &batch->sample[b], next, job->err));
        next += (batch->sample[b].n_token + n_visual) * job->d;
        MDL_TRY(job->backend->download(visual + b * n_visual * job->d,
                                       run->ws->block[0].in + job->d, (size_t)n_visual * n_byte,
                                       job->err));
    }
    MDL_TRY(compare(job, "visual", visual, 3, dims, MDL_VERIFY_TOLERANCE));
    rc = compare_rows(job, "last_hidden_state", hidden, job->d);
done:
    free(hidden);
    free(visual);
    return rc;
}

/* The reference has the projector's gradients (grad_W1) without LoRA only. */
static int compare_gradients(const job_t *job, const mdl_adapter_t *adapter)
{
    float *grad = NULL;
    size_t n_param = (size_t)adapter->n_param;
    int rc = MDL_OK;
    MDL_TRY(mdl_alloc(&grad, n_param, sizeof *grad, "a gradient", job->err));
    MDL_TRY(job->backend->download(grad, adapter->grad, n_param * sizeof *grad, job->err));
    for (int64_t i = 0; i < adapter->n_slice; i++) {
        const mdl_slice_t *slice = &adapter->slice[i];
        const char *subject = reference_name(slice);
        int is_lora = subject == slice->name;
        char name[128];
        if (is_lora != (adapter->rank > 0))
            continue;
        snprintf(name, sizeof name, "grad%c%s", is_lora ? '.' : '_', subject);
        MDL_TRY(compare(job, name, grad + slice->offset, slice->n_dim, slice->dims,
                        MDL_VERIFY_GRADIENT_TOLERANCE));
    }
done:
    free(grad);
    return rc;
}

static int compare_loss(const job_t *job, const char *name, float loss)
{
    return compare(job, name, &loss, 1, (const int64_t[]){1}, MDL_VERIFY_TOLERANCE);
}

static int projector_alone(const job_t *job)
{
    const mdl_verify_batch_t *batch = &job->batch;
    const mdl_adapter_options_t options = {.rank = 0};
    int64_t dims[3] = {batch->n_sample, batch->n_visual, job->d};
    float *dvisual = NULL, loss;
    run_t run = {0};
    int rc = MDL_OK;
    MDL_TRY(run_begin(job, &options, &run));
    MDL_TRY(compare_hidden(job, &run));
    MDL_TRY(compare_logits(job, &run, "logits"));
    MDL_TRY(mdl_alloc(&dvisual, (size_t)(dims[0] * dims[1] * dims[2]), sizeof *dvisual,
                      "a gradient", job->err));
    MDL_TRY(batch_gradient(job, &run, &loss, dvisual));
    MDL_TRY(compare_loss(job, "loss", loss));
    MDL_TRY(compare(job, "grad_visual", dvisual, 3, dims, MDL_VERIFY_GRADIENT_TOLERANCE));
    rc = compare_gradients(job, run.adapter);
done:
    free(dvisual);
    run_end(&run);
    return rc;
}

static int ten_adam_steps(const job_t *job, const run_t *run)
{
    mdl_adapter_t *adapter = run->adapter;
    const mdl_backend_t *be = job->backend;
    float losses[N_ADAM_STEP], *m = NULL, *v = NULL;
    size_t n_byte = (size_t)adapter->n_param * sizeof *m;
    int rc = MDL_OK;
    MDL_TRY(be->alloc(&m, n_byte, "Adam's first moments", job->err));
    MDL_TRY(be->alloc(&v, n_byte, "Adam's second moments", job->err));
    for (int s = 0; s < N_ADAM_STEP; s++) {
        be->zero(adapter->grad, n_byte);
        MDL_TRY(batch_gradient(job, run, &losses[s], NULL));
        be->adam_step(adapter->param, adapter->grad, m, v, adapter->n_param, s + 1,
                      1e-3 * (1 - s / (double)N_ADAM_STEP), 0.9, 0.999, 1e-8);
    }
    rc = compare(job, "adam_losses", losses, 1, (const int64_t[]){N_ADAM_STEP},
                 MDL_VERIFY_TOLERANCE);
done:
    be->release(m);
    be->release(v);
    return rc;
}

static int with_lora(const job_t *job)
{
    mdl_adapter_options_t options;
    float loss;
    run_t run = {0};
    int rc = MDL_OK;
    MDL_TRY(find_lora(job, &options));
    MDL_TRY(run_begin(job, &options, &run));
    MDL_TRY(check_lora(job, run.adapter));
    MDL_TRY(compare_logits(job, &run, "lora_logits"));
    MDL_TRY(batch_gradient(job, &run, &loss, NULL));
    MDL_TRY(compare_loss(job, "lora_loss", loss));
    MDL_TRY(compare_gradients(job, run.adapter));
    rc = ten_adam_steps(job, &run);
done:
    run_end(&run);
    return rc;
}

int mdl_verify_decoder(const mdl_backend_t *backend, const char *folder, const char *reference,
                       mdl_verify_report_t *report, mdl_error_t *err)
{
    job_t job = {.backend = backend, .report = report, .err = err};
    mdl_safetensors_t *file = NULL;
    char *path = NULL;
    size_t n_path = strlen(folder) + strlen(reference) + 2;
    int rc = MDL_OK;
    MDL_TRY(mdl_alloc(&path, n_path, 1, "a path", err));
    snprintf(path, n_path, "%s/%s", folder, reference);
    MDL_TRY(mdl_decoder_load(backend, folder, &job.decoder, err));
    MDL_TRY(mdl_safetensors_open(path, &file, err));
    job.reference = file;
    job.d = mdl_decoder_config(job.decoder)->n_feat;
    job.n_vocab = mdl_decoder_config(job.decoder)->n_vocab;
    report->family = mdl_decoder_config(job.decoder)->model_type;
    rc = mdl_verify_batch_read(file, &job.batch, err);
    if (rc == MDL_OK)
        rc = projector_alone(&job);
    if (rc == MDL_OK)
        rc = with_lora(&job);
    if (rc != MDL_OK)
        rc = mdl_error_prefix(err, "%s", path);
done:
    report->family = NULL;
    mdl_verify_batch_free(&job.batch);
    mdl_safetensors_close(file);
    mdl_decoder_free(job.decoder);
    free(path);
    return rc;
}
