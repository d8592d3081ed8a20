#include "models/trainer_replay.h"

#include "core/text.h"
#include "io/curves_csv.h"
#include "io/path.h"
#include "mpi/agree.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const mdl_study_t *study;
    mdl_curves_t curves;
} replay_t;

int mdl_trainer_replay_open(MPI_Comm comm, const mdl_study_t *study, void **self, mdl_error_t *err)
{
    replay_t *replay = NULL;
    int rc;
    *self = NULL;
    if (study->trainer.curves == NULL)
        return mdl_fail(
            err, MDL_E_INPUT,
            "the study has no trainer.replay.curves, the table that a replay answers from");
    MDL_TRY(mdl_alloc(&replay, 1, sizeof *replay, "the replay trainer", err));
    replay->study = study;
    rc = mdl_curves_read(study->trainer.curves, &replay->curves, err);
done:
    rc = mdl_agree(comm, rc, err);
    if (rc != MDL_OK && replay != NULL)
        mdl_trainer_replay.free(replay);
    else
        *self = replay;
    return rc;
}

static double between(double from, double to, double share)
{
    return from + share * (to - from);
}

/* The curve at ratio, between the neighbours below and above it. */
static mdl_point_t interpolate(const mdl_curve_point_t *below, const mdl_curve_point_t *above,
                               double ratio)
{
    double share = log(ratio / below->ratio) / log(above->ratio / below->ratio);
    double by_ratio = (ratio - below->ratio) / (above->ratio - below->ratio);
    int positive = below->error > 0 && above->error > 0;
    return (mdl_point_t){
        .ratio = ratio,
        .error = positive ? exp(between(log(below->error), log(above->error), share))
                          : between(below->error, above->error, share),
        .error_stderr = between(below->error_stderr, above->error_stderr, share),
        .loss = between(below->loss, above->loss, share),
        .train_seconds = between(below->seconds, above->seconds, by_ratio),
    };
}

/* What the table says of a candidate at ratio; MDL_E_TRAINER when it says nothing. */
static int look_up(const replay_t *replay, const mdl_candidate_t *candidate, double ratio,
                   mdl_point_t *point, mdl_error_t *err)
{
    int64_t n;
    const mdl_curve_point_t *curve =
        mdl_curves_find(&replay->curves, candidate->ve, candidate->lm, &n);
    if (curve == NULL)
        return mdl_fail(err, MDL_E_TRAINER, "%s has no rows for %s+%s",
                        replay->study->trainer.curves, candidate->ve, candidate->lm);
    for (int64_t i = 0; i < n; i++)
        if (fabs(curve[i].ratio - ratio) <= 1e-9) {
            *point = (mdl_point_t){ratio,         curve[i].error,   curve[i].error_stderr,
                                   curve[i].loss, curve[i].seconds, 0};
            goto found;
        }
    if (ratio < curve[0].ratio || ratio > curve[n - 1].ratio)
        return mdl_fail(err, MDL_E_TRAINER,
                        "%s holds ratios %g to %g for %s+%s, but %g is asked for; choose the "
                        "study's ratios within the table",
                        replay->study->trainer.curves, curve[0].ratio, curve[n - 1].ratio,
                        candidate->ve, candidate->lm, ratio);
    int64_t above = 1;
    while (curve[above].ratio < ratio)
        above++;
    *point = interpolate(&curve[above - 1], &curve[above], ratio);
found:
    if (!isfinite(point->train_seconds))
        point->train_seconds = 0;
    return MDL_OK;
}

/* Training seconds up to ratio; below the first row they are in proportion to the ratio. */
static int seconds_at(const replay_t *replay, const mdl_candidate_t *candidate, double ratio,
                      double *seconds, mdl_error_t *err)
{
    mdl_point_t point = {0};
    int64_t n;
    const mdl_curve_point_t *curve =
        mdl_curves_find(&replay->curves, candidate->ve, candidate->lm, &n);
    int below = curve != NULL && ratio < curve[0].ratio;
    int rc = look_up(replay, candidate, below ? curve[0].ratio : ratio, &point, err);
    *seconds = below ? point.train_seconds * ratio / curve[0].ratio : point.train_seconds;
    return rc;
}

