#include "io/rung_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char schema[] = "mordal-rung";
static const char advice[] = "run mordal-rung first";

static int write_columns(hid_t file, const mdl_rung_t *rung, mdl_error_t *err)
{
    const int64_t n = rung->n_candidate;
    int rc;
    MDL_TRY(mdl_h5_write_text(file, "/candidate", n, (const char *const *)rung->candidate, err));
    MDL_TRY(mdl_h5_write_int32(file, "/cluster", 1, &n, rung->cluster, err));
    MDL_TRY(mdl_h5_write_double(file, "/ratio", 1, &n, rung->ratio, err));
    MDL_TRY(mdl_h5_write_double(file, "/error", 1, &n, rung->error, err));
    MDL_TRY(mdl_h5_write_double(file, "/error_stderr", 1, &n, rung->error_stderr, err));
    MDL_TRY(mdl_h5_write_double(file, "/loss", 1, &n, rung->loss, err));
    MDL_TRY(mdl_h5_write_double(file, "/train_seconds", 1, &n, rung->train_seconds, err));
    MDL_TRY(mdl_h5_write_uint8(file, "/promoted", 1, &n, rung->promoted, err));
    MDL_TRY(mdl_h5_write_uint8(file, "/failed", 1, &n, rung->failed, err));
    MDL_TRY(mdl_h5_write_text(file, "/reason", n, (const char *const *)rung->reason, err));
    MDL_TRY(mdl_h5_set_int(file, "rung", rung->rung, err));
    MDL_TRY(mdl_h5_set_int(file, "finished", rung->finished, err));
    rc = mdl_h5_set_text(file, "note", rung->note, err);
done:
    return rc;
}

int mdl_rung_write(const char *path, const mdl_provenance_t *provenance, const mdl_rung_t *rung,
                   mdl_error_t *err)
{
    mdl_result_t result;
    int rc = mdl_result_create(&result, path, provenance, err);
    if (rc != MDL_OK)
        return rc;
    return mdl_result_close(&result, write_columns(result.file, rung, err), err);
}

static int read_columns(hid_t file, mdl_rung_t *rung, mdl_error_t *err)
{
    int64_t *n = &rung->n_candidate, finished;
    int rc;
    *n = -1;
    MDL_TRY(mdl_h5_read_text(file, "/candidate", n, &rung->candidate, err));
    MDL_TRY(mdl_h5_read_int32(file, "/cluster", 1, n, &rung->cluster, err));
    MDL_TRY(mdl_h5_read_double(file, "/ratio", 1, n, &rung->ratio, err));
    MDL_TRY(mdl_h5_read_double(file, "/error", 1, n, &rung->error, err));
    MDL_TRY(mdl_h5_read_double(file, "/error_stderr", 1, n, &rung->error_stderr, err));
    MDL_TRY(mdl_h5_read_double(file, "/loss", 1, n, &rung->loss, err));
    MDL_TRY(mdl_h5_read_double(file, "/train_seconds", 1, n, &rung->train_seconds, err));
    MDL_TRY(mdl_h5_read_uint8(file, "/promoted", 1, n, &rung->promoted, err));
    MDL_TRY(mdl_h5_read_uint8(file, "/failed", 1, n, &rung->failed, err));
    MDL_TRY(mdl_h5_read_text(file, "/reason", n, &rung->reason, err));
    MDL_TRY(mdl_h5_get_int(file, "rung", &rung->rung, err));
    MDL_TRY(mdl_h5_get_int(file, "finished", &finished, err));
    rung->finished = finished != 0;
    rc = mdl_h5_get_text(file, "note", &rung->note, err);
done:
    return rc;
}

static int check(const mdl_rung_t *rung, mdl_error_t *err)
{
    if (rung->n_candidate < 1 || rung->rung < 1)
        return mdl_fail(err, MDL_E_INPUT, "rung %lld with %lld candidates", (long long)rung->rung,
                        (long long)rung->n_candidate);
    for (int64_t i = 0; i < rung->n_candidate; i++) {
        const char *name = rung->candidate[i];
        if (strchr(name, '+') == NULL || rung->cluster[i] < 0)
            return mdl_fail(err, MDL_E_INPUT, "row %lld: '%.80s' of cluster %d is not a candidate",
                            (long long)i, name, (int)rung->cluster[i]);
        if (!(rung->ratio[i] >= 0 && rung->ratio[i] <= 1) || !(rung->train_seconds[i] >= 0) ||
            rung->error[i] < 0 || rung->error[i] > 1 || isinf(rung->loss[i]))
            return mdl_fail(err, MDL_E_INPUT, "row %lld (%.80s): ratio %g, error %g, seconds %g",
                            (long long)i, name, rung->ratio[i], rung->error[i],
                            rung->train_seconds[i]);
        if (rung->promoted[i] > 1 || rung->failed[i] > 1)
            return mdl_fail(err, MDL_E_INPUT, "row %lld (%.80s): promoted %d, failed %d",
                            (long long)i, name, rung->promoted[i], rung->failed[i]);
    }
    return MDL_OK;
}

int mdl_rung_read(const char *path, mdl_rung_t *rung, mdl_error_t *err)
{
    hid_t file;
    *rung = (mdl_rung_t){0};
    int rc = mdl_result_open(path, schema, 1, advice, &file, err);
    if (rc != MDL_OK)
        return rc;
    rc = read_columns(file, rung, err);
    if (rc == MDL_OK && (rc = check(rung, err)) != MDL_OK)
        mdl_error_prefix(err, "%s: not what mordal-rung writes", path);
    mdl_h5_close(file);
    if (rc != MDL_OK)
        mdl_rung_free(rung);
    return rc;
}

void mdl_rung_free(mdl_rung_t *rung)
{
    free(rung->note);
    free(rung->candidate);
    free(rung->reason);
    free(rung->cluster);
    free(rung->ratio);
    free(rung->error);
    free(rung->error_stderr);
    free(rung->loss);
    free(rung->train_seconds);
    free(rung->promoted);
    free(rung->failed);
    *rung = (mdl_rung_t){0};
}
