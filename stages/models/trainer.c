#include "models/trainer.h"

#include "core/log.h"
#include "core/text.h"
#include "models/trainer_command.h"
#include "models/trainer_native.h"
#include "models/trainer_replay.h"
#include "models/trainer_settings.h"
#include "mpi/agree.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double SAME = 1e-9; /* ratios nearer than this are one */

struct mdl_trainer {
    const mdl_trainer_class_t *class;
    void *self;
    const mdl_study_t *study;
    double *marks;
    int n_mark;
    int force;
};

/* A candidate's record, on rank 0 of its group. */
typedef struct {
    char *path, *configuration;
    mdl_history_t history;
} record_t;

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The ratios of rungs and of the regression's points. Returns their number. */
static int list_rung_marks(const mdl_study_t *study, double *marks)
{
    const int n_rung = mdl_study_n_rung(study);
    double ratio = study->search.max_ratio;
    int n = 0;
    for (int rung = 1; rung <= n_rung; rung++)
        marks[n++] = mdl_study_rung_ratio(study, rung);
    for (int64_t point = 0; point < study->regress.max_points; point++) {
        marks[n++] = ratio;
        ratio /= study->regress.divisor;
    }
    return n;
}

/* The ratios of rounds, and two below the first, so that it has slopes to go by. */
static int list_round_marks(const mdl_study_t *study, double *marks)
{
    const double divisor = study->regress.divisor;
    const double last = study->search.start_ratio / (divisor * divisor) * (1 - 1e-6);
    int n = 0;
    for (double ratio = study->search.max_ratio; ratio >= last; ratio /= divisor)
        marks[n++] = ratio;
    return n;
}

int mdl_trainer_marks(const mdl_study_t *study, double **marks, int *n_mark, mdl_error_t *err)
{
    const double first = study->search.start_ratio, last = study->search.max_ratio;
    const double eta = study->search.eta, divisor = study->regress.divisor;
    const int in_rounds = mdl_study_in_rounds(study);
    if (!(first > 1e-6 && first <= last && last <= 1 && (in_rounds || eta > 1) &&
          divisor > 1 + 1e-3))
        return mdl_fail(err, MDL_E_INPUT,
                        "search.start_ratio %g, search.max_ratio %g, search.eta %g and "
                        "regress.divisor %g don't go together",
                        first, last, eta, divisor);
    const int n_most = in_rounds ? 6 + (int)(log(last / first) / log(divisor))
                                 : 1 + mdl_study_n_rung(study) + (int)study->regress.max_points;
    int rc = mdl_alloc(marks, (size_t)n_most, sizeof **marks, "marks", err);
    if (rc != MDL_OK)
        return rc;
    int n = in_rounds ? list_round_marks(study, *marks) : list_rung_marks(study, *marks);
    (*marks)[n++] = 1;
    qsort(*marks, (size_t)n, sizeof **marks, ascending);
    *n_mark = 0;
    for (int i = 0; i < n; i++)
        if (*n_mark == 0 || (*marks)[i] > (*marks)[*n_mark - 1] + SAME)
            (*marks)[(*n_mark)++] = (*marks)[i];
    return MDL_OK;
}

int mdl_trainer_open(MPI_Comm comm, const mdl_study_t *study, int dry_run, mdl_trainer_t **trainer,
                     mdl_error_t *err)
{
    mdl_trainer_t *made = NULL;
    int rc = mdl_alloc(&made, 1, sizeof *made, "the trainer", err);
    if (rc == MDL_OK) {
        made->study = study;
        rc = mdl_trainer_marks(study, &made->marks, &made->n_mark, err);
    }
    MDL_TRY(mdl_agree(comm, rc, err));
    switch (study->trainer.kind) {
    case MDL_TRAINER_NATIVE:
        made->class = &mdl_trainer_native;
        MDL_TRY(mdl_trainer_native_open(comm, study, dry_run, &made->self, err));
        break;
    case MDL_TRAINER_COMMAND:
        made->class = &mdl_trainer_command;
        MDL_TRY(mdl_trainer_command_open(comm, study, &made->self, err));
        break;
    case MDL_TRAINER_REPLAY:
        made->class = &mdl_trainer_replay;
        MDL_TRY(mdl_trainer_replay_open(comm, study, &made->self, err));
        break;
    }
    *trainer = made;
    made = NULL;
done:
    mdl_trainer_free(made);
    return rc;
}

