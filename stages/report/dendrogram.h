/* The tree of an agglomerative clustering, drawn sideways beside a heat map. */
#ifndef MDL_REPORT_DENDROGRAM_H
#define MDL_REPORT_DENDROGRAM_H

#include "io/clusters_file.h"
#include "report/svg.h"

/* Order of the leaves from top to bottom, so that no branches cross (left child of every merge
 * first). linkage: [n_model - 1, 4] in SciPy's layout, as mdl_clusters_read checked it; order:
 * [n_model], the caller's. Returns MDL_E_MEMORY. Not collective. */
int mdl_dendrogram_order(const double *linkage, int64_t n_model, int64_t *order, mdl_error_t *err);

/* Draws the tree with distance running from x + width (0) to x, leaf order[i] at
 * y + (i + 1/2) cell, the threshold as a dashed line and a scale of similarities above.
 * order comes from mdl_dendrogram_order. Returns MDL_E_MEMORY. Not collective. */
int mdl_dendrogram_draw(mdl_buffer_t *page, const mdl_clusters_t *clusters, const int64_t *order,
                        double x, double y, double width, double cell, mdl_error_t *err);

#endif
