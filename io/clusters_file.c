#include "io/clusters_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int mdl_clusters_write(const char *path, const mdl_provenance_t *provenance,
                       const mdl_clusters_t *clusters, mdl_error_t *err)
{
    mdl_result_t result;
    int64_t n = clusters->n_model, tree[] = {n - 1, 4};
    int rc = mdl_result_create(&result, path, provenance, err);
    if (rc != MDL_OK)
        return rc;
    MDL_TRY(mdl_h5_write_double(result.file, "/linkage", 2, tree, clusters->linkage, err));
    MDL_TRY(mdl_h5_write_int32(result.file, "/label", 1, &n, clusters->label, err));
    MDL_TRY(
        mdl_h5_write_int32(result.file, "/medoid", 1, &clusters->n_cluster, clusters->medoid, err));
    MDL_TRY(
        mdl_h5_write_text(result.file, "/models", n, (const char *const *)clusters->models, err));
    MDL_TRY(mdl_h5_set_double(result.file, "threshold", clusters->threshold, err));
    MDL_TRY(mdl_h5_set_text(result.file, "method", clusters->method, err));
    MDL_TRY(mdl_h5_set_text(result.file, "side", clusters->side, err));
done:
    return mdl_result_close(&result, rc, err);
}

/* Merge k joins two earlier nodes (models are 0 to n-1, merges follow), each used once. */
static int check_linkage(const char *path, const mdl_clusters_t *c, mdl_error_t *err)
{
    int64_t n = c->n_model;
    char *used = NULL;
    int rc = mdl_alloc(&used, (size_t)(2 * n), 1, "linkage nodes", err);
    for (int64_t k = 0; rc == MDL_OK && k < n - 1; k++) {
        const double *row = c->linkage + 4 * k;
        int sound = row[2] > -INFINITY && row[3] >= 2 && row[3] <= (double)n;
        for (int side = 0; sound && side < 2; side++) {
            double node = row[side];
            sound =
                node >= 0 && node < (double)(n + k) && node == floor(node) && !used[(int64_t)node];
            if (sound)
                used[(int64_t)node] = 1;
        }
        if (!sound)
            rc =
                mdl_fail(err, MDL_E_INPUT,
                         "%s: row %lld of /linkage is not a merge of two nodes; run mordal-cluster "
                         "again",
                         path, (long long)k);
    }
    free(used);
    return rc;
}

static int check_labels(const char *path, const mdl_clusters_t *c, mdl_error_t *err)
{
    int32_t next = 0;
    for (int64_t i = 0; i < c->n_model; i++) {
        if (c->models[i][0] == '\0' || (i > 0 && strcmp(c->models[i - 1], c->models[i]) >= 0))
            return mdl_fail(err, MDL_E_INPUT,
                            "%s: /models must be names in ascending order, each once; entry %lld "
                            "is '%s'",
                            path, (long long)i, c->models[i]);
        if (c->label[i] < 0 || c->label[i] > next || c->label[i] >= c->n_cluster)
            return mdl_fail(err, MDL_E_INPUT,
                            "%s: /label of %s is %d; clusters are numbered from 0 in the order of "
                            "their first model and there are %lld",
                            path, c->models[i], (int)c->label[i], (long long)c->n_cluster);
        next += c->label[i] == next;
    }
    for (int64_t k = 0; k < c->n_cluster; k++)
        if (k >= next || c->medoid[k] < 0 || c->medoid[k] >= c->n_model ||
            c->label[c->medoid[k]] != k)
            return mdl_fail(err, MDL_E_INPUT, "%s: /medoid of cluster %lld is none of its models",
                            path, (long long)k);
    return MDL_OK;
}

int mdl_clusters_read(const char *path, mdl_clusters_t *clusters, mdl_error_t *err)
{
    *clusters = (mdl_clusters_t){.n_model = -1, .n_cluster = -1};
    hid_t file = -1;
    int rc;
    MDL_TRY(mdl_result_open(path, MDL_CLUSTERS_SCHEMA, MDL_CLUSTERS_VERSION,
                            "run mordal-cluster first", &file, err));
    MDL_TRY(mdl_h5_read_text(file, "/models", &clusters->n_model, &clusters->models, err));
    if (clusters->n_model < 1) {
        rc = mdl_fail(err, MDL_E_INPUT, "%s: it holds no models; run mordal-cluster again", path);
        goto done;
    }
    int64_t tree[] = {clusters->n_model - 1, 4};
    MDL_TRY(mdl_h5_read_double(file, "/linkage", 2, tree, &clusters->linkage, err));
    MDL_TRY(mdl_h5_read_int32(file, "/label", 1, &clusters->n_model, &clusters->label, err));
    MDL_TRY(mdl_h5_read_int32(file, "/medoid", 1, &clusters->n_cluster, &clusters->medoid, err));
    MDL_TRY(mdl_h5_get_double(file, "threshold", &clusters->threshold, err));
    MDL_TRY(mdl_h5_get_text(file, "method", &clusters->method, err));
    MDL_TRY(mdl_h5_get_text(file, "side", &clusters->side, err));
    MDL_TRY(check_linkage(path, clusters, err));
    rc = check_labels(path, clusters, err);
done:
    mdl_h5_close(file);
    if (rc != MDL_OK)
        mdl_clusters_free(clusters);
    return rc;
}

void mdl_clusters_free(mdl_clusters_t *clusters)
{
    free(clusters->models);
    free(clusters->linkage);
    free(clusters->label);
    free(clusters->medoid);
    free(clusters->method);
    free(clusters->side);
    *clusters = (mdl_clusters_t){0};
}
