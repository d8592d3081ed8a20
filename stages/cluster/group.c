#include "cluster/group.h"

#include "core/text.h"

#include <stdlib.h>
#include <string.h>

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
    for (size_t i = 0; i < count * count; i++)
        distance[i] = 1 - similarity->similarity[i];
    MDL_TRY(mdl_linkage(distance, n, mdl_linkage_named(method), clusters->linkage, err));
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
