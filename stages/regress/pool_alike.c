#include "regress/pool.h"
#include "regress/pool_distance.h"

#include "core/text.h"
#include "kernels/linkage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int mdl_alike_read(const char *const *paths, int n_path, mdl_alike_t *alike, mdl_error_t *err)
{
    int rc;
    *alike = (mdl_alike_t){0};
    MDL_TRY(mdl_alloc(&alike->language, (size_t)n_path + 1, sizeof *alike->language, "similarities",
                      err));
    for (int i = 0; i < n_path; i++) {
        mdl_similarity_t *file = &alike->language[alike->n_language];
        MDL_TRY(mdl_similarity_read(paths[i], file, err));
        if (strcmp(file->side, "language") == 0) {
            alike->n_language++;
        } else if (alike->vision.n_model == 0) {
            alike->vision = *file;
            *file = (mdl_similarity_t){0};
        } else {
            mdl_similarity_free(file);
            MDL_TRY(mdl_fail(err, MDL_E_INPUT, "%s: a second file of vision encoders", paths[i]));
        }
    }
    if (alike->vision.n_model == 0 && n_path > 0)
        rc = mdl_fail(err, MDL_E_INPUT,
                      "%s: of side language; the encoders' similarity is needed "
                      "as well",
                      paths[0]);
done:
    if (rc != MDL_OK)
        mdl_alike_free(alike);
    return rc;
}

void mdl_alike_free(mdl_alike_t *alike)
{
    mdl_similarity_free(&alike->vision);
    for (int64_t i = 0; i < alike->n_language; i++)
        mdl_similarity_free(&alike->language[i]);
    free(alike->language);
    *alike = (mdl_alike_t){0};
}

/* Distances 1 - similarity of n named models, [n, n]; 1 between two whose similarity is undefined.
 */
static int take_distances(const mdl_similarity_t *from, const char *const *names, int64_t n,
                          double *distance, mdl_error_t *err)
{
    int64_t *at = NULL;
    int rc;
    MDL_TRY(mdl_alloc(&at, (size_t)n, sizeof *at, "indices", err));
    for (int64_t i = 0; i < n; i++) {
        at[i] = -1;
        for (int64_t j = 0; j < from->n_model && at[i] < 0; j++)
            if (strcmp(from->models[j], names[i]) == 0)
                at[i] = j;
        if (at[i] < 0)
            MDL_TRY(mdl_fail(err, MDL_E_INPUT,
                             "the similarity of %s models (%s) has no %s, which the curves have; "
                             "run mordal-cka on all of them",
                             from->side, from->label, names[i]));
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            double similarity = from->similarity[at[i] * from->n_model + at[j]];
            distance[i * n + j] = i == j ? 0 : isnan(similarity) ? 1 : 1 - similarity;
        }
    }
done:
    free(at);
    return rc;
}

/* The language models as seen through an encoder (the label of such a file ends in its name), or
 * through the first one there is. */
static const mdl_similarity_t *seen_through(const mdl_alike_t *alike, const char *ve)
{
    for (int64_t k = 0; k < alike->n_language; k++) {
        const char *label = alike->language[k].label, *space = strrchr(label, ' ');
        if (space != NULL && strcmp(space + 1, ve) == 0)
            return &alike->language[k];
    }
    return &alike->language[0];
}

/* [n_llm, n_llm], as seen through encoder ve; 1 between any two when nothing is known. */
static int language_distances(const mdl_pool_t *pool, int64_t ve, double *distance,
                              mdl_error_t *err)
{
    const int64_t n = pool->n_llm;
    if (pool->alike->n_language > 0)
        return take_distances(seen_through(pool->alike, pool->ve_name[ve]), pool->llm_name, n,
                              distance, err);
    for (int64_t i = 0; i < n * n; i++)
        distance[i] = i % (n + 1) != 0;
    return MDL_OK;
}

