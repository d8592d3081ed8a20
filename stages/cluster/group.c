#include "cluster/group.h"

#include "core/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int is_defined(const mdl_similarity_t *similarity, int64_t model)
{
    return similarity->status == NULL ||
           similarity->status[model * (similarity->n_model + 1)] == MDL_SIMILARITY_DEFINED;
}

/* [n_model, n_model] 1 - similarity; a model of undefined similarity is infinitely far from all. */
static void take_distances(const mdl_similarity_t *similarity, double *distance)
{
    int64_t n = similarity->n_model;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            distance[i * n + j] = i == j ? 0
                                  : !is_defined(similarity, i) || !is_defined(similarity, j)
                                      ? INFINITY
                                      : 1 - similarity->similarity[i * n + j];
}

/* Turns the merges of the n_defined models at[] into merges of all n models: what was node m is
 * node m - n_defined + n. Then the other models join one by one, infinitely far. */
static void append_undefined(const mdl_similarity_t *similarity, const int64_t *at,
                             int64_t n_defined, double *linkage)
{
    int64_t n = similarity->n_model, k = n_defined > 0 ? n_defined - 1 : 0;
    double whole = n_defined > 1 ? (double)(n + k - 1) : n_defined == 1 ? (double)at[0] : -1;
    double size = (double)n_defined;
    for (int64_t m = 0; m < k; m++)
        for (int part = 0; part < 2; part++) {
            int64_t node = (int64_t)linkage[4 * m + part];
            linkage[4 * m + part] = (double)(node < n_defined ? at[node] : node - n_defined + n);
        }
    for (int64_t i = 0; i < n; i++) {
        if (is_defined(similarity, i))
            continue;
        size++;
        if (whole < 0) {
            whole = (double)i;
            continue;
        }
        double lower = whole < (double)i ? whole : (double)i;
        double *row = linkage + 4 * k;
        row[0] = lower;
        row[1] = whole + (double)i - lower;
        row[2] = INFINITY;
        row[3] = size;
        whole = (double)(n + k++);
    }
}

/* The linkage of the models whose similarity is defined, then the others. */
static int link_defined(const mdl_similarity_t *similarity, mdl_linkage_t method, double *linkage,
                        mdl_error_t *err)
{
    int64_t n = similarity->n_model, n_defined = 0, *at = NULL;
    double *distance = NULL;
    int rc;
    MDL_TRY(mdl_alloc(&at, (size_t)n, sizeof *at, "models", err));
    MDL_TRY(mdl_alloc(&distance, (size_t)(n * n), sizeof *distance, "distances", err));
    for (int64_t i = 0; i < n; i++)
        if (is_defined(similarity, i))
            at[n_defined++] = i;
    for (int64_t i = 0; i < n_defined; i++)
        for (int64_t j = 0; j < n_defined; j++)
            distance[i * n_defined + j] = 1 - similarity->similarity[at[i] * n + at[j]];
    if (n_defined > 0)
        MDL_TRY(mdl_linkage(distance, n_defined, method, linkage, err));
    append_undefined(similarity, at, n_defined, linkage);
done:
    free(at);
    free(distance);
    return rc;
}

int mdl_group_clusters(const mdl_similarity_t *similarity, const char *method, double threshold,
                       mdl_clusters_t *clusters, mdl_error_t *err)
{
    int64_t n = similarity->n_model;
    size_t count = (size_t)n;
    double *distance = NULL;
    int rc;
    *clusters = (mdl_clusters_t){.n_model = n,
                                 .models = similarity->models,
                                 .threshold = threshold,
                                 .method = (char *)method,
                                 .side = similarity->side};
    MDL_TRY(mdl_alloc(&distance, count * count, sizeof *distance, "distances", err));
    MDL_TRY(mdl_alloc(&clusters->linkage, 4 * count, sizeof(double), "the linkage", err));
    MDL_TRY(mdl_alloc(&clusters->label, count, sizeof(int32_t), "labels", err));
    MDL_TRY(mdl_alloc(&clusters->medoid, count, sizeof(int32_t), "medoids", err));
    take_distances(similarity, distance);
    MDL_TRY(link_defined(similarity, mdl_linkage_named(method), clusters->linkage, err));
    MDL_TRY(mdl_linkage_cut(clusters->linkage, n, 1 - threshold, clusters->label,
                            &clusters->n_cluster, err));
    mdl_linkage_medoids(distance, n, clusters->label, clusters->n_cluster, clusters->medoid);
done:
    free(distance);
    return rc;
}

