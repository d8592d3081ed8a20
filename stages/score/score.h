/* The stage: archives and labels to a score for each model, without any training. */
#ifndef MDL_SCORE_SCORE_H
#define MDL_SCORE_SCORE_H

#include "core/stage.h"

typedef struct {
    const char *method, *labels, *embeddings, *split, *output, *print;
    int64_t seed;
} mdl_score_options_t;

extern const mdl_score_options_t mdl_score_defaults;
extern const mdl_command_t mdl_score_command;

/* Scores the archives of the arguments, or of the study: every encoder, and every pair whose hidden
 * states are archived. Models are dealt over the ranks. Collective over stage->comm. */
int mdl_score_run(mdl_stage_t *stage, const mdl_score_options_t *options, mdl_error_t *err);

#endif
