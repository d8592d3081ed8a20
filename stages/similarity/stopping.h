/* Sequential stopping of the minibatch estimator: batches are read in a random order until the
 * clusters are settled. docs/numerics.md, "Sequential stopping". */
#ifndef MDL_SIMILARITY_STOPPING_H
#define MDL_SIMILARITY_STOPPING_H

#include "similarity/settled.h"

struct mdl_cka_sums;

typedef struct {
    mdl_settled_cut_t cut;
    double alpha;  /* wanted chance of stopping with clusters that are not the settled ones */
    uint64_t seed; /* of the order */
} mdl_stopping_t;

typedef struct {
    int64_t n_row;      /* rows of the batches that were read */
    int decided;        /* the clusters are settled; 0: all is read and they are not */
    double confidence;  /* 1 - alpha once decided, else 1 - doubt after all rows */
    mdl_settled_t last; /* the last test */
} mdl_stopped_t;

enum { MDL_STOPPING_FIRST = 8, MDL_STOPPING_MOST = 256 };

/* Batches after which the clusters are tested: from MDL_STOPPING_FIRST on by factors of 2^(1/4),
 * and all. Returns how many. Not collective. */
int mdl_stopping_looks(int64_t n_batch, int64_t looks[MDL_STOPPING_MOST]);

/* A random order of the batches, a function of seed and n_batch alone. order: [n_batch]. Not
 * collective. */
void mdl_stopping_order(int64_t *order, int64_t n_batch, uint64_t seed);

/* The test of settled.h on the sums of the rows so far. A model whose CKA is undefined by them
 * leaves full doubt, as the rows to come may define it, until all are read: then the others are
 * tested. Not collective. Returns MDL_E_MEMORY. */
int mdl_stopping_test(const struct mdl_cka_sums *sums, int n_model, const mdl_settled_cut_t *cut,
                      int all_read, mdl_settled_t *settled, mdl_error_t *err);

/* Whether a test's doubt is small enough to stop at one of n_look looks: each may be wrong with
 * alpha / n_look (Bonferroni). Not collective. */
int mdl_stopping_is_settled(const mdl_settled_t *settled, double alpha, int n_look);

#endif