void mdl_trainer_leave(mdl_trainer_t *trainer)
{
    if (trainer->class->leave != NULL)
        trainer->class->leave(trainer->self);
}

void mdl_trainer_free(mdl_trainer_t *trainer)
{
    if (trainer == NULL)
        return;
    if (trainer->self != NULL)
        trainer->class->free(trainer->self);
    free(trainer->marks);
    free(trainer);
}

void mdl_trainer_force(mdl_trainer_t *trainer)
{
    trainer->force = 1;
}

double mdl_trainer_work(mdl_trainer_t *trainer, const mdl_candidate_t *candidate)
{
    return trainer->class->work(trainer->self, candidate);
}

double mdl_trainer_seconds(mdl_trainer_t *trainer, const mdl_candidate_t *candidate)
{
    return trainer->class->seconds(trainer->self, candidate);
}

/* All that a candidate's points depend on. */
static int configuration_of(mdl_trainer_t *trainer, const mdl_candidate_t *candidate, char **text,
                            mdl_error_t *err)
{
    if (trainer->class->configuration != NULL)
        return trainer->class->configuration(trainer->self, candidate, text, err);
    return mdl_trainer_settings(trainer->study, text, err);
}

/* Renames the candidate's folder to VE+LM.old-N, so that it starts afresh and nothing is lost. */
static int set_aside(const mdl_study_t *study, const mdl_candidate_t *candidate, mdl_error_t *err)
{
    char *folder = mdl_study_path(study, "candidates/%s+%s", candidate->ve, candidate->lm);
    char *aside = NULL;
    int rc = MDL_OK;
    for (int number = 1; folder != NULL; number++) {
        aside = mdl_text("%s.old-%d", folder, number);
        if (aside == NULL || access(aside, F_OK) != 0)
            break;
        free(aside);
    }
    if (folder == NULL || aside == NULL)
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    else if (rename(folder, aside) != 0)
        rc = mdl_fail(err, MDL_E_IO, "%s: cannot be renamed to %s: %s", folder, aside,
                      strerror(errno));
    else
        mdl_log_rank(MDL_LOG_WARN, "%s: starts afresh; what was there is in %s now", folder, aside);
    free(folder);
    free(aside);
    return rc;
}

static void close_record(record_t *record)
{
    free(record->path);
    free(record->configuration);
    mdl_history_free(&record->history);
}

/* Reads the candidate's history. A failed candidate is MDL_E_TRAINER with its first reason, so that
 * a search that is run again gives the same result. With force
 * one that failed, or was made with other settings, starts afresh. Rank 0 of a group. */
static int open_record(mdl_trainer_t *trainer, const mdl_candidate_t *candidate, record_t *record,
                       mdl_error_t *err)
{
    int rc;
    record->path =
        mdl_study_path(trainer->study, "candidates/%s+%s/history.h5", candidate->ve, candidate->lm);
    if (record->path == NULL) {
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
        goto done;
    }
    MDL_TRY(configuration_of(trainer, candidate, &record->configuration, err));
    rc = mdl_history_read(record->path, record->configuration, &record->history, err);
    if (trainer->force && (rc == MDL_E_INPUT || record->history.failed)) {
        mdl_history_free(&record->history);
        rc = set_aside(trainer->study, candidate, err);
    }
    if (rc == MDL_OK && record->history.failed) {
        mdl_log_rank(MDL_LOG_WARN, "%s+%s failed before; --force gives it another chance",
                     candidate->ve, candidate->lm);
        rc = mdl_fail(err, MDL_E_TRAINER, "%s", record->history.reason);
    } else if (rc == MDL_OK && access(record->path, F_OK) != 0)
        rc = mdl_history_write(record->path, record->configuration, &record->history, err);
done:
    return rc;
}

/* Writes down what a call of the trainer came to; rc is its outcome, handed on. seconds of a
 * failed call are lost. Rank 0 of a group. */
