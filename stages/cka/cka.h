/* The stage: archive files in, one similarity file out. */
#ifndef MDL_CKA_CKA_H
#define MDL_CKA_CKA_H

#include "core/stage.h"

typedef struct {
    const char *estimator, *kernel, *route, *precision, *rows, *side, *output;
    const char *stop, *linkage, *measure, *grid, *backend, *gram_cache;
    int64_t batch, seed;
    double sigma, alpha, threshold;
} mdl_cka_options_t;

extern const mdl_cka_options_t mdl_cka_defaults;
extern const mdl_command_t mdl_cka_command;

/* Compares the files of the arguments, or those of the study's side. Collective over stage->comm.
 */
int mdl_cka_run(mdl_stage_t *stage, const mdl_cka_options_t *options, mdl_error_t *err);

#endif
