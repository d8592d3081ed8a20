/* Similarity of all pairs of one side's models as a heat map, with the dendrogram, the threshold,
 * the clusters' boxes and their medoids where the clusters are known. */
#ifndef MDL_REPORT_HEATMAP_H
#define MDL_REPORT_HEATMAP_H

#include "report/input.h"
#include "report/svg.h"

/* The lowest similarity of side, rounded down to a tenth: where a colour scale begins that ends at
 * 1. Not collective. */
double mdl_heatmap_low(const mdl_report_side_t *side);

/* Draws side (which has a similarity) as a figure; colours run from low to 1. what names the models
 * in title and caption. Returns MDL_E_MEMORY. Not collective. */
int mdl_heatmap_draw(mdl_buffer_t *page, const mdl_report_side_t *side, double low,
                     const char *what, mdl_error_t *err);

#endif
