/* Training of an adapter, data-parallel over the ranks of a group, with the same bits on any.
 *
 * The alignment run passes over the train samples epochs times, every time in another order, in
 * batches that run on across the ends of epochs. A batch is put into packs (models/packs.h; of one
 * sample each unless pack_length says more) and summed pack by pack (so it costs the memory of
 * one), each gradient by itself, in a fixed binary tree over the packs: 1, 2, 4, ... ranks own
 * whole branches of that tree and get the same bits as one rank does. Other numbers of ranks own
 * blocks of nearly equal size and agree with one rank to rounding. */
#ifndef MDL_MODELS_TRAINING_H
#define MDL_MODELS_TRAINING_H

#include "io/corpus_file.h"
#include "io/study.h"
#include "models/adapter.h"
#include "models/features.h"
#include "models/optimiser.h"
#include "models/packs.h"
#include "models/rank_sum.h"
#include "models/sample.h"
#include "models/workspace.h"

#include <mpi.h>
#include <stdint.h>

typedef struct {
    int64_t epochs, batch; /* passes over the train samples at ratio 1; samples a step */
    int64_t pack_length;   /* positions of a pack, 0: samples pass one at a time */
    mdl_optimiser_settings_t optimiser;
    uint64_t seed;             /* of the orders of samples */
    mdl_workspace_keep_t keep; /* of the workspaces to train in: all, or the blocks' inputs */
} mdl_training_settings_t;

typedef struct {
    mdl_training_settings_t settings;
    const mdl_backend_t *backend; /* the adapter's */
    const mdl_corpus_t *corpus;
    const mdl_features_t *features;
    mdl_adapter_t *adapter;
    mdl_workspace_t *workspace;

    int64_t step;           /* finished steps; set it with the arrays to go on from there */
    int64_t total_steps;    /* at ratio 1 */
    float *adam_m, *adam_v; /* [n_param], the backend's */

    mdl_rank_sum_t ranks;
    int64_t n_level;     /* of the tree of sums */
    float *sums;         /* [n_level, n_param], the backend's */
    int64_t order_epoch; /* whose order is in order, -1: none yet */
    int64_t *order;      /* [n_train] */
    int64_t *place;      /* [batch], the samples of this step, -1 where there is none */
    int64_t *length;     /* [batch], positions that their losses need */
    mdl_packs_t packs;   /* of the places of this step */
    mdl_sample_t *pack;  /* [batch], the samples of the pack that passes */
    double *ledger;      /* [batch + 3], what the ranks tell each other at every step */
} mdl_training_t;

/* What one step told. */
typedef struct {
    double loss;    /* mean of the batch over its scored tokens, nats, before the step */
    int stop;       /* a rank was asked to stop */
    int checkpoint; /* rank 0 asked for a checkpoint */
} mdl_step_t;

mdl_training_settings_t mdl_training_settings(const mdl_study_t *study);

/* Optimiser steps at ratio 1: ceil(n_train * epochs / batch). */
int64_t mdl_training_total_steps(const mdl_training_settings_t *settings, int64_t n_train);

/* Steps that are finished at a share ratio of the run: rounded, 1 .. total_steps. */
int64_t mdl_training_step_at(double ratio, int64_t total_steps);

/* Positions that a workspace needs for samples of up to longest positions, and for packs: those of
 * a pack are no more than the decoder has positions. */
int64_t mdl_training_max_length(const mdl_training_settings_t *settings,
                                const mdl_model_config_t *config, int64_t longest);

/* Prepares a run from step 0. Everything is borrowed and outlives it; the workspace is for this
 * adapter and has room as mdl_training_max_length says of corpus->max_length + features->n_visual
 * positions; packs are no longer than it. Takes
 * 4 bytes x n_param x (log2(batch) + 3). Freed by mdl_training_free. Not collective.
 * Returns MDL_E_INPUT or MDL_E_MEMORY. */
int mdl_training_new(const mdl_training_settings_t *settings, const mdl_corpus_t *corpus,
                     const mdl_features_t *features, mdl_adapter_t *adapter,
                     mdl_workspace_t *workspace, mdl_training_t **training, mdl_error_t *err);

/* NULL is allowed. */
void mdl_training_free(mdl_training_t *training);

/* One sample of the corpus with its features, as the decoder takes it. */
mdl_sample_t mdl_training_sample(const mdl_corpus_t *corpus, const mdl_features_t *features,
                                 int64_t sample);

/* One optimiser step, the next one. ask_checkpoint counts on rank 0. Neither touches a file nor
 * takes memory. Collective over group. Returns MDL_E_TRAINER with step and loss when the loss isn't
 * finite (nothing is changed then), or MDL_E_INPUT for a sample that doesn't fit. */
int mdl_training_step(mdl_training_t *training, MPI_Comm group, int ask_checkpoint,
                      mdl_step_t *step, mdl_error_t *err);

/* A projector alone (no LoRA) in front of decoder, trained for n_step steps by this process: what
 * extraction puts between features and language model. Freed by the caller with mdl_adapter_free.
 * Not collective. Returns what mdl_training_new and mdl_training_step return. */
int mdl_training_warm_up(const mdl_training_settings_t *settings, const mdl_decoder_t *decoder,
                         const mdl_corpus_t *corpus, const mdl_features_t *features, int64_t n_step,
                         mdl_adapter_t **adapter, mdl_error_t *err);

#endif