void mdl_group_clusters_free(mdl_clusters_t *clusters)
{
    free(clusters->linkage);
    free(clusters->label);
    free(clusters->medoid);
    *clusters = (mdl_clusters_t){0};
}

static int check_language(const mdl_clusters_t *vision, const mdl_clusters_t *language,
                          mdl_error_t *err)
{
    for (int64_t k = 1; k < vision->n_cluster; k++) {
        int same = language[k].n_model == language[0].n_model;
        for (int64_t j = 0; same && j < language[0].n_model; j++)
            same = strcmp(language[k].models[j], language[0].models[j]) == 0;
        if (!same)
            return mdl_fail(err, MDL_E_INPUT,
                            "the language clusters of %s and %s are of different models; run "
                            "mordal-cka and mordal-cluster again on the same ones",
                            vision->models[vision->medoid[0]], vision->models[vision->medoid[k]]);
    }
    return MDL_OK;
}

static int allocate(mdl_candidates_t *c, mdl_error_t *err)
{
    size_t n = (size_t)c->n_candidate;
    int rc;
    MDL_TRY(mdl_alloc(&c->candidate, n, sizeof(char *), "candidates", err));
    MDL_TRY(mdl_alloc(&c->ve, n, sizeof(char *), "candidates", err));
    MDL_TRY(mdl_alloc(&c->lm, n, sizeof(char *), "candidates", err));
    MDL_TRY(mdl_alloc(&c->cluster, n, sizeof(int32_t), "candidates", err));
    MDL_TRY(mdl_alloc(&c->medoid, (size_t)c->n_cluster, sizeof(int32_t), "medoids", err));
done:
    return rc;
}

int mdl_group_candidates(const mdl_clusters_t *vision, const mdl_clusters_t *language,
                         mdl_candidates_t *candidates, mdl_error_t *err)
{
    int64_t n_lm = language[0].n_model;
    *candidates = (mdl_candidates_t){.n_candidate = vision->n_model * n_lm};
    int32_t *first = NULL; /* [n_cluster] number of a vision cluster's first candidate cluster */
    int rc;
    MDL_TRY(check_language(vision, language, err));
    MDL_TRY(mdl_alloc(&first, (size_t)vision->n_cluster, sizeof *first, "cluster numbers", err));
    for (int64_t k = 0; k < vision->n_cluster; k++) {
        first[k] = (int32_t)candidates->n_cluster;
        candidates->n_cluster += language[k].n_cluster;
    }
    MDL_TRY(allocate(candidates, err));
    for (int64_t i = 0; i < candidates->n_candidate; i++) {
        int64_t ve = i / n_lm, lm = i % n_lm;
        int32_t k = vision->label[ve], in_k = language[k].label[lm];
        candidates->ve[i] = vision->models[ve];
        candidates->lm[i] = language[k].models[lm];
        candidates->candidate[i] = mdl_text("%s+%s", candidates->ve[i], candidates->lm[i]);
        candidates->cluster[i] = first[k] + in_k;
        if (candidates->candidate[i] == NULL) {
            rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for the candidates' names");
            goto done;
        }
        if (ve == vision->medoid[k] && lm == language[k].medoid[in_k])
            candidates->medoid[first[k] + in_k] = (int32_t)i;
    }
done:
    free(first);
    return rc;
}

void mdl_group_candidates_free(mdl_candidates_t *candidates)
{
    for (int64_t i = 0; candidates->candidate != NULL && i < candidates->n_candidate; i++)
        free(candidates->candidate[i]);
    free(candidates->candidate);
    free(candidates->ve);
    free(candidates->lm);
    free(candidates->cluster);
    free(candidates->medoid);
    *candidates = (mdl_candidates_t){0};
}
