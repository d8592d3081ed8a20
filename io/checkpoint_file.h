/* Checkpoints of the native trainer: candidates/VE+LM/checkpoint-SSSSSSSS.h5, with the number of
 * finished steps in the name. Schema mordal-checkpoint, version 1; docs/formats/checkpoint.md.
 *
 *   /param/NAME, /adam_m/NAME, /adam_v/NAME  float32, one dataset for each trained tensor
 * Root attributes as of every result, and: step, total_steps, ratio, train_seconds. */
#ifndef MDL_IO_CHECKPOINT_FILE_H
#define MDL_IO_CHECKPOINT_FILE_H

#include "core/error.h"

#include <stdint.h>

typedef struct {
    const char *name; /* borrowed */
    int64_t offset;   /* of the first value in the flat arrays */
    int n_dim;        /* 1 or 2 */
    int64_t dims[2];
} mdl_checkpoint_tensor_t;

/* The trained state. All arrays are the caller's. */
typedef struct {
    int64_t step, total_steps;
    double train_seconds; /* cumulative up to step */
    int64_t n_tensor;
    const mdl_checkpoint_tensor_t *tensor; /* [n_tensor] */
    float *param, *adam_m, *adam_v;        /* flat, as the tensors' offsets say */
} mdl_checkpoint_t;

/* Writes the checkpoint of checkpoint->step into folder. configuration is all that the state
 * depends on, "key=value" lines. One rank only. Returns MDL_E_IO, or MDL_E_TRAINER when a value
 * isn't finite: such a state is never stored. */
int mdl_checkpoint_write(const char *folder, const char *configuration,
                         const mdl_checkpoint_t *checkpoint, mdl_error_t *err);

/* Fills step, total_steps, train_seconds and the three arrays from the checkpoint of step; tensor
 * and n_tensor say what is expected. One rank only. Returns MDL_E_MISSING, MDL_E_INPUT (damaged,
 * other tensors, other configuration). */
int mdl_checkpoint_read(const char *folder, const char *configuration, int64_t step,
                        mdl_checkpoint_t *checkpoint, mdl_error_t *err);

/* The same for the newest intact checkpoint at or below max_step. A damaged one is warned about,
 * put aside under the name *.damaged, and the one before it taken; one of another configuration is
 * an error. With none, checkpoint->step becomes 0 and nothing else is touched. One rank only. */
int mdl_checkpoint_read_newest(const char *folder, const char *configuration, int64_t max_step,
                               mdl_checkpoint_t *checkpoint, mdl_error_t *err);

/* Removes all checkpoints but those of the steps in kept [n_kept] and the newest two of the
 * others. One rank only. */
int mdl_checkpoint_prune(const char *folder, const int64_t *kept, int64_t n_kept, mdl_error_t *err);

/* The steps of folder's checkpoints, ascending; freed by the caller. A missing folder has none.
 * One rank only. */
int mdl_checkpoint_list(const char *folder, int64_t **steps, int64_t *n_step, mdl_error_t *err);

#endif
