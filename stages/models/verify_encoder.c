#include "models/encoder.h"
#include "models/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An encoder with the images and all its outputs for them. */
typedef struct {
    const mdl_safetensors_t *reference;
    mdl_encoder_t *encoder;
    mdl_verify_report_t *report;
    int64_t n_image, height, width, n_state;
    double tolerance;
    float *pixel;
    mdl_encoder_shape_t *shape; /* [n_state] */
    mdl_encoder_output_t output;
    mdl_error_t *err;
} job_t;

static int read_pixels(job_t *job)
{
    const mdl_tensor_t *pixel = mdl_safetensors_find(job->reference, "pixel_values");
    if (pixel == NULL || pixel->n_dim != 4 || pixel->dims[1] != 3 || pixel->dims[0] < 1)
        return mdl_fail(job->err, MDL_E_INPUT,
                        "the reference has no pixel_values of shape (images, 3, height, width)");
    job->n_image = pixel->dims[0];
    job->height = pixel->dims[2];
    job->width = pixel->dims[3];
    return mdl_verify_read(job->reference, "pixel_values", 0, NULL, &job->pixel, job->err);
}

static int run(job_t *job)
{
    int rc = MDL_OK;
    mdl_error_t *err = job->err;
    job->n_state = mdl_encoder_n_state(job->encoder);
    size_t n_value = 0, n_state = (size_t)job->n_state, n_image = (size_t)job->n_image;
    MDL_TRY(mdl_alloc(&job->shape, n_state, sizeof *job->shape, "shapes", err));
    MDL_TRY(mdl_alloc(&job->output.state, n_state, sizeof *job->output.state, "states", err));
    for (int64_t i = 0; i < job->n_state; i++) {
        mdl_encoder_shape_t *shape = &job->shape[i];
        MDL_TRY(mdl_encoder_shape(job->encoder, i, job->height, job->width, shape, err));
        n_value = n_image * (size_t)(shape->n_token * shape->n_feat);
        MDL_TRY(mdl_alloc(&job->output.state[i], n_value, sizeof(float), "states", err));
    }
    MDL_TRY(mdl_alloc(&job->output.last, n_value, sizeof(float), "outputs", err));
    if (mdl_encoder_has_pooled(job->encoder))
        MDL_TRY(mdl_alloc(&job->output.pooled, n_image * (size_t)job->shape[n_state - 1].n_feat,
                          sizeof(float), "outputs", err));
    MDL_TRY(mdl_encoder_forward(job->encoder, job->pixel, job->n_image, job->height, job->width,
                                &job->output, err));
done:
    return rc;
}

/* Writes got [n_image, n_token, n_feat] as the tensor has it: with or without the rows before the
 * grid, channels first or last. */
static int arrange(const job_t *job, const mdl_tensor_t *tensor, const float *got,
                   const mdl_encoder_shape_t *shape, float *arranged)
{
    int64_t n_feat = shape->n_feat, n_grid = shape->height * shape->width, n_row = shape->n_token;
    const int64_t rows[3] = {job->n_image, n_row, n_feat}, grid[3] = {job->n_image, n_grid, n_feat};
    const int64_t pooled[2] = {job->n_image, n_feat};
    const int64_t map[4] = {job->n_image, n_feat, shape->height, shape->width};
    size_t n_byte = sizeof(int64_t) * (size_t)tensor->n_dim;
    int is_map = tensor->n_dim == 4 && memcmp(tensor->dims, map, n_byte) == 0;
    if (is_map || (tensor->n_dim == 3 && memcmp(tensor->dims, grid, n_byte) == 0))
        n_row = n_grid;
    else if (!(tensor->n_dim == 3 && memcmp(tensor->dims, rows, n_byte) == 0) &&
             !(n_row == 1 && tensor->n_dim == 2 && memcmp(tensor->dims, pooled, n_byte) == 0))
        return mdl_fail(job->err, MDL_E_INPUT, "%s hasn't the shape that the encoder computes",
                        tensor->name);
    for (int64_t i = 0; i < tensor->n_value; i++) {
        int64_t feat = i % n_feat, row = i / n_feat % n_row, image = i / n_feat / n_row;
        int64_t from = (image * shape->n_token + shape->n_token - n_row + row) * n_feat + feat;
        arranged[is_map ? (image * n_feat + feat) * n_row + row : i] = got[from];
    }
    return MDL_OK;
}

