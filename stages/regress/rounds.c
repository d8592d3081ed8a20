#include "regress/rounds.h"

#include "core/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct mdl_rounds_space {
    int n_round;                      /* decisions so far */
    double *reached;                  /* [n] ratio trained to, 0 = never */
    double *seen;                     /* [n] ratio up to which the curve was looked at last */
    uint8_t *failed;                  /* [n] */
    int64_t *members, *index, *place; /* [n] */
    double *target;                   /* [n] of members */
    uint8_t *keep;                    /* [n] of members */
    mdl_belief_t *beliefs;            /* [n] of members */
    mdl_point_t *points;              /* [n, MDL_ROUNDS_MAX_POINT] */
    mdl_predict_curve_t *curves;      /* [n] */
    mdl_prediction_t *predictions;    /* [n] */
};

int mdl_rounds_space_new(int64_t n_max, mdl_rounds_space_t **space, mdl_error_t *err)
{
    const size_t n = (size_t)n_max;
    mdl_rounds_space_t *s = NULL;
    int rc;
    *space = NULL;
    MDL_TRY(mdl_alloc(&s, 1, sizeof *s, "rounds", err));
    MDL_TRY(mdl_alloc(&s->reached, n, sizeof *s->reached, "ratios", err));
    MDL_TRY(mdl_alloc(&s->seen, n, sizeof *s->seen, "ratios", err));
    MDL_TRY(mdl_alloc(&s->failed, n, sizeof *s->failed, "flags", err));
    MDL_TRY(mdl_alloc(&s->members, n, sizeof *s->members, "indices", err));
    MDL_TRY(mdl_alloc(&s->index, n, sizeof *s->index, "indices", err));
    MDL_TRY(mdl_alloc(&s->place, n, sizeof *s->place, "indices", err));
    MDL_TRY(mdl_alloc(&s->target, n, sizeof *s->target, "ratios", err));
    MDL_TRY(mdl_alloc(&s->keep, n, sizeof *s->keep, "flags", err));
    MDL_TRY(mdl_alloc(&s->beliefs, n, sizeof *s->beliefs, "beliefs", err));
    MDL_TRY(mdl_alloc(&s->points, n * MDL_ROUNDS_MAX_POINT, sizeof *s->points, "points", err));
    MDL_TRY(mdl_alloc(&s->curves, n, sizeof *s->curves, "curves", err));
    MDL_TRY(mdl_alloc(&s->predictions, n, sizeof *s->predictions, "predictions", err));
    *space = s;
    s = NULL;
done:
    mdl_rounds_space_free(s);
    return rc;
}

void mdl_rounds_space_free(mdl_rounds_space_t *space)
{
    if (space == NULL)
        return;
    free(space->reached);
    free(space->seen);
    free(space->failed);
    free(space->members);
    free(space->index);
    free(space->place);
    free(space->target);
    free(space->keep);
    free(space->beliefs);
    free(space->points);
    free(space->curves);
    free(space->predictions);
    free(space);
}

/* No point of the curve is below its first one by two standard errors of their difference. Where
 * scores have no standard error nobody is slow. */
static int is_slow(const mdl_predict_curve_t *curve)
{
    const mdl_point_t *first = &curve->points[0];
    for (int k = 0; k < curve->n_point; k++) {
        const mdl_point_t *point = &curve->points[k];
        if (!(first->error_stderr > 0) || !(point->error_stderr > 0) ||
            first->error - point->error > 2 * hypot(first->error_stderr, point->error_stderr))
            return 0;
    }
    return 1;
}

/* Predicts the candidates that were trained among n members, from their points up to ratio; their
 * places among the members go into place. Returns their number. */
