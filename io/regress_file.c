#include "io/regress_file.h"

#include <stdlib.h>
#include <string.h>

static const char schema[] = "mordal-regress", final_schema[] = "mordal-final";

static int write_columns(hid_t file, const mdl_regress_t *regress, mdl_error_t *err)
{
    const int64_t n = regress->n_candidate, n_point = regress->n_point;
    int rc;
    MDL_TRY(mdl_h5_write_text(file, "/candidate", n, (const char *const *)regress->candidate, err));
    MDL_TRY(mdl_h5_write_text(file, "/ve", n, (const char *const *)regress->ve, err));
    MDL_TRY(mdl_h5_write_text(file, "/lm", n, (const char *const *)regress->lm, err));
    MDL_TRY(mdl_h5_write_text(file, "/status", n, (const char *const *)regress->status, err));
    MDL_TRY(mdl_h5_write_int32(file, "/cluster", 1, &n, regress->cluster, err));
    MDL_TRY(mdl_h5_write_double(file, "/predicted", 1, &n, regress->predicted, err));
    MDL_TRY(mdl_h5_write_double(file, "/low", 1, &n, regress->low, err));
    MDL_TRY(mdl_h5_write_double(file, "/high", 1, &n, regress->high, err));
    MDL_TRY(mdl_h5_write_double(file, "/slope", 1, &n, regress->slope, err));
    MDL_TRY(mdl_h5_write_double(file, "/intercept", 1, &n, regress->intercept, err));
    MDL_TRY(mdl_h5_write_double(file, "/ratio_trained", 1, &n, regress->ratio_trained, err));
    MDL_TRY(mdl_h5_write_double(file, "/train_seconds", 1, &n, regress->train_seconds, err));
    MDL_TRY(
        mdl_h5_write_int32(file, "/point_candidate", 1, &n_point, regress->point_candidate, err));
    MDL_TRY(mdl_h5_write_double(file, "/point_ratio", 1, &n_point, regress->point_ratio, err));
    MDL_TRY(mdl_h5_write_double(file, "/point_error", 1, &n_point, regress->point_error, err));
    MDL_TRY(mdl_h5_write_double(file, "/point_stderr", 1, &n_point, regress->point_stderr, err));
    MDL_TRY(mdl_h5_write_uint8(file, "/point_used", 1, &n_point, regress->point_used, err));
    MDL_TRY(mdl_h5_set_text(file, "choice", regress->choice, err));
    MDL_TRY(mdl_h5_set_double(file, "confidence", regress->confidence, err));
    rc = mdl_h5_set_double(file, "lost_seconds", regress->lost_seconds, err);
done:
    return rc;
}

/* After halving there are none. */
static int write_rounds(hid_t file, const mdl_regress_t *regress, mdl_error_t *err)
{
    const int64_t n = regress->n_round;
    int rc = MDL_OK;
    if (n == 0)
        return MDL_OK;
    MDL_TRY(mdl_h5_write_int32(file, "/round", 1, &n, regress->round, err));
    MDL_TRY(mdl_h5_write_int32(file, "/round_candidate", 1, &n, regress->round_candidate, err));
    MDL_TRY(mdl_h5_write_double(file, "/round_mark", 1, &n, regress->round_mark, err));
    MDL_TRY(mdl_h5_write_double(file, "/round_ratio", 1, &n, regress->round_ratio, err));
    MDL_TRY(mdl_h5_write_double(file, "/round_error", 1, &n, regress->round_error, err));
    MDL_TRY(mdl_h5_write_double(file, "/round_predicted", 1, &n, regress->round_predicted, err));
    MDL_TRY(mdl_h5_write_double(file, "/round_sigma", 1, &n, regress->round_sigma, err));
    rc = mdl_h5_write_text(file, "/round_kept", n, (const char *const *)regress->round_kept, err);
done:
    return rc;
}

int mdl_regress_write(const char *path, const mdl_provenance_t *provenance,
                      const mdl_regress_t *regress, mdl_error_t *err)
{
    mdl_result_t result;
    int rc = mdl_result_create(&result, path, provenance, err);
    if (rc != MDL_OK)
        return rc;
    rc = write_columns(result.file, regress, err);
    if (rc == MDL_OK)
        rc = write_rounds(result.file, regress, err);
    return mdl_result_close(&result, rc, err);
}