/* What the encoder computed under the name of the tensor; NULL: nothing. */
static const float *find_output(const job_t *job, const char *name, mdl_encoder_shape_t *shape)
{
    int state, n_used = 0;
    *shape = job->shape[job->n_state - 1];
    if (strcmp(name, "last_hidden_state") == 0)
        return job->output.last;
    if (strcmp(name, "pooler_output") == 0) {
        *shape = (mdl_encoder_shape_t){.n_token = 1, .n_feat = shape->n_feat};
        return job->output.pooled;
    }
    if (sscanf(name, "block.%5d%n", &state, &n_used) == 1 && name[n_used] == '\0')
        state++; /* the output of a block is the input of the next one */
    else if (sscanf(name, "hidden_states.%5d%n", &state, &n_used) != 1 || name[n_used] != '\0')
        return NULL;
    if (state < 0 || state >= job->n_state)
        return NULL;
    *shape = job->shape[state];
    return job->output.state[state];
}

static int compare(const job_t *job, const mdl_tensor_t *tensor)
{
    int rc = MDL_OK;
    mdl_encoder_shape_t shape;
    float *expected = NULL, *arranged = NULL;
    const float *got = find_output(job, tensor->name, &shape);
    if (got == NULL)
        MDL_TRY(mdl_fail(job->err, MDL_E_INPUT, "this encoder computes no %s", tensor->name));
    MDL_TRY(mdl_verify_read(job->reference, tensor->name, 0, NULL, &expected, job->err));
    MDL_TRY(mdl_alloc(&arranged, (size_t)tensor->n_value, sizeof *arranged, "outputs", job->err));
    MDL_TRY(arrange(job, tensor, got, &shape, arranged));
    mdl_verify_compare(job->report, tensor->name, arranged, expected, tensor->n_value,
                       job->tolerance);
done:
    free(arranged);
    free(expected);
    return rc;
}

static int compare_all(job_t *job)
{
    int rc = MDL_OK;
    MDL_TRY(read_pixels(job));
    if (mdl_safetensors_count(job->reference) == 1)
        MDL_TRY(mdl_fail(job->err, MDL_E_INPUT, "the reference has images alone and no output"));
    MDL_TRY(run(job));
    for (int64_t i = 0; i < mdl_safetensors_count(job->reference); i++) {
        const mdl_tensor_t *tensor = mdl_safetensors_at(job->reference, i);
        if (strcmp(tensor->name, "pixel_values") != 0)
            MDL_TRY(compare(job, tensor));
    }
done:
    return rc;
}

static void free_job(job_t *job)
{
    for (int64_t i = 0; i < job->n_state && job->output.state != NULL; i++)
        free(job->output.state[i]);
    free(job->output.state);
    free(job->output.last);
    free(job->output.pooled);
    free(job->shape);
    free(job->pixel);
    mdl_encoder_free(job->encoder);
}

int mdl_verify_encoder(const mdl_backend_t *backend, const char *folder, const char *reference,
                       mdl_verify_report_t *report, mdl_error_t *err)
{
    job_t job = {.report = report, .err = err};
    mdl_safetensors_t *file = NULL;
    char *path = NULL;
    size_t n_path = strlen(folder) + strlen(reference) + 2;
    int rc = MDL_OK;
    MDL_TRY(mdl_alloc(&path, n_path, 1, "a path", err));
    snprintf(path, n_path, "%s/%s", folder, reference);
    MDL_TRY(mdl_encoder_load(backend, folder, &job.encoder, err));
    MDL_TRY(mdl_safetensors_open(path, &file, err));
    job.reference = file;
    report->family = mdl_encoder_config(job.encoder)->model_type;
    job.tolerance =
        mdl_verify_tolerance(backend, mdl_encoder_n_block(job.encoder), MDL_VERIFY_TOLERANCE);
    rc = compare_all(&job);
    if (rc != MDL_OK)
        rc = mdl_error_prefix(err, "%s", path);
done:
    report->family = NULL;
    free_job(&job);
    mdl_safetensors_close(file);
    free(path);
    return rc;
}