static int foresee(const mdl_rounds_t *rounds, mdl_rounds_space_t *space, int64_t n, double ratio,
                   int64_t *n_trained, mdl_error_t *err)
{
    *n_trained = 0;
    for (int64_t k = 0; k < n; k++) {
        const int64_t i = space->members[k], t = *n_trained;
        mdl_point_t *points = space->points + t * MDL_ROUNDS_MAX_POINT;
        if (!(space->reached[i] > 0))
            continue;
        space->seen[i] = fmin(space->reached[i], ratio);
        int n_point = rounds->list(rounds->context, i, space->seen[i], points);
        space->curves[t] = (mdl_predict_curve_t){points, n_point, rounds->kind};
        space->index[t] = i;
        space->place[t] = k;
        ++*n_trained;
    }
    return rounds->foresee != NULL
               ? rounds->foresee(rounds->context, space->index, space->seen, space->curves,
                                 *n_trained, space->predictions, err)
               : mdl_predict(&rounds->predict, space->curves, *n_trained, space->predictions, err);
}

/* Sets the beliefs of the n members, as they are with points up to ratio. */
static int believe(const mdl_rounds_t *rounds, mdl_rounds_space_t *space, int64_t n, double ratio,
                   const double *distance, mdl_error_t *err)
{
    const mdl_interval_t among = {.distance = distance};
    int64_t n_trained;
    int rc = foresee(rounds, space, n, ratio, &n_trained, err);
    if (rc != MDL_OK)
        return rc;
    for (int64_t k = 0; k < n; k++)
        space->beliefs[k] =
            (mdl_belief_t){.log_error = space->failed[space->members[k]] ? INFINITY : 0};
    for (int64_t t = 0; t < n_trained; t++) {
        const mdl_predict_curve_t *curve = &space->curves[t];
        const mdl_point_t *last = &curve->points[curve->n_point - 1];
        space->beliefs[space->place[t]] =
            (mdl_belief_t){.log_error = log(space->predictions[t].predicted),
                           .sigma = space->predictions[t].sigma_own,
                           .ratio = last->ratio,
                           .error = last->error,
                           .is_slow = is_slow(curve)};
    }
    mdl_interval_borrow(&among, space->beliefs, n);
    return MDL_OK;
}

/* Trains those of n members that have a target and aren't there yet. */
static int train(const mdl_rounds_t *rounds, mdl_rounds_space_t *space, double ratio, int64_t n,
                 mdl_error_t *err)
{
    int64_t n_index = 0;
    int alive = 0;
    for (int64_t k = 0; k < n; k++)
        if (space->target[k] > 0 && space->reached[space->members[k]] < ratio * (1 - 1e-9))
            space->index[n_index++] = space->members[k];
    int rc = n_index > 0 ? rounds->train(rounds->context, space->index, n_index, ratio, err) : 0;
    if (rc != MDL_OK)
        return rc;
    for (int64_t t = 0; t < n_index; t++) {
        const int64_t i = space->index[t];
        space->failed[i] = rounds->list(rounds->context, i, ratio, space->points) == 0;
        space->reached[i] = space->failed[i] ? 0 : ratio;
    }
    for (int64_t k = 0; k < n; k++)
        alive |= space->reached[space->members[k]] > 0;
    if (!alive)
        return mdl_fail(err, MDL_E_TRAINER, "all candidates that were trained failed");
    return MDL_OK;
}

static void tell(const mdl_rounds_t *rounds, mdl_rounds_space_t *space, int64_t n, double mark)
{
    space->n_round++;
    for (int64_t k = 0; k < n && rounds->decided != NULL; k++) {
        const mdl_decision_t decision = {space->n_round, mark, space->members[k], space->beliefs[k],
                                         (mdl_keep_t)space->keep[k]};
        rounds->decided(rounds->context, &decision);
    }
}

/* Gives those of n members that were never tried a target. Returns their number. */
static int64_t call_in_others(mdl_rounds_space_t *space, int64_t n, double ratio)
{
    int64_t n_called = 0;
    for (int64_t k = 0; k < n; k++) {
        const int64_t i = space->members[k];
        if (space->failed[i] || space->target[k] > 0)
            continue;
        space->target[k] = ratio;
        n_called++;
    }
    return n_called;
}

