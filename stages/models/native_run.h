/* One candidate in training on one group of ranks: its state in memory, and on disk. */
#ifndef MDL_MODELS_NATIVE_RUN_H
#define MDL_MODELS_NATIVE_RUN_H

#include "io/checkpoint_file.h"
#include "models/native_inputs.h"
#include "models/training.h"

#include <mpi.h>

typedef struct {
    MPI_Comm group;
    int rank;
    char name[520]; /* VE+LM, for the log */
    const mdl_study_t *study;
    mdl_native_inputs_t *inputs;
    mdl_adapter_t *adapter;
    mdl_workspace_t *workspace;
    mdl_workspace_t *together[MDL_MOST_TOGETHER]; /* [n_together], of samples that are measured
                                                   * together; the first one is workspace */
    int64_t n_together;
    mdl_training_t *training;
    double train_seconds; /* cumulative up to training->step */
    char *folder;         /* candidates/VE+LM */
    char *configuration;  /* group rank 0 */
    mdl_checkpoint_tensor_t *tensors;
    float *state; /* [3, n_param] parameters and moments in the host's memory, to and from files */
    const int64_t *kept; /* [n_kept], steps whose checkpoints stay; borrowed */
    int64_t n_kept;
} mdl_native_run_t;

/* What LoRA the study asks for. Not collective. Returns MDL_E_INPUT. */
int mdl_native_adapter_options(const mdl_study_t *study, mdl_adapter_options_t *options,
                               mdl_error_t *err);

/* Positions that the longest sample takes, in training or with an answer behind its prompt, or the
 * longest pack. */
int64_t mdl_native_max_length(const mdl_study_t *study, const mdl_model_config_t *config,
                              const mdl_corpus_t *corpus, int64_t n_visual);

/* Loads the inputs and prepares step 0, to train or else to measure. configuration (rank 0 of
 * group; elsewhere NULL) is taken over, also on failure. Closed by mdl_native_run_close in any
 * case. Collective over group. */
int mdl_native_run_open(mdl_native_run_t *run, MPI_Comm group, mdl_native_inputs_t *inputs,
                        const mdl_candidate_t *candidate, char *configuration, int train,
                        mdl_error_t *err);
void mdl_native_run_close(mdl_native_run_t *run);

/* Goes to the newest intact checkpoint at or below max_step, or stays at step 0 where there is
 * none. Collective over group. */
int mdl_native_run_resume(mdl_native_run_t *run, int64_t max_step, mdl_error_t *err);

/* Trains up to step target with a checkpoint there and every checkpoint_seconds on the way.
 * *seconds gets the time that it took. Collective over group. Returns MDL_E_TRAINER when training
 * diverged, MDL_E_AGAIN when it was stopped (a checkpoint is written). */
int mdl_native_run_train(mdl_native_run_t *run, int64_t target, double *seconds, mdl_error_t *err);

#endif