static int read_columns(hid_t file, mdl_regress_t *regress, mdl_error_t *err)
{
    int64_t *n = &regress->n_candidate, *n_point = &regress->n_point;
    int rc;
    *n = *n_point = -1;
    MDL_TRY(mdl_h5_read_text(file, "/candidate", n, &regress->candidate, err));
    MDL_TRY(mdl_h5_read_text(file, "/ve", n, &regress->ve, err));
    MDL_TRY(mdl_h5_read_text(file, "/lm", n, &regress->lm, err));
    MDL_TRY(mdl_h5_read_text(file, "/status", n, &regress->status, err));
    MDL_TRY(mdl_h5_read_int32(file, "/cluster", 1, n, &regress->cluster, err));
    MDL_TRY(mdl_h5_read_double(file, "/predicted", 1, n, &regress->predicted, err));
    MDL_TRY(mdl_h5_read_double(file, "/low", 1, n, &regress->low, err));
    MDL_TRY(mdl_h5_read_double(file, "/high", 1, n, &regress->high, err));
    MDL_TRY(mdl_h5_read_double(file, "/slope", 1, n, &regress->slope, err));
    MDL_TRY(mdl_h5_read_double(file, "/intercept", 1, n, &regress->intercept, err));
    MDL_TRY(mdl_h5_read_double(file, "/ratio_trained", 1, n, &regress->ratio_trained, err));
    MDL_TRY(mdl_h5_read_double(file, "/train_seconds", 1, n, &regress->train_seconds, err));
    MDL_TRY(
        mdl_h5_read_int32(file, "/point_candidate", 1, n_point, &regress->point_candidate, err));
    MDL_TRY(mdl_h5_read_double(file, "/point_ratio", 1, n_point, &regress->point_ratio, err));
    MDL_TRY(mdl_h5_read_double(file, "/point_error", 1, n_point, &regress->point_error, err));
    MDL_TRY(mdl_h5_read_double(file, "/point_stderr", 1, n_point, &regress->point_stderr, err));
    MDL_TRY(mdl_h5_read_uint8(file, "/point_used", 1, n_point, &regress->point_used, err));
    MDL_TRY(mdl_h5_get_text(file, "choice", &regress->choice, err));
    MDL_TRY(mdl_h5_get_double(file, "confidence", &regress->confidence, err));
    rc = mdl_h5_get_double(file, "lost_seconds", &regress->lost_seconds, err);
done:
    return rc;
}

static int read_rounds(hid_t file, mdl_regress_t *regress, mdl_error_t *err)
{
    int64_t *n = &regress->n_round;
    int rc;
    if (H5Lexists(file, "/round", H5P_DEFAULT) <= 0)
        return MDL_OK;
    *n = -1;
    MDL_TRY(mdl_h5_read_int32(file, "/round", 1, n, &regress->round, err));
    MDL_TRY(mdl_h5_read_int32(file, "/round_candidate", 1, n, &regress->round_candidate, err));
    MDL_TRY(mdl_h5_read_double(file, "/round_mark", 1, n, &regress->round_mark, err));
    MDL_TRY(mdl_h5_read_double(file, "/round_ratio", 1, n, &regress->round_ratio, err));
    MDL_TRY(mdl_h5_read_double(file, "/round_error", 1, n, &regress->round_error, err));
    MDL_TRY(mdl_h5_read_double(file, "/round_predicted", 1, n, &regress->round_predicted, err));
    MDL_TRY(mdl_h5_read_double(file, "/round_sigma", 1, n, &regress->round_sigma, err));
    rc = mdl_h5_read_text(file, "/round_kept", n, &regress->round_kept, err);
done:
    return rc;
}

/* 1 when name is "VE+LM". */
static int is_pair(const char *name, const char *ve, const char *lm)
{
    size_t n = strlen(ve);
    return strncmp(name, ve, n) == 0 && name[n] == '+' && strcmp(name + n + 1, lm) == 0;
}

static int check(const mdl_regress_t *regress, mdl_error_t *err)
{
    int chosen = 0;
    for (int64_t i = 0; i < regress->n_candidate; i++) {
        if (!is_pair(regress->candidate[i], regress->ve[i], regress->lm[i]))
            return mdl_fail(err, MDL_E_INPUT, "row %lld: '%.80s' isn't '%.80s+%.80s'", (long long)i,
                            regress->candidate[i], regress->ve[i], regress->lm[i]);
        if (regress->predicted[i] < 0 || !(regress->ratio_trained[i] >= 0) ||
            regress->ratio_trained[i] > 1 || !(regress->train_seconds[i] >= 0))
            return mdl_fail(err, MDL_E_INPUT, "row %lld (%.80s): predicted %g, ratio %g",
                            (long long)i, regress->candidate[i], regress->predicted[i],
                            regress->ratio_trained[i]);
        chosen |= strcmp(regress->candidate[i], regress->choice) == 0;
    }
    if (!chosen)
        return mdl_fail(err, MDL_E_INPUT, "the choice '%.80s' is not a candidate", regress->choice);
    for (int64_t i = 0; i < regress->n_point; i++)
        if (regress->point_candidate[i] < 0 ||
            regress->point_candidate[i] >= regress->n_candidate || !(regress->point_ratio[i] > 0) ||
            regress->point_ratio[i] > 1 || !(regress->point_error[i] >= 0) ||
            regress->point_error[i] > 1)
            return mdl_fail(err, MDL_E_INPUT, "point %lld: row %d, ratio %g, error %g",
                            (long long)i, (int)regress->point_candidate[i], regress->point_ratio[i],
                            regress->point_error[i]);
    for (int64_t i = 0; i < regress->n_round; i++)
        if (regress->round_candidate[i] < 0 ||
            regress->round_candidate[i] >= regress->n_candidate || regress->round[i] < 1 ||
            (i > 0 && regress->round[i] < regress->round[i - 1]) ||
            !(regress->round_mark[i] > 0 && regress->round_mark[i] <= 1) ||
            !(regress->round_ratio[i] >= 0 && regress->round_ratio[i] <= 1))
            return mdl_fail(err, MDL_E_INPUT, "decision %lld: row %d in round %d at ratio %g",
                            (long long)i, (int)regress->round_candidate[i], (int)regress->round[i],
                            regress->round_mark[i]);
    return MDL_OK;
}

