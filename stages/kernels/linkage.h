/* Agglomerative clustering with SciPy's results: the same merges in the same order, ties included
 * (scipy.cluster.hierarchy.linkage and fcluster). */
#ifndef MDL_KERNELS_LINKAGE_H
#define MDL_KERNELS_LINKAGE_H

#include "core/error.h"

#include <stdint.h>

typedef enum { MDL_LINKAGE_AVERAGE, MDL_LINKAGE_COMPLETE, MDL_LINKAGE_SINGLE } mdl_linkage_t;

/* The one called "average", "complete" or "single". */
mdl_linkage_t mdl_linkage_named(const char *name);

/* Merges n items by distance: [n, n], symmetric. linkage: [n - 1, 4], each row the two nodes that
 * merge (smaller first; items are 0 to n-1, merge k makes node n + k), their distance, and the size
 * of the new node; rows ascend in distance. Single linkage by Prim's spanning tree, the others by
 * the nearest-neighbour chain (Muellner 2011). Not collective. Returns MDL_E_MEMORY. */
int mdl_linkage(const double *distance, int64_t n, mdl_linkage_t method, double *linkage,
                mdl_error_t *err);

/* Cuts the tree: a node whose merges are all at most height apart is one cluster. label: [n],
 * numbered from 0 in the order of their first item. Not collective. Returns MDL_E_MEMORY. */
int mdl_linkage_cut(const double *linkage, int64_t n, double height, int32_t *label,
                    int64_t *n_cluster, mdl_error_t *err);

/* The item of each cluster with the smallest summed distance to it, the first of several that tie.
 * medoid: [n_cluster]. Not collective. */
void mdl_linkage_medoids(const double *distance, int64_t n, const int32_t *label, int64_t n_cluster,
                         int32_t *medoid);

#endif
