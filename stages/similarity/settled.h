/* Whether the clusters at a threshold are settled by the samples so far: a test on the merges of
 * the dendrogram, from the HSICs of parts of the samples. docs/numerics.md, "Sequential stopping".
 */
#ifndef MDL_SIMILARITY_SETTLED_H
#define MDL_SIMILARITY_SETTLED_H

#include "kernels/linkage.h"

typedef struct {
    mdl_linkage_t linkage;
    double threshold; /* similarity from which models share a cluster */
} mdl_settled_cut_t;

/* The comparison that is least sure. rival < 0: the clusters of models first and second merge at
 * this distance (margin) from the threshold; else first is nearer to second than to rival by
 * margin.
 */
typedef struct {
    double doubt; /* see mdl_settled_test; 0 to 1 */
    int first, second, rival;
    double margin, standard_error, tail; /* in similarity; chance of the other sign */
} mdl_settled_t;

/* The doubt about the clusters of n_model models: the sum over all comparisons that decide who is
 * in a cluster with whom of the chance (one-sided, Student's t with n_unit - 1 degrees of freedom,
 * standard errors by the delta method) that samples without end reverse it. The comparisons are
 * every merge's distance with the threshold and, within a cluster, those of two parts that merge
 * with the distances to what stays outside (single linkage needs none of these). hsic: [n_pair],
 * packed lower triangle; unit: [n_unit, n_pair] of independent parts that add up to hsic. The doubt
 * is 1 with fewer than 2 units, or while some model's own HSIC isn't above 0. Not collective.
 * Returns MDL_E_MEMORY. */
int mdl_settled_test(const double *hsic, const double *unit, int64_t n_unit, int n_model,
                     const mdl_settled_cut_t *cut, mdl_settled_t *settled, mdl_error_t *err);

/* P(T > t) for Student's t with n degrees of freedom, t at least 0 (Abramowitz and Stegun 26.7.3
 * and 26.7.4). Not collective. */
double mdl_settled_tail(double t, int64_t n);

#endif
