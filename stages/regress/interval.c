#include "regress/interval.h"

#include "regress/quantile.h"

#include <math.h>

/* Mean squared difference of predicted log errors, less what their sigmas explain, for a unit of
 * distance, over all pairs of trained candidates. */
static double variance_by_distance(const mdl_interval_t *interval, const mdl_belief_t *beliefs,
                                   int64_t n)
{
    double squares = 0, distance = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            const mdl_belief_t *a = &beliefs[i], *b = &beliefs[j];
            if (!(a->ratio > 0) || !(b->ratio > 0))
                continue;
            double apart = a->log_error - b->log_error;
            squares += apart * apart - a->sigma * a->sigma - b->sigma * b->sigma;
            distance += interval->distance[i * n + j];
        }
    return distance > 0 ? fmax(0, squares) / distance : 0;
}

void mdl_interval_borrow(const mdl_interval_t *interval, mdl_belief_t *beliefs, int64_t n)
{
    if (interval->distance == NULL)
        return;
    double slope = variance_by_distance(interval, beliefs, n);
    for (int64_t i = 0; i < n; i++) {
        int64_t nearest = -1;
        if (beliefs[i].ratio > 0 || isinf(beliefs[i].log_error))
            continue;
        for (int64_t j = 0; j < n; j++)
            if (beliefs[j].ratio > 0 && (nearest < 0 || interval->distance[i * n + j] <
                                                            interval->distance[i * n + nearest]))
                nearest = j;
        double sigma = beliefs[nearest].sigma;
        beliefs[i].log_error = beliefs[nearest].log_error;
        beliefs[i].error = beliefs[nearest].error;
        beliefs[i].sigma = sqrt(sigma * sigma + slope * interval->distance[i * n + nearest]);
    }
}

int64_t mdl_interval_leader(const mdl_belief_t *beliefs, int64_t n)
{
    int64_t leader = -1;
    for (int64_t i = 0; i < n; i++)
        if (beliefs[i].ratio > 0 &&
            (leader < 0 || beliefs[i].log_error < beliefs[leader].log_error))
            leader = i;
    return leader;
}

static int64_t leader_by_value(const mdl_belief_t *beliefs, int64_t n)
{
    int64_t leader = 0;
    for (int64_t i = 1; i < n; i++)
        if (beliefs[i].ratio > beliefs[leader].ratio ||
            (beliefs[i].ratio == beliefs[leader].ratio && beliefs[i].error < beliefs[leader].error))
            leader = i;
    return leader;
}

/* Why a candidate that isn't the leader is kept; z joined sigmas are the reach of an interval. */
static mdl_keep_t judge(const mdl_interval_t *interval, const mdl_belief_t *one,
                        const mdl_belief_t *leader, double z)
{
    const double joined = sqrt(one->sigma * one->sigma + leader->sigma * leader->sigma);
    if (one->log_error - leader->log_error <= z * joined)
        return MDL_KEEP_REACH;
    return one->is_slow && one->ratio < interval->floor * (1 - 1e-9) ? MDL_KEEP_SLOW : MDL_KEEP_NOT;
}

int64_t mdl_interval_keep(const mdl_interval_t *interval, const mdl_belief_t *beliefs, int64_t n,
                          uint8_t *keep)
{
    const double z = mdl_quantile_normal(0.5 * (1 + interval->confidence));
    const int64_t leader = mdl_interval_leader(beliefs, n), by_value = leader_by_value(beliefs, n);
    int64_t n_kept = 0;
    for (int64_t i = 0; i < n; i++) {
        keep[i] = (uint8_t)(i == leader     ? MDL_KEEP_LEADER
                            : i == by_value ? MDL_KEEP_VALUE
                                            : judge(interval, &beliefs[i], &beliefs[leader], z));
        n_kept += keep[i] != MDL_KEEP_NOT;
    }
    return n_kept;
}

int64_t mdl_interval_next(const mdl_interval_t *interval, const mdl_belief_t *beliefs, int64_t n,
                          int *round, double *target, uint8_t *keep)
{
    int64_t n_kept = mdl_interval_keep(interval, beliefs, n, keep), n_behind = 0;
    double mark = interval->marks[*round];
    for (int64_t i = 0; i < n; i++) {
        int behind = keep[i] && beliefs[i].ratio < mark * (1 - 1e-9);
        target[i] = behind ? mark : 0;
        n_behind += behind;
    }
    if (n_kept == 1)
        target[mdl_interval_leader(beliefs, n)] = 0;
    if (n_kept == 1 || n_behind > 0)
        return n_kept == 1 ? 0 : n_behind;
    if (*round == interval->n_mark - 1)
        return 0;
    ++*round;
    for (int64_t i = 0; i < n; i++)
        target[i] = keep[i] ? interval->marks[*round] : 0;
    return n_kept;
}