static int note(record_t *record, int rc, double seconds, mdl_error_t *err)
{
    mdl_error_t failure;
    if (rc == MDL_E_TRAINER) {
        record->history.failed = 1;
        record->history.lost_seconds += seconds;
        snprintf(record->history.reason, sizeof record->history.reason, "%.500s", err->text);
    } else {
        record->history.train_seconds += seconds;
    }
    if (rc == MDL_E_TRAINER || seconds > 0) {
        int written =
            mdl_history_write(record->path, record->configuration, &record->history, &failure);
        if (written != MDL_OK) {
            *err = failure;
            return written;
        }
    }
    return rc;
}

int mdl_trainer_train(mdl_trainer_t *trainer, MPI_Comm group, const mdl_candidate_t *candidate,
                      double ratio, mdl_error_t *err)
{
    record_t record = {0};
    int rank, rc;
    MPI_Comm_rank(group, &rank);
    MDL_TRY(mdl_on_root(group, rank, open_record(trainer, candidate, &record, err), err));
    for (int i = 0; i < trainer->n_mark && trainer->marks[i] <= ratio + SAME; i++) {
        double seconds = 0;
        rc = trainer->class->advance(trainer->self, group, candidate, trainer->marks[i], &seconds,
                                     err);
        if (rank == 0)
            rc = note(&record, rc, seconds, err);
        MDL_TRY(mdl_agree(group, rc, err));
    }
done:
    close_record(&record);
    return rc;
}

/* The point as a trainer may hand it over; MDL_E_TRAINER when it makes no sense. */
static int check_point(const mdl_candidate_t *candidate, const mdl_point_t *point, mdl_error_t *err)
{
    if (point->error >= 0 && point->error <= 1 && !(point->error_stderr < 0) &&
        !isinf(point->error_stderr) && !isinf(point->loss) && point->train_seconds >= 0 &&
        point->evaluate_seconds >= 0)
        return MDL_OK;
    return mdl_fail(err, MDL_E_TRAINER,
                    "%s+%s at ratio %g: error %g, standard error %g, loss %g, %g s of training and "
                    "%g s of evaluation is not a result",
                    candidate->ve, candidate->lm, point->ratio, point->error, point->error_stderr,
                    point->loss, point->train_seconds, point->evaluate_seconds);
}

/* Adds a measured point to the record. Rank 0 of a group. */
static int note_point(record_t *record, const mdl_candidate_t *candidate, double ratio,
                      mdl_point_t *point, mdl_error_t *err)
{
    int rc;
    point->ratio = ratio;
    if (isnan(point->train_seconds))
        point->train_seconds = record->history.train_seconds;
    MDL_TRY(check_point(candidate, point, err));
    MDL_TRY(mdl_history_add(&record->history, point, err));
    record->history.train_seconds = fmax(record->history.train_seconds, point->train_seconds);
    rc = mdl_history_write(record->path, record->configuration, &record->history, err);
done:
    return rc;
}

int mdl_trainer_measure(mdl_trainer_t *trainer, MPI_Comm group, const mdl_candidate_t *candidate,
                        double ratio, mdl_point_t *point, mdl_error_t *err)
{
    record_t record = {0};
    int rank, rc, known = 0;
    *point = (mdl_point_t){.ratio = ratio, .error_stderr = NAN, .loss = NAN, .train_seconds = NAN};
    MPI_Comm_rank(group, &rank);
    MDL_TRY(mdl_on_root(group, rank, open_record(trainer, candidate, &record, err), err));
    const mdl_point_t *found = rank == 0 ? mdl_history_find(&record.history, ratio) : NULL;
    known = found != NULL;
    MPI_Bcast(&known, 1, MPI_INT, 0, group);
    if (known) {
        *point = found != NULL ? *found : *point;
    } else {
        rc = trainer->class->evaluate(trainer->self, group, candidate, ratio, point, err);
        if (rank == 0 && rc == MDL_OK)
            rc = note_point(&record, candidate, ratio, point, err);
        if (rank == 0)
            rc = note(&record, rc, 0, err);
        MDL_TRY(mdl_agree(group, rc, err));
    }
    MPI_Bcast(point, sizeof *point, MPI_BYTE, 0, group);
done:
    close_record(&record);
    return rc;
}
