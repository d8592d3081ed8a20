/* The rounds of the strategies interval and cross, from the first training to the choice. A search
 * that is simulated and one that trains run this same code; they differ in what trains for them.
 * docs/simulation.md. */
#ifndef MDL_REGRESS_ROUNDS_H
#define MDL_REGRESS_ROUNDS_H

#include "regress/interval.h"
#include "regress/predict.h"

enum { MDL_ROUNDS_MAX_POINT = 64 };

/* What a round decided about one candidate. */
typedef struct {
    int round;         /* from 1 */
    double mark;       /* ratio up to which curves were looked at */
    int64_t candidate; /* index */
    mdl_belief_t belief;
    mdl_keep_t keep;
} mdl_decision_t;

/* A search, and what trains for it. */
typedef struct {
    int64_t n;               /* candidates */
    int64_t n_ve, n_llm;     /* n_llm = 0 when candidates aren't pairs */
    const int64_t *ve, *llm; /* [n] */
    const double *work;      /* [n] of training to ratio 1, in any unit, to choose cross's column */
    const uint8_t *first;    /* [n] interval trains these first and the others when they are in
                                reach; NULL = all */
    mdl_interval_t interval; /* its distance: [n, n] */
    mdl_predict_settings_t predict;
    mdl_curve_kind_t kind;
    void *context;
    /* Trains n candidates to ratio, a mark of the interval; returns an error that ends the search.
     */
    int (*train)(void *context, const int64_t *index, int64_t n, double ratio, mdl_error_t *err);
    /* Puts down the points up to ratio of a candidate that was trained that far: ascending, no more
     * than MDL_ROUNDS_MAX_POINT. Returns their number, 0 for a candidate that failed. */
    int (*list)(void *context, int64_t candidate, double ratio, mdl_point_t *points);
    /* As mdl_predict with the search's settings; curves[k] is that of candidate index[k] up to
     * ratio[index[k]]. NULL = mdl_predict itself. */
    int (*foresee)(void *context, const int64_t *index, const double *ratio,
                   const mdl_predict_curve_t *curves, int64_t n, mdl_prediction_t *predictions,
                   mdl_error_t *err);
    /* Called after every decision; NULL = not called. */
    void (*decided)(void *context, const mdl_decision_t *decision);
} mdl_rounds_t;

typedef struct mdl_rounds_space mdl_rounds_space_t;

/* Working space for searches of up to n_max candidates. Freed with mdl_rounds_space_free. Not
 * collective. Returns MDL_E_MEMORY. */
int mdl_rounds_space_new(int64_t n_max, mdl_rounds_space_t **space, mdl_error_t *err);
void mdl_rounds_space_free(mdl_rounds_space_t *space);

/* Trains all (or the first) to the lowest mark, then those whose interval reaches the leader's from
 * mark to mark, until one is left or the last mark is passed; the others, too, should the first all
 * fail. score: [n], the natural logarithm of
 * the error expected at ratio 1, the choice's the lowest; infinite for one that failed. Not
 * collective. Returns MDL_E_TRAINER when all failed, and what training or prediction gives. */
int mdl_rounds_interval(const mdl_rounds_t *rounds, mdl_rounds_space_t *space, double *score,
                        int64_t *choice, mdl_error_t *err);

/* The same along one column and one row of the matrix: the encoders with the language model that
 * stands for most of the others among the cheaper half (the next one should all its pairs fail),
 * then the language models of the best encoder. The column's best pair, cut from the row by fewer
 * points than it has, is the choice after all when it was trained to the last mark and is lower
 * than the row's best is expected. The rest is added up from both, in log error. Needs every pair.
 * As above; MDL_E_INPUT without the matrix. */
int mdl_rounds_cross(const mdl_rounds_t *rounds, mdl_rounds_space_t *space, double *score,
                     int64_t *choice, mdl_error_t *err);

#endif
