#include "models/verify_batch.h"

#include "models/verify.h"

#include <stdlib.h>
#include <string.h>

enum { NOT_SCORED = -100 };

typedef struct {
    const char *name;
    int32_t *value; /* [n_sample, n_length] */
} integers_t;

static int read_integers(const mdl_safetensors_t *reference, const mdl_verify_batch_t *batch,
                         integers_t *integers, mdl_error_t *err)
{
    const mdl_tensor_t *tensor = mdl_safetensors_find(reference, integers->name);
    if (tensor == NULL || tensor->dtype != MDL_DTYPE_I32 || tensor->n_dim != 2 ||
        tensor->dims[0] != batch->n_sample || tensor->dims[1] != batch->n_length)
        return mdl_fail(err, MDL_E_INPUT, "the reference has no %s of int32 (%lld, %lld)",
                        integers->name, (long long)batch->n_sample, (long long)batch->n_length);
    int rc = mdl_alloc(&integers->value, (size_t)tensor->n_value, sizeof *integers->value,
                       integers->name, err);
    if (rc == MDL_OK)
        rc = mdl_safetensors_read_raw(reference, tensor, 0, tensor->n_value, integers->value, err);
    return rc;
}

static int bad_label(int64_t row, int64_t position, const char *why, mdl_error_t *err)
{
    return mdl_fail(err, MDL_E_INPUT, "the reference's label at row %lld, position %lld %s",
                    (long long)row, (long long)position, why);
}

/* Position 0 has nothing before it, so its label never counts. */
static int make_sample(mdl_verify_batch_t *batch, int64_t row, const int32_t *id,
                       const int32_t *mask, const int32_t *label, mdl_error_t *err)
{
    mdl_sample_t *sample = &batch->sample[row];
    int32_t *token = batch->token + row * batch->n_length;
    uint8_t *scored = batch->scored + row * batch->n_length;
    int ended = 0;
    for (int64_t t = 0; t < batch->n_length; t++) {
        int is_visual = t >= 1 && t <= batch->n_visual, is_scored = t > 0 && label[t] != NOT_SCORED;
        ended |= !mask[t];
        if (ended && (mask[t] || t <= batch->n_visual))
            return mdl_fail(err, MDL_E_INPUT,
                            "the reference's row %lld is padded before its end; padding belongs "
                            "on the right, after the visual tokens",
                            (long long)row);
        if ((is_visual || ended) && is_scored)
            return bad_label(row, t, "is scored, but no token stands there", err);
        if (is_visual || ended)
            continue;
        if (is_scored && label[t] != id[t])
            return bad_label(row, t, "isn't the token there", err);
        token[sample->n_token] = id[t];
        scored[sample->n_token++] = (uint8_t)is_scored;
        batch->n_scored += is_scored;
    }
    sample->token = token;
    sample->scored = scored;
    sample->visual_at = 1;
    sample->n_visual = batch->n_visual;
    sample->feature = batch->feature + row * batch->n_visual * batch->n_vision_feat;
    return MDL_OK;
}

static int read_shape(const mdl_safetensors_t *reference, mdl_verify_batch_t *batch,
                      mdl_error_t *err)
{
    const mdl_tensor_t *ids = mdl_safetensors_find(reference, "input_ids");
    const mdl_tensor_t *features = mdl_safetensors_find(reference, "features");
    if (ids == NULL || ids->n_dim != 2 || ids->n_value == 0 || features == NULL ||
        features->n_dim != 3 || features->n_value == 0 || features->dims[0] != ids->dims[0] ||
        features->dims[1] >= ids->dims[1])
        return mdl_fail(err, MDL_E_INPUT,
                        "the reference needs input_ids (B, T) and features (B, K, dv), K below T");
    batch->n_sample = ids->dims[0];
    batch->n_length = ids->dims[1];
    batch->n_visual = features->dims[1];
    batch->n_vision_feat = features->dims[2];
    return MDL_OK;
}

int mdl_verify_batch_read(const mdl_safetensors_t *reference, mdl_verify_batch_t *batch,
                          mdl_error_t *err)
{
    int rc = MDL_OK;
    integers_t id = {"input_ids", NULL}, mask = {"attention_mask", NULL}, label = {"labels", NULL};
    memset(batch, 0, sizeof *batch);
    MDL_TRY(read_shape(reference, batch, err));
    MDL_TRY(read_integers(reference, batch, &id, err));
    MDL_TRY(read_integers(reference, batch, &mask, err));
    MDL_TRY(read_integers(reference, batch, &label, err));
    MDL_TRY(mdl_verify_read(reference, "features", 0, NULL, &batch->feature, err));
    size_t n_place = (size_t)(batch->n_sample * batch->n_length);
    MDL_TRY(mdl_alloc(&batch->token, n_place, sizeof *batch->token, "tokens", err));
    MDL_TRY(mdl_alloc(&batch->scored, n_place, 1, "labels", err));
    MDL_TRY(
        mdl_alloc(&batch->sample, (size_t)batch->n_sample, sizeof *batch->sample, "samples", err));
    for (int64_t row = 0; row < batch->n_sample; row++) {
        int64_t at = row * batch->n_length;
        MDL_TRY(make_sample(batch, row, id.value + at, mask.value + at, label.value + at, err));
    }
    if (batch->n_scored == 0)
        rc = mdl_fail(err, MDL_E_INPUT, "the reference's labels score no position");
done:
    free(id.value);
    free(mask.value);
    free(label.value);
    return rc;
}

void mdl_verify_batch_free(mdl_verify_batch_t *batch)
{
    free(batch->token);
    free(batch->scored);
    free(batch->feature);
    free(batch->sample);
}
