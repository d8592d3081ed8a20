/* The command trainer: the user's own script trains and measures a candidate. Its contract is in
 * docs/command-trainer.md. A mark that was passed leaves its checked answer in
 * candidates/VE+LM/result-RATIO.json, so that a mark is trained once only; passing it again costs
 * nothing. */
#ifndef MDL_MODELS_TRAINER_COMMAND_H
#define MDL_MODELS_TRAINER_COMMAND_H

#include "models/trainer.h"

extern const mdl_trainer_class_t mdl_trainer_command;

/* Makes the self of mdl_trainer_command, freed by its free. study is borrowed and outlives it.
 * Collective over comm. Returns MDL_E_INPUT when the study has no trainer.command. */
int mdl_trainer_command_open(MPI_Comm comm, const mdl_study_t *study, void **self,
                             mdl_error_t *err);

#endif
