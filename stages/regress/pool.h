/* The candidates of one task with their measured curves, as a simulated search finds them. */
#ifndef MDL_REGRESS_POOL_H
#define MDL_REGRESS_POOL_H

#include "io/curve_table.h"
#include "io/score_file.h"
#include "io/similarity_file.h"
#include "regress/predict.h"

#include <stdint.h>

/* Similarities that a search may cluster by. */
typedef struct {
    mdl_similarity_t vision; /* n_model = 0 when none was given */
    mdl_similarity_t *language;
    int64_t n_language; /* one seen through each of some encoders, or one for all */
} mdl_alike_t;

/* Reads the files: of side vision at most one (a table without ve and llm clusters by it, too), of
 * side language any number. Freed with mdl_alike_free. Not collective. Returns MDL_E_INPUT. */
int mdl_alike_read(const char *const *paths, int n_path, mdl_alike_t *alike, mdl_error_t *err);
void mdl_alike_free(mdl_alike_t *alike);

typedef struct {
    const char *task;
    int64_t n;                  /* candidates */
    const mdl_curve_t **curves; /* [n], all with a point at ratio 1 */
    mdl_curve_kind_t kind;
    double *final_error;   /* [n] at ratio 1 */
    double *final_seconds; /* [n] of training to ratio 1; 1 where not all points have seconds */
    int has_seconds;
    int64_t n_ve, n_llm;              /* n_llm = 0 when candidates aren't pairs */
    int64_t *ve, *llm;                /* [n] */
    const char **ve_name, **llm_name; /* [n_ve], [n_llm] */
    double *score;    /* [n] that need no training, higher is better; NULL when unknown */
    double *distance; /* [n, n] how unlike candidates are, 0 to 2; NULL when unknown */
    const mdl_alike_t *alike;
} mdl_pool_t;

/* The pool of task number task. What can't be used is named in warnings when warn is not 0: models
 * that miss ratio 1, a second kind of run. Freed with mdl_pool_free; table and alike are borrowed.
 * n is 0 when no model can be used. Not collective. Returns MDL_E_INPUT when one has no similarity.
 */
int mdl_pool_make(const mdl_curve_table_t *table, int64_t task, const mdl_alike_t *alike, int warn,
                  mdl_pool_t *pool, mdl_error_t *err);
void mdl_pool_free(mdl_pool_t *pool);

/* Gives every candidate its score for the task: that of the pair where all pairs have one, else
 * that of its encoder. No scores leave pool->score NULL. Not collective. Returns MDL_E_INPUT when a
 * candidate has neither, or MDL_E_MEMORY. */
int mdl_pool_take_scores(mdl_pool_t *pool, const mdl_scores_t *scores, mdl_error_t *err);

/* The point of candidate i at ratio: measured, or interpolated (log error over log ratio, seconds
 * over ratio); its first point where ratio is below that. */
mdl_point_t mdl_pool_point(const mdl_pool_t *pool, int64_t i, double ratio);

/* Training seconds of candidate i to ratio. */
double mdl_pool_seconds(const mdl_pool_t *pool, int64_t i, double ratio);

/* Candidate clusters at the thresholds (Algorithm 2 of arXiv 2502.00241); every candidate is its
 * own without similarities. cluster: [n], medoid: [n], of which *n_cluster are set. A cluster
 * without the pair of its medoids takes the first of its candidates.
 * Not collective. Returns MDL_E_MEMORY. */
int mdl_pool_cluster(const mdl_pool_t *pool, double t_ve, double t_llm, int32_t *cluster,
                     int32_t *medoid, int64_t *n_cluster, mdl_error_t *err);

#endif
