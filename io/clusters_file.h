/* Clusters of one side: schema "mordal-clusters", version 1.
 * /linkage float64 (M-1, 4) in SciPy's layout; /label int32 (M), cluster of each model, numbered
 * from 0 in the order of their first model; /medoid int32 (C), index of each cluster's medoid;
 * /models string (M). Attributes as of every result (configuration has linkage and threshold), and
 * threshold (double, similarity), method (text), side. */
#ifndef MDL_IO_CLUSTERS_FILE_H
#define MDL_IO_CLUSTERS_FILE_H

#include "io/result.h"

#define MDL_CLUSTERS_SCHEMA "mordal-clusters"
enum { MDL_CLUSTERS_VERSION = 1 };

typedef struct {
    int64_t n_model, n_cluster;
    char **models;
    double *linkage; /* [n_model - 1, 4] */
    int32_t *label;  /* n_model */
    int32_t *medoid; /* n_cluster */
    double threshold;
    char *method, *side;
} mdl_clusters_t;

int mdl_clusters_write(const char *path, const mdl_provenance_t *provenance,
                       const mdl_clusters_t *clusters, mdl_error_t *err);
/* Checks shapes, label and medoid ranges. Freed with mdl_clusters_free. Not collective. */
int mdl_clusters_read(const char *path, mdl_clusters_t *clusters, mdl_error_t *err);
void mdl_clusters_free(mdl_clusters_t *clusters);

#endif
