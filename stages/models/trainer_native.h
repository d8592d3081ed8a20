/* The native trainer: the suite's own engine. docs/training.md tells what it computes. */
#ifndef MDL_MODELS_TRAINER_NATIVE_H
#define MDL_MODELS_TRAINER_NATIVE_H

#include "models/trainer.h"

extern const mdl_trainer_class_t mdl_trainer_native;

/* Makes the self of mdl_trainer_native, freed by its free. study is borrowed and outlives it.
 * dry_run: it takes no GPU. Collective over comm. Returns MDL_E_INPUT for settings that can't be,
 * MDL_E_MISSING or MDL_E_INPUT for a language model or corpus that can't be read, and what
 * mdl_backend_choose returns. */
int mdl_trainer_native_open(MPI_Comm comm, const mdl_study_t *study, int dry_run, void **self,
                            mdl_error_t *err);

/* The configuration of mdl_trainer_native. Not collective. */
int mdl_trainer_native_configuration(void *self, const mdl_candidate_t *candidate, char **text,
                                     mdl_error_t *err);

#endif
