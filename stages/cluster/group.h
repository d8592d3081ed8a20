/* From similarities to clusters, and from the clusters of both sides to candidate clusters. */
#ifndef MDL_CLUSTER_GROUP_H
#define MDL_CLUSTER_GROUP_H

#include "io/candidates_file.h"
#include "io/clusters_file.h"
#include "io/similarity_file.h"
#include "kernels/linkage.h"

/* Clusters the models by distance 1 - similarity, cut at 1 - threshold. A model whose similarity is
 * undefined is a cluster of its own: it joins last, at distance infinity, and moves no other.
 * method is average, complete or single. Names are borrowed from similarity, method from the
 * caller; the arrays are freed with mdl_group_clusters_free. Not collective. Returns MDL_E_MEMORY.
 */
int mdl_group_clusters(const mdl_similarity_t *similarity, const char *method, double threshold,
                       mdl_clusters_t *clusters, mdl_error_t *err);
void mdl_group_clusters_free(mdl_clusters_t *clusters);

/* Every vision encoder with every language model; its candidate cluster is its encoder's cluster k
 * with the model's cluster in language[k], which was seen through cluster k's medoid (Mordal,
 * Algorithm 2). language: [vision->n_cluster], all of the same models. Vision and language names
 * are borrowed; the rest is freed with mdl_group_candidates_free. Not collective. Returns
 * MDL_E_INPUT (language sides of different models), MDL_E_MEMORY. */
int mdl_group_candidates(const mdl_clusters_t *vision, const mdl_clusters_t *language,
                         mdl_candidates_t *candidates, mdl_error_t *err);
void mdl_group_candidates_free(mdl_candidates_t *candidates);

#endif