/* Interval search among n members of the space; *best becomes the candidate that is left. */
static int search(const mdl_rounds_t *rounds, mdl_rounds_space_t *space, int64_t n,
                  const uint8_t *first, const double *distance, int64_t *best, mdl_error_t *err)
{
    mdl_interval_t interval = rounds->interval;
    int64_t n_next;
    int mark = 0, rc;
    interval.distance = distance;
    for (int64_t k = 0; k < n; k++)
        space->target[k] = first == NULL || first[space->members[k]] ? interval.marks[0] : 0;
    do {
        const double ratio = interval.marks[mark];
        rc = train(rounds, space, ratio, n, err);
        if (rc == MDL_E_TRAINER && call_in_others(space, n, ratio) > 0)
            rc = train(rounds, space, ratio, n, err);
        MDL_TRY(rc);
        MDL_TRY(believe(rounds, space, n, ratio, distance, err));
        n_next = mdl_interval_next(&interval, space->beliefs, n, &mark, space->target, space->keep);
        tell(rounds, space, n, ratio);
    } while (n_next > 0);
    *best = space->members[mdl_interval_leader(space->beliefs, n)];
done:
    return rc;
}

static void start(const mdl_rounds_t *rounds, mdl_rounds_space_t *space)
{
    space->n_round = 0;
    memset(space->reached, 0, (size_t)rounds->n * sizeof *space->reached);
    memset(space->failed, 0, (size_t)rounds->n * sizeof *space->failed);
}

/* Scores of all that were trained, as one pool with all their points, and of those that borrow. */
static int conclude(const mdl_rounds_t *rounds, mdl_rounds_space_t *space, const double *distance,
                    double *score, mdl_error_t *err)
{
    for (int64_t i = 0; i < rounds->n; i++)
        space->members[i] = i;
    int rc = believe(rounds, space, rounds->n, 1, distance, err);
    for (int64_t i = 0; rc == MDL_OK && i < rounds->n; i++)
        score[i] = space->failed[i] ? INFINITY : space->beliefs[i].log_error;
    return rc;
}

static void put_first(const mdl_rounds_t *rounds, double *score, int64_t choice)
{
    for (int64_t i = 0; i < rounds->n; i++)
        if (i != choice && score[i] <= score[choice])
            score[choice] = score[i] - 1e-9;
}

int mdl_rounds_interval(const mdl_rounds_t *rounds, mdl_rounds_space_t *space, double *score,
                        int64_t *choice, mdl_error_t *err)
{
    const double *distance = rounds->first != NULL ? rounds->interval.distance : NULL;
    int rc;
    start(rounds, space);
    for (int64_t i = 0; i < rounds->n; i++)
        space->members[i] = i;
    MDL_TRY(search(rounds, space, rounds->n, rounds->first, distance, choice, err));
    MDL_TRY(conclude(rounds, space, distance, score, err));
    put_first(rounds, score, *choice);
done:
    return rc;
}

/* How much of the others a language model stands for: similarities to all of them, itself included,
 * over all encoders; 1 an encoder when nothing is known. */
static double stands_for(const mdl_rounds_t *rounds, int64_t llm)
{
    const double *distance = rounds->interval.distance;
    double sum = 0;
    for (int64_t i = 0; i < rounds->n; i++) {
        if (rounds->llm[i] != llm)
            continue;
        sum += 1;
        for (int64_t j = 0; distance != NULL && j < rounds->n; j++)
            if (j != i && rounds->ve[j] == rounds->ve[i])
                sum += fmax(0, 1 - distance[i * rounds->n + j]);
    }
    return sum;
}

/* What a language model takes with all encoders. */
static double work_of(const mdl_rounds_t *rounds, int64_t llm)
{
    double sum = 0;
    for (int64_t i = 0; i < rounds->n; i++)
        sum += rounds->llm[i] == llm ? rounds->work[i] : 0;
    return sum;
}

static int has_failed(const mdl_rounds_t *rounds, const mdl_rounds_space_t *space, int64_t llm)
{
    int failed = 1;
    for (int64_t i = 0; i < rounds->n; i++)
        failed &= rounds->llm[i] != llm || space->failed[i];
    return failed;
}

