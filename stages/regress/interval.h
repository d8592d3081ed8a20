/* The decisions of the interval strategy: who is trained on. Used alike by the search that trains
 * and by the one that is simulated. docs/simulation.md. */
#ifndef MDL_REGRESS_INTERVAL_H
#define MDL_REGRESS_INTERVAL_H

#include "core/error.h"

#include <stdint.h>

/* What is believed of one candidate. */
typedef struct {
    double log_error; /* natural logarithm of its predicted error at ratio 1; infinite when it
                         failed, then it is never kept */
    double sigma;     /* standard deviation of that, as far as it is the candidate's own */
    double ratio;     /* that it was trained to; 0 = never, the rest is borrowed */
    double error;     /* measured there */
    int is_slow;      /* its error hasn't moved off where it started */
} mdl_belief_t;

/* Why a candidate is kept; 0 = it isn't. */
typedef enum {
    MDL_KEEP_NOT,
    MDL_KEEP_LEADER, /* the lowest predicted error */
    MDL_KEEP_VALUE,  /* the lowest measured error of those trained furthest */
    MDL_KEEP_REACH,  /* its interval reaches the leader's */
    MDL_KEEP_SLOW    /* a slow starter below the floor */
} mdl_keep_t;

typedef struct {
    const double *marks; /* [n_mark] ratios, ascending: nobody is cut before the first */
    int n_mark;
    double confidence;      /* 0 to 1 */
    const double *distance; /* [n, n] how unlike candidates are; NULL = unknown */
    double floor;           /* a slow starter isn't cut before this ratio */
} mdl_interval_t;

/* Gives everybody who was never trained the belief of the trained one that is most like it, wider
 * by the variance that trained ones show for a distance. Beliefs of trained ones stay. At least one
 * must be trained. Not collective. */
void mdl_interval_borrow(const mdl_interval_t *interval, mdl_belief_t *beliefs, int64_t n);

/* The candidate with the lowest predicted error among the trained ones (ties: the first). */
int64_t mdl_interval_leader(const mdl_belief_t *beliefs, int64_t n);

/* Sets keep[i] to a mdl_keep_t: the leader, the one with the lowest measured error among those
 * trained furthest, all whose predicted error may be below the leader's (the difference of the
 * logarithms is within the normal quantile of the confidence times both sigmas joined), and slow
 * starters below the floor. Returns how many are kept. Not collective. */
int64_t mdl_interval_keep(const mdl_interval_t *interval, const mdl_belief_t *beliefs, int64_t n,
                          uint8_t *keep);

/* The next round: target[i] is the ratio to train candidate i to, 0 = stay. Those who are kept and
 * lag behind catch up with marks[*round] first; else *round moves on. Returns how many train, 0
 * when one is left or the last mark is reached. keep: [n], working space. Not collective. */
int64_t mdl_interval_next(const mdl_interval_t *interval, const mdl_belief_t *beliefs, int64_t n,
                          int *round, double *target, uint8_t *keep);

#endif