int mdl_pool_measure_distance(mdl_pool_t *pool, mdl_error_t *err)
{
    const int64_t n = pool->n, n_ve = pool->n_ve, n_llm = pool->n_llm;
    double *vision = NULL, *language = NULL;
    int rc = MDL_OK;
    if (pool->alike == NULL || pool->alike->vision.n_model == 0)
        return MDL_OK;
    MDL_TRY(mdl_alloc(&pool->distance, (size_t)(n * n), sizeof(double), "distances", err));
    MDL_TRY(mdl_alloc(&vision, (size_t)(n_ve * n_ve), sizeof(double), "distances", err));
    MDL_TRY(mdl_alloc(&language, (size_t)(n_llm * n_llm), sizeof(double), "distances", err));
    MDL_TRY(take_distances(&pool->alike->vision, pool->ve_name, n_ve, vision, err));
    for (int64_t i = 0; i < n; i++) {
        if (n_llm > 0 && (i == 0 || pool->ve[i] != pool->ve[i - 1]))
            MDL_TRY(language_distances(pool, pool->ve[i], language, err));
        for (int64_t j = 0; j < n; j++) {
            double unlike = vision[pool->ve[i] * n_ve + pool->ve[j]];
            if (n_llm > 0)
                unlike += language[pool->llm[i] * n_llm + pool->llm[j]];
            pool->distance[i * n + j] = fmax(0, unlike);
        }
    }
done:
    free(vision);
    free(language);
    return rc;
}

typedef struct {
    double *distance, *linkage;
    int32_t *label, *medoid;
    int64_t n_cluster;
} side_t;

static int side_alloc(side_t *side, int64_t n, mdl_error_t *err)
{
    int rc;
    MDL_TRY(mdl_alloc(&side->distance, (size_t)(n * n), sizeof(double), "distances", err));
    MDL_TRY(mdl_alloc(&side->linkage, 4 * (size_t)n, sizeof(double), "a linkage", err));
    MDL_TRY(mdl_alloc(&side->label, (size_t)n, sizeof(int32_t), "labels", err));
    MDL_TRY(mdl_alloc(&side->medoid, (size_t)n, sizeof(int32_t), "medoids", err));
done:
    return rc;
}

static void side_free(side_t *side)
{
    free(side->distance);
    free(side->linkage);
    free(side->label);
    free(side->medoid);
}

static int side_cluster(side_t *side, int64_t n, double threshold, mdl_error_t *err)
{
    int rc;
    MDL_TRY(mdl_linkage(side->distance, n, MDL_LINKAGE_AVERAGE, side->linkage, err));
    MDL_TRY(mdl_linkage_cut(side->linkage, n, 1 - threshold, side->label, &side->n_cluster, err));
    mdl_linkage_medoids(side->distance, n, side->label, side->n_cluster, side->medoid);
done:
    return rc;
}

/* Gives the candidates of vision cluster k the numbers of their language clusters, from *n_cluster
 * on; an empty one has no number. */
static void join(const mdl_pool_t *pool, const side_t *vision, int32_t k, const side_t *language,
                 int32_t *cluster, int32_t *medoid, int64_t *n_cluster)
{
    for (int32_t l = 0; l < language->n_cluster; l++) {
        int32_t first = -1, pair = -1;
        for (int32_t i = 0; i < pool->n; i++) {
            int64_t ve = pool->ve[i], llm = pool->llm[i];
            if (vision->label[ve] != k || (pool->n_llm > 0 && language->label[llm] != l))
                continue;
            cluster[i] = (int32_t)*n_cluster;
            first = first < 0 ? i : first;
            if (ve == vision->medoid[k] && (pool->n_llm == 0 || llm == language->medoid[l]))
                pair = i;
        }
        if (first >= 0)
            medoid[(*n_cluster)++] = pair >= 0 ? pair : first;
    }
}

int mdl_pool_cluster(const mdl_pool_t *pool, double t_ve, double t_llm, int32_t *cluster,
                     int32_t *medoid, int64_t *n_cluster, mdl_error_t *err)
{
    side_t vision = {0}, language = {.n_cluster = 1};
    int rc = MDL_OK;
    *n_cluster = 0;
    if (pool->distance == NULL) {
        for (int32_t i = 0; i < pool->n; i++)
            cluster[i] = medoid[i] = i;
        *n_cluster = pool->n;
        return MDL_OK;
    }
    MDL_TRY(side_alloc(&vision, pool->n_ve, err));
    MDL_TRY(side_alloc(&language, pool->n_llm, err));
    MDL_TRY(take_distances(&pool->alike->vision, pool->ve_name, pool->n_ve, vision.distance, err));
    MDL_TRY(side_cluster(&vision, pool->n_ve, t_ve, err));
    for (int32_t k = 0; k < vision.n_cluster; k++) {
        if (pool->n_llm > 0) {
            MDL_TRY(language_distances(pool, vision.medoid[k], language.distance, err));
            MDL_TRY(side_cluster(&language, pool->n_llm, t_llm, err));
        }
        join(pool, &vision, k, &language, cluster, medoid, n_cluster);
    }
done:
    side_free(&vision);
    side_free(&language);
    return rc;
}
