#include "io/similarity_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int are_known(const double *standard_error, int64_t n)
{
    int known = standard_error != NULL;
    for (int64_t i = 0; known && i < n * n; i++)
        known = isfinite(standard_error[i]);
    return known;
}

int mdl_similarity_write(const char *path, const mdl_provenance_t *provenance,
                         const mdl_similarity_t *similarity, mdl_error_t *err)
{
    mdl_result_t result;
    int64_t n = similarity->n_model, dims[] = {n, n};
    int rc = mdl_result_create(&result, path, provenance, err);
    if (rc != MDL_OK)
        return rc;
    MDL_TRY(mdl_h5_write_double(result.file, "/similarity", 2, dims, similarity->similarity, err));
    MDL_TRY(
        mdl_h5_write_text(result.file, "/models", n, (const char *const *)similarity->models, err));
    if (are_known(similarity->standard_error, n))
        MDL_TRY(mdl_h5_write_double(result.file, "/standard_error", 2, dims,
                                    similarity->standard_error, err));
    MDL_TRY(mdl_h5_set_int(result.file, "n_sample", similarity->n_sample, err));
    MDL_TRY(mdl_h5_set_text(result.file, "side", similarity->side, err));
    MDL_TRY(mdl_h5_set_text(result.file, "label", similarity->label, err));
    if (similarity->n_available > 0) {
        MDL_TRY(mdl_h5_set_int(result.file, "n_available", similarity->n_available, err));
        MDL_TRY(mdl_h5_set_int(result.file, "decided", similarity->decided, err));
        MDL_TRY(mdl_h5_set_double(result.file, "confidence", similarity->confidence, err));
    }
done:
    return mdl_result_close(&result, rc, err);
}

static int check_errors(const char *path, const mdl_similarity_t *s, mdl_error_t *err)
{
    int64_t n = s->n_model;
    for (int64_t i = 0; s->standard_error != NULL && i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double value = s->standard_error[i * n + j];
            if (!isfinite(value) || value < 0 || value != s->standard_error[j * n + i])
                return mdl_fail(err, MDL_E_INPUT,
                                "%s: /standard_error of %s and %s is %g one way and %g the other; "
                                "both must be one finite number, not below 0",
                                path, s->models[i], s->models[j], value,
                                s->standard_error[j * n + i]);
        }
    }
    return MDL_OK;
}

static int check_values(const char *path, const mdl_similarity_t *s, mdl_error_t *err)
{
    int64_t n = s->n_model;
    for (int64_t i = 0; i < n; i++) {
        if (s->models[i][0] == '\0' || (i > 0 && strcmp(s->models[i - 1], s->models[i]) >= 0))
            return mdl_fail(err, MDL_E_INPUT,
                            "%s: /models must be names in ascending order, each once; entry %lld "
                            "is '%s'",
                            path, (long long)i, s->models[i]);
        if (s->similarity[i * n + i] != 1)
            return mdl_fail(err, MDL_E_INPUT, "%s: /similarity of %s with itself is %g, not 1",
                            path, s->models[i], s->similarity[i * n + i]);
        for (int64_t j = 0; j < i; j++) {
            double value = s->similarity[i * n + j];
            if (!isfinite(value) || value != s->similarity[j * n + i])
                return mdl_fail(err, MDL_E_INPUT,
                                "%s: /similarity of %s and %s is %g one way and %g the other; "
                                "both must be one finite number",
                                path, s->models[i], s->models[j], value, s->similarity[j * n + i]);
        }
    }
    return check_errors(path, s, err);
}

/* What sequential stopping left, if it was at work. */
static int read_stopping(hid_t file, const char *path, mdl_similarity_t *s, mdl_error_t *err)
{
    int64_t decided = 0;
    if (H5Aexists(file, "n_available") <= 0)
        return MDL_OK;
    int rc = mdl_h5_get_int(file, "n_available", &s->n_available, err);
    if (rc == MDL_OK)
        rc = mdl_h5_get_int(file, "decided", &decided, err);
    if (rc == MDL_OK)
        rc = mdl_h5_get_double(file, "confidence", &s->confidence, err);
    s->decided = decided != 0;
    if (rc == MDL_OK && (s->n_available < s->n_sample || !(s->confidence >= 0) ||
                         s->confidence > 1 || (decided != 0 && decided != 1)))
        rc = mdl_fail(err, MDL_E_INPUT,
                      "%s: n_available %lld, decided %lld and confidence %g don't go with %lld "
                      "samples; run mordal-cka again",
                      path, (long long)s->n_available, (long long)decided, s->confidence,
                      (long long)s->n_sample);
    return rc;
}

int mdl_similarity_read(const char *path, mdl_similarity_t *similarity, mdl_error_t *err)
{
    *similarity = (mdl_similarity_t){.n_model = -1};
    int64_t dims[] = {-1, -1};
    hid_t file = -1;
    int rc;
    MDL_TRY(mdl_result_open(path, MDL_SIMILARITY_SCHEMA, MDL_SIMILARITY_VERSION,
                            "run mordal-cka first", &file, err));
    MDL_TRY(mdl_h5_read_text(file, "/models", &similarity->n_model, &similarity->models, err));
    dims[0] = dims[1] = similarity->n_model;
    MDL_TRY(mdl_h5_read_double(file, "/similarity", 2, dims, &similarity->similarity, err));
    if (mdl_h5_exists(file, "/standard_error"))
        MDL_TRY(
            mdl_h5_read_double(file, "/standard_error", 2, dims, &similarity->standard_error, err));
    MDL_TRY(mdl_h5_get_int(file, "n_sample", &similarity->n_sample, err));
    MDL_TRY(mdl_h5_get_text(file, "side", &similarity->side, err));
    MDL_TRY(mdl_h5_get_text(file, "label", &similarity->label, err));
    MDL_TRY(read_stopping(file, path, similarity, err));
    if (similarity->n_model < 1)
        rc = mdl_fail(err, MDL_E_INPUT, "%s: it holds no models; run mordal-cka again", path);
    else
        rc = check_values(path, similarity, err);
done:
    mdl_h5_close(file);
    if (rc != MDL_OK)
        mdl_similarity_free(similarity);
    return rc;
}

void mdl_similarity_free(mdl_similarity_t *similarity)
{
    free(similarity->models);
    free(similarity->similarity);
    free(similarity->side);
    free(similarity->label);
    free(similarity->standard_error);
    *similarity = (mdl_similarity_t){0};
}
