#include "score/samples.h"

#include <stdlib.h>
#include <string.h>

/* The archive's row of each sample, -1 without. */
static int find_rows(const mdl_archive_t *archive, const mdl_labelled_t *samples, int64_t n,
                     int64_t **rows, mdl_error_t *err)
{
    const char **ids = NULL;
    int rc;
    *rows = NULL;
    MDL_TRY(mdl_alloc(&ids, (size_t)n + 1, sizeof *ids, "sample ids", err));
    MDL_TRY(mdl_alloc(rows, (size_t)n + 1, sizeof **rows, "sample ids", err));
    for (int64_t i = 0; i < n; i++)
        ids[i] = samples[i].id;
    rc = mdl_archive_find_rows(archive, ids, n, *rows, err);
done:
    free(ids);
    return rc;
}

int mdl_samples_keep(const mdl_archive_t *archive, mdl_labelled_t *samples, int64_t *n,
                     mdl_error_t *err)
{
    int64_t *rows, n_kept = 0;
    int rc = find_rows(archive, samples, *n, &rows, err);
    for (int64_t i = 0; rc == MDL_OK && i < *n; i++)
        if (rows[i] >= 0)
            samples[n_kept++] = samples[i];
    if (rc == MDL_OK)
        *n = n_kept;
    free(rows);
    return rc;
}

static void mean_over_tokens(const double *tokens, int64_t n_token, int64_t n_feat, double *out)
{
    for (int64_t t = 0; t < n_token; t++)
        for (int64_t j = 0; j < n_feat; j++)
            out[j] += tokens[t * n_feat + j] / (double)n_token;
}

int mdl_samples_read(const mdl_archive_t *archive, const mdl_labelled_t *samples, int64_t n,
                     double **x, mdl_error_t *err)
{
    const int64_t n_feat = archive->n_feat;
    int64_t *rows = NULL;
    double *tokens = NULL;
    int rc;
    *x = NULL;
    MDL_TRY(find_rows(archive, samples, n, &rows, err));
    MDL_TRY(mdl_alloc(x, (size_t)n * (size_t)n_feat, sizeof **x, "features", err));
    if (archive->n_token > 0)
        MDL_TRY(mdl_alloc(&tokens, (size_t)mdl_archive_row_size(archive), sizeof *tokens, "tokens",
                          err));
    for (int64_t i = 0; i < n; i++) {
        double *row = *x + i * n_feat;
        MDL_TRY(mdl_archive_read_double(archive, rows[i], 1, tokens != NULL ? tokens : row, err));
        if (tokens != NULL)
            mean_over_tokens(tokens, archive->n_token, n_feat, row);
    }
done:
    free(rows);
    free(tokens);
    if (rc != MDL_OK) {
        free(*x);
        *x = NULL;
    }
    return rc;
}

static int by_text(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

int mdl_samples_number(const mdl_labelled_t *samples, int64_t n, int32_t *class_of,
                       int64_t *n_class, mdl_error_t *err)
{
    const char **classes;
    int64_t n_found = 0;
    if (n < 4)
        return mdl_fail(err, MDL_E_INPUT,
                        "%lld labelled rows: a score needs at least 4; do the labels' sample ids "
                        "name its rows?",
                        (long long)n);
    int rc = mdl_alloc(&classes, (size_t)n, sizeof *classes, "classes", err);
    if (rc != MDL_OK)
        return rc;
    for (int64_t i = 0; i < n; i++)
        classes[i] = samples[i].label;
    qsort(classes, (size_t)n, sizeof *classes, by_text);
    for (int64_t i = 0; i < n; i++)
        if (n_found == 0 || strcmp(classes[i], classes[n_found - 1]) != 0)
            classes[n_found++] = classes[i];
    for (int64_t i = 0; i < n; i++) {
        const char **at =
            bsearch(&samples[i].label, classes, (size_t)n_found, sizeof *classes, by_text);
        class_of[i] = (int32_t)(at - classes);
    }
    *n_class = n_found;
    if (n_found < 2)
        rc = mdl_fail(err, MDL_E_INPUT, "all rows are labelled '%.80s': a score needs two classes",
                      classes[0]);
    free(classes);
    return rc;
}
