/* A model folder against the reference results beside it: docs/models.md tells what they hold.
 * Each kind of model has its function here; they share the report. */
#ifndef MDL_MODELS_VERIFY_H
#define MDL_MODELS_VERIFY_H

#include "core/error.h"
#include "io/safetensors.h"
#include "kernels/backend.h"

#include <stdint.h>

/* Largest max_rel that is ok: for outputs, losses and features, and for gradients. */
#define MDL_VERIFY_TOLERANCE          1e-4
#define MDL_VERIFY_GRADIENT_TOLERANCE 3e-4

/* One quantity; strings are borrowed for the call. */
typedef struct {
    const char *family;   /* the config's model_type */
    const char *quantity; /* the reference tensor's name */
    double max_abs;       /* largest difference of two values; infinite where one isn't finite */
    double max_rel; /* max_abs over the largest value of the reference (1e-3 where all are 0) */
    int ok;
} mdl_verify_line_t;

/* Where lines go, and how many there were. The caller sets line and context and zeroes the rest. */
typedef struct {
    void (*line)(void *context, const mdl_verify_line_t *line);
    void *context;
    const char *family; /* of the model at work; set by the verification */
    int64_t n_line, n_bad;
} mdl_verify_report_t;

/* Compares got with expected [n_value] and reports the line. */
void mdl_verify_compare(mdl_verify_report_t *report, const char *quantity, const float *got,
                        const float *expected, int64_t n_value, double tolerance);

/* What tolerance is where backend computes a model of n_block blocks: with bfloat16 outputs may
 * differ by 5 u sqrt(8 n_block), other quantities by more in proportion; docs/models.md tells why.
 */
double mdl_verify_tolerance(const mdl_backend_t *backend, int64_t n_block, double tolerance);

/* The reference tensor called name as new float32 values, freed by the caller with free. dims: the
 * n_dim sizes that it must have, or NULL. Returns MDL_E_INPUT or MDL_E_MEMORY. */
int mdl_verify_read(const mdl_safetensors_t *reference, const char *name, int n_dim,
                    const int64_t *dims, float **values, mdl_error_t *err);

/* Runs on backend the decoder in folder (config.json, model.safetensors) on the batch in the file
 * called reference in the same folder: outputs, loss and all gradients without LoRA, the same with
 * LoRA, and ten Adam steps. Not collective. Returns MDL_OK however many quantities differ (n_bad
 * tells), MDL_E_INPUT for files that don't hold a decoder or its reference, and what loading
 * returns. */
int mdl_verify_decoder(const mdl_backend_t *backend, const char *folder, const char *reference,
                       mdl_verify_report_t *report, mdl_error_t *err);

/* Runs on backend the vision encoder in folder on the pixel_values of the file called reference:
 * every hidden_states.i, block.i (without the class token), last_hidden_state and pooler_output
 * that the file holds. Not collective. Returns as mdl_verify_decoder. */
int mdl_verify_encoder(const mdl_backend_t *backend, const char *folder, const char *reference,
                       mdl_verify_report_t *report, mdl_error_t *err);

/* Either of the two: a reference with pixel_values is a vision encoder's. */
int mdl_verify_model(const mdl_backend_t *backend, const char *folder, const char *reference,
                     mdl_verify_report_t *report, mdl_error_t *err);

#endif
