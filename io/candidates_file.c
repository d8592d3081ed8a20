#include "io/candidates_file.h"

#include <stdlib.h>
#include <string.h>

/* "VEmedoid+LMmedoid" of every cluster is its medoid's candidate name. */
static int write_names(hid_t file, const mdl_candidates_t *c, mdl_error_t *err)
{
    const char **names = NULL;
    int rc = mdl_alloc(&names, (size_t)c->n_cluster, sizeof *names, "cluster names", err);
    for (int64_t k = 0; rc == MDL_OK && k < c->n_cluster; k++)
        names[k] = c->candidate[c->medoid[k]];
    if (rc == MDL_OK)
        rc = mdl_h5_write_text(file, "/name", c->n_cluster, names, err);
    free(names);
    return rc;
}

int mdl_candidates_write(const char *path, const mdl_provenance_t *provenance,
                         const mdl_candidates_t *c, mdl_error_t *err)
{
    mdl_result_t result;
    int64_t n = c->n_candidate;
    int rc = mdl_result_create(&result, path, provenance, err);
    if (rc != MDL_OK)
        return rc;
    MDL_TRY(
        mdl_h5_write_text(result.file, "/candidate", n, (const char *const *)c->candidate, err));
    MDL_TRY(mdl_h5_write_text(result.file, "/ve", n, (const char *const *)c->ve, err));
    MDL_TRY(mdl_h5_write_text(result.file, "/lm", n, (const char *const *)c->lm, err));
    MDL_TRY(mdl_h5_write_int32(result.file, "/cluster", 1, &n, c->cluster, err));
    MDL_TRY(mdl_h5_write_int32(result.file, "/medoid", 1, &c->n_cluster, c->medoid, err));
    MDL_TRY(write_names(result.file, c, err));
done:
    return mdl_result_close(&result, rc, err);
}

/* Whether candidate is "VE+LM". */
static int is_pair(const char *candidate, const char *ve, const char *lm)
{
    size_t length = strlen(ve);
    return length > 0 && lm[0] != '\0' && strncmp(candidate, ve, length) == 0 &&
           candidate[length] == '+' && strcmp(candidate + length + 1, lm) == 0;
}

static int by_name(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static int check_unique(const char *path, const mdl_candidates_t *c, mdl_error_t *err)
{
    char **sorted = NULL;
    int rc = mdl_alloc(&sorted, (size_t)c->n_candidate, sizeof *sorted, "candidate names", err);
    if (rc == MDL_OK) {
        memcpy(sorted, c->candidate, (size_t)c->n_candidate * sizeof *sorted);
        qsort(sorted, (size_t)c->n_candidate, sizeof *sorted, by_name);
    }
    for (int64_t i = 1; rc == MDL_OK && i < c->n_candidate; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            rc = mdl_fail(err, MDL_E_INPUT, "%s: candidate %s is there twice", path, sorted[i]);
    free(sorted);
    return rc;
}

static int check(const char *path, const mdl_candidates_t *c, mdl_error_t *err)
{
    for (int64_t i = 0; i < c->n_candidate; i++) {
        if (!is_pair(c->candidate[i], c->ve[i], c->lm[i]))
            return mdl_fail(err, MDL_E_INPUT,
                            "%s: candidate %lld is '%s', but its parts are '%s' and '%s'", path,
                            (long long)i, c->candidate[i], c->ve[i], c->lm[i]);
        if (c->cluster[i] < 0 || c->cluster[i] >= c->n_cluster)
            return mdl_fail(err, MDL_E_INPUT, "%s: candidate %s is in cluster %d of %lld", path,
                            c->candidate[i], (int)c->cluster[i], (long long)c->n_cluster);
    }
    for (int64_t k = 0; k < c->n_cluster; k++)
        if (c->medoid[k] < 0 || c->medoid[k] >= c->n_candidate || c->cluster[c->medoid[k]] != k)
            return mdl_fail(err, MDL_E_INPUT,
                            "%s: the medoid of cluster %lld is none of its candidates", path,
                            (long long)k);
    return check_unique(path, c, err);
}

int mdl_candidates_read(const char *path, mdl_candidates_t *c, mdl_error_t *err)
{
    *c = (mdl_candidates_t){.n_candidate = -1, .n_cluster = -1};
    hid_t file = -1;
    int rc;
    MDL_TRY(mdl_result_open(path, MDL_CANDIDATES_SCHEMA, MDL_CANDIDATES_VERSION,
                            "run mordal-cluster first", &file, err));
    MDL_TRY(mdl_h5_read_text(file, "/candidate", &c->n_candidate, &c->candidate, err));
    MDL_TRY(mdl_h5_read_text(file, "/ve", &c->n_candidate, &c->ve, err));
    MDL_TRY(mdl_h5_read_text(file, "/lm", &c->n_candidate, &c->lm, err));
    MDL_TRY(mdl_h5_read_int32(file, "/cluster", 1, &c->n_candidate, &c->cluster, err));
    MDL_TRY(mdl_h5_read_int32(file, "/medoid", 1, &c->n_cluster, &c->medoid, err));
    if (c->n_candidate < 1)
        rc = mdl_fail(err, MDL_E_INPUT, "%s: it holds no candidates; run mordal-cluster again",
                      path);
    else
        rc = check(path, c, err);
done:
    mdl_h5_close(file);
    if (rc != MDL_OK)
        mdl_candidates_free(c);
    return rc;
}

void mdl_candidates_free(mdl_candidates_t *c)
{
    free(c->candidate);
    free(c->ve);
    free(c->lm);
    free(c->cluster);
    free(c->medoid);
    *c = (mdl_candidates_t){0};
}