int mdl_regress_read(const char *path, mdl_regress_t *regress, mdl_error_t *err)
{
    hid_t file;
    *regress = (mdl_regress_t){0};
    int rc = mdl_result_open(path, schema, 1, "run mordal-regress first", &file, err);
    if (rc != MDL_OK)
        return rc;
    rc = read_columns(file, regress, err);
    if (rc == MDL_OK)
        rc = read_rounds(file, regress, err);
    if (rc == MDL_OK && (rc = check(regress, err)) != MDL_OK)
        mdl_error_prefix(err, "%s: not what mordal-regress writes", path);
    mdl_h5_close(file);
    if (rc != MDL_OK)
        mdl_regress_free(regress);
    return rc;
}

void mdl_regress_free(mdl_regress_t *regress)
{
    free(regress->candidate);
    free(regress->ve);
    free(regress->lm);
    free(regress->status);
    free(regress->cluster);
    free(regress->predicted);
    free(regress->low);
    free(regress->high);
    free(regress->slope);
    free(regress->intercept);
    free(regress->ratio_trained);
    free(regress->train_seconds);
    free(regress->point_candidate);
    free(regress->point_ratio);
    free(regress->point_error);
    free(regress->point_stderr);
    free(regress->point_used);
    free(regress->round);
    free(regress->round_candidate);
    free(regress->round_mark);
    free(regress->round_ratio);
    free(regress->round_error);
    free(regress->round_predicted);
    free(regress->round_sigma);
    free(regress->round_kept);
    free(regress->choice);
    *regress = (mdl_regress_t){0};
}

static int write_final(hid_t file, const char *candidate, const mdl_point_t *point,
                       mdl_error_t *err)
{
    const int64_t one = 1;
    int rc;
    MDL_TRY(mdl_h5_write_text(file, "/candidate", 1, &candidate, err));
    MDL_TRY(mdl_h5_write_double(file, "/ratio", 1, &one, &point->ratio, err));
    MDL_TRY(mdl_h5_write_double(file, "/error", 1, &one, &point->error, err));
    MDL_TRY(mdl_h5_write_double(file, "/error_stderr", 1, &one, &point->error_stderr, err));
    MDL_TRY(mdl_h5_write_double(file, "/loss", 1, &one, &point->loss, err));
    rc = mdl_h5_write_double(file, "/train_seconds", 1, &one, &point->train_seconds, err);
done:
    return rc;
}

int mdl_final_write(const char *path, const mdl_provenance_t *provenance, const char *candidate,
                    const mdl_point_t *point, mdl_error_t *err)
{
    mdl_result_t result;
    int rc = mdl_result_create(&result, path, provenance, err);
    if (rc != MDL_OK)
        return rc;
    return mdl_result_close(&result, write_final(result.file, candidate, point, err), err);
}

static int read_one(hid_t file, const char *name, double *value, mdl_error_t *err)
{
    int64_t one = 1;
    double *values = NULL;
    int rc = mdl_h5_read_double(file, name, 1, &one, &values, err);
    if (rc == MDL_OK)
        *value = values[0];
    free(values);
    return rc;
}

int mdl_final_read(const char *path, char **candidate, mdl_point_t *point, mdl_error_t *err)
{
    hid_t file;
    int64_t one = 1;
    char **names = NULL;
    *candidate = NULL;
    *point = (mdl_point_t){0};
    int rc = mdl_result_open(path, final_schema, 1, "run mordal-regress --final first", &file, err);
    if (rc != MDL_OK)
        return rc;
    MDL_TRY(mdl_h5_read_text(file, "/candidate", &one, &names, err));
    MDL_TRY(read_one(file, "/ratio", &point->ratio, err));
    MDL_TRY(read_one(file, "/error", &point->error, err));
    MDL_TRY(read_one(file, "/error_stderr", &point->error_stderr, err));
    MDL_TRY(read_one(file, "/loss", &point->loss, err));
    MDL_TRY(read_one(file, "/train_seconds", &point->train_seconds, err));
    if (!(point->error >= 0 && point->error <= 1) || !(point->train_seconds >= 0)) {
        rc = mdl_fail(err, MDL_E_INPUT, "%s: error %g or seconds %g isn't usable", path,
                      point->error, point->train_seconds);
        goto done;
    }
    *candidate = strdup(names[0]);
    if (*candidate == NULL)
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory: reading %s", path);
done:
    free(names);
    mdl_h5_close(file);
    return rc;
}
