/* The answer of a command trainer's script: docs/command-trainer.md. */
#ifndef MDL_MODELS_COMMAND_ANSWER_H
#define MDL_MODELS_COMMAND_ANSWER_H

#include "core/error.h"

typedef struct {
    double error;         /* 0 to 1 */
    double error_stderr;  /* NaN when not answered */
    double loss;          /* NaN when not answered */
    double train_seconds; /* of this call; NaN when not answered */
} mdl_command_answer_t;

/* Reads {"error": e, "error_stderr": s, "loss": l, "train_seconds": t}; only error must be there.
 * Not collective. Returns MDL_E_MISSING, MDL_E_IO or MDL_E_INPUT naming the key. */
int mdl_command_answer_read(const char *path, mdl_command_answer_t *answer, mdl_error_t *err);

/* Puts the answer at path, as read by mdl_command_answer_read. Not collective.
 * Returns MDL_E_IO or MDL_E_MEMORY. */
int mdl_command_answer_write(const char *path, const mdl_command_answer_t *answer,
                             mdl_error_t *err);

#endif