static int read_reached(const char *path, double *ratio, mdl_error_t *err)
{
    FILE *file = fopen(path, "r");
    *ratio = 0;
    if (file == NULL && errno == ENOENT)
        return MDL_OK;
    int n = file == NULL ? 0 : fscanf(file, "%lf", ratio);
    if (file != NULL)
        fclose(file);
    if (n == 1 && *ratio > 0 && *ratio <= 1)
        return MDL_OK;
    return mdl_fail(err, MDL_E_IO, "%s: holds no ratio; remove it", path);
}

static int write_reached(const char *path, double ratio, mdl_error_t *err)
{
    char *temporary = NULL;
    FILE *file = NULL;
    int rc;
    MDL_TRY(mdl_path_make_parent(path, err));
    temporary = mdl_path_temporary(path);
    file = temporary == NULL ? NULL : fopen(temporary, "w");
    if (file == NULL || fprintf(file, "%.17g\n", ratio) < 0)
        rc = mdl_fail(err, MDL_E_IO, "%s: cannot be written: %s", path, strerror(errno));
    if (file != NULL && fclose(file) != 0 && rc == MDL_OK)
        rc = mdl_fail(err, MDL_E_IO, "%s: cannot be written: %s", path, strerror(errno));
    if (rc == MDL_OK)
        rc = mdl_path_commit(temporary, path, err);
done:
    free(temporary);
    return rc;
}

/* The "checkpoint" of a replay is the ratio that was reached, in a file of one line. */
static int advance_on_root(const replay_t *replay, const mdl_candidate_t *candidate, double mark,
                           double *seconds, mdl_error_t *err)
{
    double reached, now, before = 0;
    char *path = mdl_study_path(replay->study, "candidates/%s+%s/replay-reached.txt", candidate->ve,
                                candidate->lm);
    int rc = path == NULL ? mdl_fail(err, MDL_E_MEMORY, "out of memory for a path") : MDL_OK;
    if (rc != MDL_OK)
        return rc;
    MDL_TRY(read_reached(path, &reached, err));
    if (mark <= reached + 1e-9)
        goto done;
    MDL_TRY(seconds_at(replay, candidate, mark, &now, err));
    if (reached > 0)
        MDL_TRY(seconds_at(replay, candidate, reached, &before, err));
    *seconds = fmax(0, now - before);
    rc = write_reached(path, mark, err);
done:
    free(path);
    return rc;
}

static int advance(void *self, MPI_Comm group, const mdl_candidate_t *candidate, double mark,
                   double *seconds, mdl_error_t *err)
{
    int rank;
    MPI_Comm_rank(group, &rank);
    *seconds = 0;
    int rc = mdl_on_root(group, rank, advance_on_root(self, candidate, mark, seconds, err), err);
    MPI_Bcast(seconds, 1, MPI_DOUBLE, 0, group);
    return rc;
}

static int evaluate(void *self, MPI_Comm group, const mdl_candidate_t *candidate, double mark,
                    mdl_point_t *point, mdl_error_t *err)
{
    (void)group;
    return look_up(self, candidate, mark, point, err);
}

static double seconds_of(void *self, const mdl_candidate_t *candidate)
{
    const replay_t *replay = self;
    int64_t n;
    const mdl_curve_point_t *curve =
        mdl_curves_find(&replay->curves, candidate->ve, candidate->lm, &n);
    if (curve == NULL || !isfinite(curve[n - 1].seconds))
        return 0;
    return curve[n - 1].seconds / curve[n - 1].ratio;
}

static void free_replay(void *self)
{
    replay_t *replay = self;
    if (replay == NULL)
        return;
    mdl_curves_free(&replay->curves);
    free(replay);
}

const mdl_trainer_class_t mdl_trainer_replay = {.advance = advance,
                                                .evaluate = evaluate,
                                                .work = seconds_of,
                                                .seconds = seconds_of,
                                                .free = free_replay};
