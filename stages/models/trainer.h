/* One small interface over the three ways to train a candidate (a vision encoder, language model
 * pair): native (our engine), command (the user's script), replay (a table of measured curves).
 *
 * A candidate's state is its folder candidates/VE+LM/: checkpoints, and history.h5 with every point
 * that was measured. Ratios are shares of the alignment run (samples x epochs at ratio 1). A
 * candidate trains in one run, from smaller to larger ratio, and leaves a checkpoint at every mark
 * it passes; a point is measured from the checkpoint at its mark, in any order, and once only. */
#ifndef MDL_MODELS_TRAINER_H
#define MDL_MODELS_TRAINER_H

#include "io/history.h"
#include "io/study.h"

#include <mpi.h>

typedef struct {
    const char *ve, *lm;
} mdl_candidate_t;

typedef struct mdl_trainer mdl_trainer_t;

/* What a way to train implements. Functions of a group are collective over group, whose ranks work
 * on one candidate together. rc MDL_E_TRAINER means: this candidate failed (err says why), go on
 * with the others. MDL_E_AGAIN means: stopped cleanly after a checkpoint. */
typedef struct {
    /* Trains from the newest checkpoint to the next mark and leaves a checkpoint there; *seconds
     * gets the training seconds that this call spent (wall time of the group). */
    int (*advance)(void *self, MPI_Comm group, const mdl_candidate_t *candidate, double mark,
                   double *seconds, mdl_error_t *err);
    /* Measures the checkpoint at mark. */
    int (*evaluate)(void *self, MPI_Comm group, const mdl_candidate_t *candidate, double mark,
                    mdl_point_t *point, mdl_error_t *err);
    /* Training one candidate to ratio 1, <= 0 unknown: work, in a unit of the trainer's own, from
     * the study and its inputs alone, and seconds as predicted on this machine. Not collective. */
    double (*work)(void *self, const mdl_candidate_t *candidate);
    double (*seconds)(void *self, const mdl_candidate_t *candidate);
    /* All that a candidate's points depend on, settings and inputs, as "key=value" lines; freed by
     * the caller. NULL: the text of mdl_trainer_settings. Not collective. */
    int (*configuration)(void *self, const mdl_candidate_t *candidate, char **text,
                         mdl_error_t *err);
    /* mdl_trainer_leave; NULL: a group holds nothing together. */
    void (*leave)(void *self);
    void (*free)(void *self);
} mdl_trainer_class_t;

/* The marks of a study: all ratios at which a checkpoint is kept and a point can be measured: the
 * rungs b, b eta, ... <= R and the regression's R, R/u, R/u^2, ... (max_points of them), or for
 * rounds R, R/u, ... down to two below b; and 1.
 * Ascending, without doubles (1e-9). Freed by the caller. */
int mdl_trainer_marks(const mdl_study_t *study, double **marks, int *n_mark, mdl_error_t *err);

/* Opens the trainer that the study asks for. dry_run: nothing will be trained, so that it needs no
 * GPU whatever trainer.backend says. Collective over comm (reads shared inputs once). */
int mdl_trainer_open(MPI_Comm comm, const mdl_study_t *study, int dry_run, mdl_trainer_t **trainer,
                     mdl_error_t *err);

/* Frees what the ranks of a group hold together (trainer.shard), before the group goes or the ranks
 * work in another one. Collective over the group. */
void mdl_trainer_leave(mdl_trainer_t *trainer);

/* Leaves, too. NULL is allowed. */
void mdl_trainer_free(mdl_trainer_t *trainer);

/* From now on a candidate that failed before, or whose history or checkpoints were made with other
 * settings or inputs, starts afresh: its folder is renamed to VE+LM.old-N. Not collective; the same
 * on every rank. */
void mdl_trainer_force(mdl_trainer_t *trainer);

/* What training the candidate to ratio 1 takes, in a unit of the trainer's own; <= 0 unknown. The
 * same on any machine and for any number of ranks, so that decisions may go by it. Not collective.
 */
double mdl_trainer_work(mdl_trainer_t *trainer, const mdl_candidate_t *candidate);

/* The same in seconds of one rank, as predicted from the speed of this machine, for plans. Not
 * collective. */
double mdl_trainer_seconds(mdl_trainer_t *trainer, const mdl_candidate_t *candidate);

/* Brings the candidate to ratio (a mark; passing all marks below) from wherever its checkpoints
 * are, and records failure in its history. Collective over group. */
int mdl_trainer_train(mdl_trainer_t *trainer, MPI_Comm group, const mdl_candidate_t *candidate,
                      double ratio, mdl_error_t *err);

/* The point at ratio (a mark that was passed): from the history if it was measured before, else
 * measured now and recorded. Collective over group. */
int mdl_trainer_measure(mdl_trainer_t *trainer, MPI_Comm group, const mdl_candidate_t *candidate,
                        double ratio, mdl_point_t *point, mdl_error_t *err);

#endif
