/* The replay trainer: answers from a table of measured learning curves (trainer.replay.curves of
 * the study, docs/formats/curves.md), for what-if studies without training. A ratio between two
 * rows of a candidate is interpolated linearly in (log ratio, log error); outside of its rows the
 * candidate fails. Seconds are the table's. */
#ifndef MDL_MODELS_TRAINER_REPLAY_H
#define MDL_MODELS_TRAINER_REPLAY_H

#include "models/trainer.h"

extern const mdl_trainer_class_t mdl_trainer_replay;

/* Makes the self of mdl_trainer_replay, freed by its free. Reads the table on every rank.
 * study is borrowed and outlives it. Collective over comm. Returns what mdl_curves_read returns. */
int mdl_trainer_replay_open(MPI_Comm comm, const mdl_study_t *study, void **self, mdl_error_t *err);

#endif
