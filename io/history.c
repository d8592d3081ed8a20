#include "io/history.h"

#include "io/result.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    size_t offset;
} COLUMNS[] = {
    {"/ratio", offsetof(mdl_point_t, ratio)},
    {"/error", offsetof(mdl_point_t, error)},
    {"/error_stderr", offsetof(mdl_point_t, error_stderr)},
    {"/loss", offsetof(mdl_point_t, loss)},
    {"/train_seconds", offsetof(mdl_point_t, train_seconds)},
    {"/evaluate_seconds", offsetof(mdl_point_t, evaluate_seconds)},
};
enum { N_COLUMN = sizeof COLUMNS / sizeof COLUMNS[0], MAX_POINT = 100000 };

static double *field(mdl_point_t *point, int column)
{
    return (double *)((char *)point + COLUMNS[column].offset);
}

static mdl_provenance_t provenance_of(const char *configuration)
{
    return (mdl_provenance_t){
        .schema = "mordal-history", .version = 1, .configuration = configuration};
}

static int read_column(hid_t file, const char *path, int column, mdl_history_t *history,
                       mdl_error_t *err)
{
    int64_t n_point = history->n_point;
    double *values = NULL;
    int rc = mdl_h5_read_double(file, COLUMNS[column].name, 1, &n_point, &values, err);
    if (rc != MDL_OK)
        return mdl_error_prefix(err, "%s", path);
    for (int i = 0; i < history->n_point; i++)
        *field(&history->points[i], column) = values[i];
    free(values);
    return MDL_OK;
}

/* A point that can be used: ratio and error in range, times not negative. */
static int check_points(const char *path, const mdl_history_t *history, mdl_error_t *err)
{
    double before = 0;
    for (int i = 0; i < history->n_point; i++) {
        const mdl_point_t *point = &history->points[i];
        int good = point->ratio > before && point->ratio <= 1 && point->error >= 0 &&
                   point->error <= 1 && point->train_seconds >= 0 && !isinf(point->loss) &&
                   point->evaluate_seconds >= 0 && !(point->error_stderr < 0);
        if (!good)
            return mdl_fail(err, MDL_E_INPUT,
                            "%s: point %d (ratio %g, error %g) isn't usable; remove the file and "
                            "run mordal-rung again",
                            path, i, point->ratio, point->error);
        before = point->ratio;
    }
    return MDL_OK;
}

static int read_points(hid_t file, const char *path, mdl_history_t *history, mdl_error_t *err)
{
    int64_t dims[MDL_H5_MAX_RANK];
    int n_dim, rc;
    MDL_TRY(mdl_h5_shape(file, "/ratio", &n_dim, dims, err));
    if (n_dim != 1 || dims[0] > MAX_POINT) {
        rc = mdl_fail(err, MDL_E_INPUT, "%s: /ratio is not a list of at most %d points", path,
                      MAX_POINT);
        goto done;
    }
    MDL_TRY(mdl_alloc(&history->points, (size_t)dims[0], sizeof *history->points, "points", err));
    history->n_point = (int)dims[0];
    for (int column = 0; column < N_COLUMN; column++)
        MDL_TRY(read_column(file, path, column, history, err));
    rc = check_points(path, history, err);
done:
    return rc;
}

static int read_state(hid_t file, const char *path, mdl_history_t *history, mdl_error_t *err)
{
    char *status = NULL, *reason = NULL;
    int rc;
    MDL_TRY(mdl_h5_get_text(file, "status", &status, err));
    MDL_TRY(mdl_h5_get_text(file, "reason", &reason, err));
    MDL_TRY(mdl_h5_get_double(file, "train_seconds", &history->train_seconds, err));
    MDL_TRY(mdl_h5_get_double(file, "lost_seconds", &history->lost_seconds, err));
    history->failed = strcmp(status, "failed") == 0;
    snprintf(history->reason, sizeof history->reason, "%s", reason);
    if ((!history->failed && strcmp(status, "ok") != 0) || !(history->train_seconds >= 0) ||
        !(history->lost_seconds >= 0))
        rc = mdl_fail(err, MDL_E_INPUT,
                      "%s: status '%.20s', train_seconds %g or lost_seconds %g isn't usable; "
                      "remove the file and run mordal-rung again",
                      path, status, history->train_seconds, history->lost_seconds);
done:
    free(status);
    free(reason);
    return rc;
}

