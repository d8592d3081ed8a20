#include "io/similarity_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *mdl_similarity_why(int status)
{
    static const char *const words[] = {
        [MDL_SIMILARITY_DEFINED] = "it is defined",
        [MDL_SIMILARITY_CONSTANT] = "its activations do not vary",
        [MDL_SIMILARITY_ZERO] = "its HSIC with itself is not above 0",
        [MDL_SIMILARITY_OVERFLOW] = "its HSIC with itself overflows: its values span too many "
                                    "orders of magnitude",
        [MDL_SIMILARITY_BANDWIDTH] = "more than half of its pairs of rows are alike, so the "
                                     "median distance that sets the RBF bandwidth is 0"};
    return words[status];
}

/* Standard errors of all pairs that are defined. */
static int are_known(const mdl_similarity_t *s)
{
    int known = s->standard_error != NULL;
    for (int64_t i = 0; known && i < s->n_model * s->n_model; i++)
        known = isfinite(s->standard_error[i]) ||
                (s->status != NULL && s->status[i] != MDL_SIMILARITY_DEFINED);
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
    if (similarity->status != NULL)
        MDL_TRY(mdl_h5_write_uint8(result.file, "/status", 2, dims, similarity->status, err));
    if (are_known(similarity))
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

/* Whether two entries are one number, finite where the pair is defined and NaN where it isn't. */
static int are_one(const double *values, int64_t n, int64_t i, int64_t j, int defined)
{
    double one = values[i * n + j], other = values[j * n + i];
    return defined ? isfinite(one) && one == other : isnan(one) && isnan(other);
}

static int refuse_pair(const char *path, const mdl_similarity_t *s, const char *what,
                       const double *values, int64_t i, int64_t j, mdl_error_t *err)
{
    int64_t n = s->n_model;
    return mdl_fail(err, MDL_E_INPUT,
                    "%s: %s of %s and %s is %g one way and %g the other with status %d; both must "
                    "be one finite number, or NaN with a status above 0",
                    path, what, s->models[i], s->models[j], values[i * n + j], values[j * n + i],
                    s->status[i * n + j]);
}

/* A pair is undefined for the reason of one of its models, and for no other. */
static int check_status(const char *path, const mdl_similarity_t *s, int64_t i, int64_t j,
                        mdl_error_t *err)
{
    int64_t n = s->n_model;
    uint8_t one = s->status[i * n + i], two = s->status[j * n + j], both = one > two ? one : two;
    if (s->status[i * n + j] == both && s->status[j * n + i] == both &&
        both < MDL_SIMILARITY_N_STATUS)
        return MDL_OK;
    return mdl_fail(err, MDL_E_INPUT,
                    "%s: /status of %s and %s is %d one way and %d the other; it must be the "
                    "larger one of their own, %d and %d, and below %d",
                    path, s->models[i], s->models[j], s->status[i * n + j], s->status[j * n + i],
                    one, two, MDL_SIMILARITY_N_STATUS);
}

static int check_pair(const char *path, const mdl_similarity_t *s, int64_t i, int64_t j,
                      mdl_error_t *err)
{
    int64_t n = s->n_model;
    int defined = s->status[i * n + j] == MDL_SIMILARITY_DEFINED;
    int rc = check_status(path, s, i, j, err);
    if (rc == MDL_OK && !are_one(s->similarity, n, i, j, defined))
        rc = refuse_pair(path, s, "/similarity", s->similarity, i, j, err);
    if (rc == MDL_OK && s->standard_error != NULL &&
        (!are_one(s->standard_error, n, i, j, defined) || s->standard_error[i * n + j] < 0))
        rc = refuse_pair(path, s, "/standard_error", s->standard_error, i, j, err);
    return rc;
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
        for (int64_t j = 0; j <= i; j++) {
            int rc = check_pair(path, s, i, j, err);
            if (rc != MDL_OK)
                return rc;
        }
        if (s->status[i * n + i] == MDL_SIMILARITY_DEFINED && s->similarity[i * n + i] != 1)
            return mdl_fail(err, MDL_E_INPUT, "%s: /similarity of %s with itself is %g, not 1",
                            path, s->models[i], s->similarity[i * n + i]);
    }
    return MDL_OK;
}

/* Files of earlier versions have no /status: all pairs are defined. */
static int read_status(hid_t file, mdl_similarity_t *s, int64_t *dims, mdl_error_t *err)
{
    if (mdl_h5_exists(file, "/status"))
        return mdl_h5_read_uint8(file, "/status", 2, dims, &s->status, err);
    return mdl_alloc(&s->status, (size_t)(dims[0] * dims[1]), 1, "states of pairs", err);
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
    MDL_TRY(read_status(file, similarity, dims, err));
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
    free(similarity->status);
    *similarity = (mdl_similarity_t){0};
}
