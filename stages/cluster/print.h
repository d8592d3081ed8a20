/* Clusters as text for the terminal. */
#ifndef MDL_CLUSTER_PRINT_H
#define MDL_CLUSTER_PRINT_H

#include "io/candidates_file.h"
#include "io/clusters_file.h"

#include <stdio.h>

/* A line for each cluster: its number, medoid and models. Not collective. */
void mdl_print_clusters(FILE *out, const char *path, const mdl_clusters_t *clusters);

/* The merges as a tree of lines, similarity falling from left to right. Not collective. Returns
 * MDL_E_MEMORY. */
int mdl_print_dendrogram(FILE *out, const mdl_clusters_t *clusters, mdl_error_t *err);

/* A line for each candidate cluster: its number, medoid and size. Not collective. */
void mdl_print_candidates(FILE *out, const char *path, const mdl_candidates_t *candidates);

#endif