static int check_configuration(hid_t file, const char *path, const char *configuration,
                               mdl_error_t *err)
{
    char *before = NULL, why[256] = "";
    mdl_provenance_t now = provenance_of(configuration);
    int rc = mdl_h5_get_text(file, "configuration", &before, err);
    if (rc == MDL_OK && strcmp(before, configuration) != 0) {
        mdl_result_is_current(path, &now, why);
        rc = mdl_fail(err, MDL_E_INPUT,
                      "%s: was measured with other settings (%s); rerun with --force, which starts "
                      "the candidate afresh, or in a new study folder",
                      path, why);
    }
    free(before);
    return rc;
}

static int open_history(const char *path, hid_t *file, mdl_error_t *err)
{
    return mdl_result_open(path, "mordal-history", 1, "run mordal-rung first", file, err);
}

int mdl_history_read(const char *path, const char *configuration, mdl_history_t *history,
                     mdl_error_t *err)
{
    *history = (mdl_history_t){0};
    if (access(path, F_OK) != 0)
        return MDL_OK;
    hid_t file;
    int rc = open_history(path, &file, err);
    if (rc != MDL_OK)
        return rc;
    MDL_TRY(check_configuration(file, path, configuration, err));
    MDL_TRY(read_state(file, path, history, err));
    rc = read_points(file, path, history, err);
done:
    mdl_h5_close(file);
    if (rc != MDL_OK)
        mdl_history_free(history);
    return rc;
}

double mdl_history_lost(const char *path)
{
    mdl_error_t ignored;
    double lost = 0;
    hid_t file;
    if (access(path, R_OK) != 0 || open_history(path, &file, &ignored) != MDL_OK)
        return 0;
    int rc = mdl_h5_get_double(file, "lost_seconds", &lost, &ignored);
    mdl_h5_close(file);
    return rc == MDL_OK && lost >= 0 && isfinite(lost) ? lost : 0;
}

static int write_contents(hid_t file, const mdl_history_t *history, mdl_error_t *err)
{
    int64_t n_point = history->n_point;
    double *values = NULL;
    int rc;
    MDL_TRY(mdl_alloc(&values, (size_t)n_point, sizeof *values, "points", err));
    for (int column = 0; column < N_COLUMN; column++) {
        for (int i = 0; i < history->n_point; i++)
            values[i] = *field(&history->points[i], column);
        MDL_TRY(mdl_h5_write_double(file, COLUMNS[column].name, 1, &n_point, values, err));
    }
    MDL_TRY(mdl_h5_set_text(file, "status", history->failed ? "failed" : "ok", err));
    MDL_TRY(mdl_h5_set_text(file, "reason", history->reason, err));
    MDL_TRY(mdl_h5_set_double(file, "train_seconds", history->train_seconds, err));
    rc = mdl_h5_set_double(file, "lost_seconds", history->lost_seconds, err);
done:
    free(values);
    return rc;
}

int mdl_history_write(const char *path, const char *configuration, const mdl_history_t *history,
                      mdl_error_t *err)
{
    mdl_provenance_t provenance = provenance_of(configuration);
    mdl_result_t result;
    int rc = mdl_result_create(&result, path, &provenance, err);
    if (rc != MDL_OK)
        return rc;
    return mdl_result_close(&result, write_contents(result.file, history, err), err);
}

const mdl_point_t *mdl_history_find(const mdl_history_t *history, double ratio)
{
    for (int i = 0; i < history->n_point; i++)
        if (fabs(history->points[i].ratio - ratio) <= 1e-9)
            return &history->points[i];
    return NULL;
}

int mdl_history_add(mdl_history_t *history, const mdl_point_t *point, mdl_error_t *err)
{
    mdl_point_t *points;
    int rc = mdl_alloc(&points, (size_t)history->n_point + 1, sizeof *points, "points", err);
    if (rc != MDL_OK)
        return rc;
    int n_before = 0;
    while (n_before < history->n_point && history->points[n_before].ratio < point->ratio)
        n_before++;
    if (history->n_point > 0) {
        memcpy(points, history->points, (size_t)n_before * sizeof *points);
        memcpy(points + n_before + 1, history->points + n_before,
               (size_t)(history->n_point - n_before) * sizeof *points);
    }
    points[n_before] = *point;
    free(history->points);
    history->points = points;
    history->n_point++;
    return MDL_OK;
}

void mdl_history_free(mdl_history_t *history)
{
    free(history->points);
    *history = (mdl_history_t){0};
}