/* Of the cheaper half of the language models the one that stands for most of the others; the
 * cheapest where that doesn't tell. Those that failed with all encoders don't count; -1 when there
 * is no other. */
static int64_t best_column(const mdl_rounds_t *rounds, const mdl_rounds_space_t *space)
{
    int64_t best = -1, n_left = 0;
    double most = 0, least = 0;
    for (int64_t llm = 0; llm < rounds->n_llm; llm++)
        n_left += !has_failed(rounds, space, llm);
    for (int64_t llm = 0; llm < rounds->n_llm; llm++) {
        const double work = work_of(rounds, llm), stands = stands_for(rounds, llm);
        int64_t n_cheaper = 0;
        if (has_failed(rounds, space, llm))
            continue;
        for (int64_t other = 0; other < rounds->n_llm; other++)
            n_cheaper += work_of(rounds, other) < work && !has_failed(rounds, space, other);
        if (n_cheaper >= (n_left + 1) / 2)
            continue;
        const double tie = 1e-9 * most; /* similarities may differ by rounding */
        if (best < 0 || stands > most + tie || (stands >= most - tie && work < least)) {
            best = llm;
            most = stands;
            least = work;
        }
    }
    return best;
}

/* The candidates with of[i] == which become the members; returns their number. */
static int64_t list_line(const mdl_rounds_t *rounds, mdl_rounds_space_t *space, const int64_t *of,
                         int64_t which)
{
    int64_t n = 0;
    for (int64_t i = 0; i < rounds->n; i++)
        if (of[i] == which && !space->failed[i])
            space->members[n++] = i;
    return n;
}

/* Searches the column; the next best one when all pairs of it fail. */
static int search_column(const mdl_rounds_t *rounds, mdl_rounds_space_t *space, int64_t *corner,
                         mdl_error_t *err)
{
    int64_t column = best_column(rounds, space);
    for (;;) {
        int64_t n = list_line(rounds, space, rounds->llm, column);
        int rc = search(rounds, space, n, NULL, NULL, corner, err);
        if (rc != MDL_E_TRAINER || !has_failed(rounds, space, column))
            return rc;
        column = best_column(rounds, space);
        if (column < 0)
            return rc;
    }
}

/* Adds up what was never trained, from the column, the row and the corner where they meet. */
static void add_up(const mdl_rounds_t *rounds, const mdl_rounds_space_t *space, int64_t corner,
                   double *score)
{
    for (int64_t i = 0; i < rounds->n; i++) {
        if (space->reached[i] > 0 || space->failed[i])
            continue;
        double sum = -score[corner];
        for (int64_t j = 0; j < rounds->n; j++)
            if ((rounds->ve[j] == rounds->ve[i] && rounds->llm[j] == rounds->llm[corner]) ||
                (rounds->llm[j] == rounds->llm[i] && rounds->ve[j] == rounds->ve[corner]))
                sum += score[j];
        score[i] = sum;
    }
}

int mdl_rounds_cross(const mdl_rounds_t *rounds, mdl_rounds_space_t *space, double *score,
                     int64_t *choice, mdl_error_t *err)
{
    const double last = rounds->interval.marks[rounds->interval.n_mark - 1] * (1 - 1e-9);
    int64_t corner, n;
    int rc;
    if (rounds->n_llm == 0 || rounds->n != rounds->n_ve * rounds->n_llm)
        return mdl_fail(err, MDL_E_INPUT,
                        "strategy cross needs every pair of encoder and language model, columns ve "
                        "and llm");
    start(rounds, space);
    MDL_TRY(search_column(rounds, space, &corner, err));
    n = list_line(rounds, space, rounds->ve, rounds->ve[corner]);
    MDL_TRY(search(rounds, space, n, NULL, NULL, choice, err));
    MDL_TRY(conclude(rounds, space, NULL, score, err));
    if (space->reached[corner] >= last && score[corner] < score[*choice])
        *choice = corner;
    add_up(rounds, space, corner, score);
    put_first(rounds, score, *choice);
done:
    return rc;
}
