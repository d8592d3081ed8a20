#include "models/verify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What differences are measured by where the reference is zero throughout, as the gradient for q
 * is in a window of one position: rounding leaves some 1e-7 of the usual gradients there. */
static const double ZERO_SCALE = 1e-3;

void mdl_verify_compare(mdl_verify_report_t *report, const char *quantity, const float *got,
                        const float *expected, int64_t n_value, double tolerance)
{
    double largest = 0, difference = 0;
    for (int64_t i = 0; i < n_value; i++) {
        double apart = fabs((double)got[i] - (double)expected[i]);
        largest = fmax(largest, fabs((double)expected[i]));
        difference = isfinite(apart) ? fmax(difference, apart) : (double)INFINITY;
    }
    mdl_verify_line_t line = {.family = report->family,
                              .quantity = quantity,
                              .max_abs = difference,
                              .max_rel = difference / (largest > 0 ? largest : ZERO_SCALE)};
    line.ok = line.max_rel <= tolerance;
    report->n_line++;
    report->n_bad += !line.ok;
    report->line(report->context, &line);
}

double mdl_verify_tolerance(const mdl_backend_t *backend, int64_t n_block, double tolerance)
{
    const double unit = 0x1p-9; /* u, the largest rounding error of a bfloat16 */
    if (!backend->bfloat16)
        return tolerance;
    return tolerance / MDL_VERIFY_TOLERANCE * 5 * unit * sqrt(8 * (double)n_block);
}

int mdl_verify_read(const mdl_safetensors_t *reference, const char *name, int n_dim,
                    const int64_t *dims, float **values, mdl_error_t *err)
{
    const mdl_tensor_t *found = mdl_safetensors_find(reference, name);
    *values = NULL;
    if (found == NULL)
        return mdl_fail(err, MDL_E_INPUT, "the reference has no %s", name);
    int rc = mdl_alloc(values, (size_t)found->n_value, sizeof **values, name, err);
    if (rc == MDL_OK)
        rc = mdl_safetensors_read_float(reference, name, dims != NULL ? n_dim : found->n_dim,
                                        dims != NULL ? dims : found->dims, *values, err);
    if (rc != MDL_OK) {
        free(*values);
        *values = NULL;
    }
    return rc;
}

int mdl_verify_model(const mdl_backend_t *backend, const char *folder, const char *reference,
                     mdl_verify_report_t *report, mdl_error_t *err)
{
    mdl_safetensors_t *file = NULL;
    size_t n_path = strlen(folder) + strlen(reference) + 2;
    char *path = NULL;
    int rc = MDL_OK, is_encoder = 0;
    MDL_TRY(mdl_alloc(&path, n_path, 1, "a path", err));
    snprintf(path, n_path, "%s/%s", folder, reference);
    MDL_TRY(mdl_safetensors_open(path, &file, err));
    is_encoder = mdl_safetensors_find(file, "pixel_values") != NULL;
    rc = is_encoder ? mdl_verify_encoder(backend, folder, reference, report, err)
                    : mdl_verify_decoder(backend, folder, reference, report, err);
done:
    mdl_safetensors_close(file);
    free(path);
    return rc;
}
