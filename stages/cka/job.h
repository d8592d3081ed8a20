/* One comparison of a set of files. */
#ifndef MDL_CKA_JOB_H
#define MDL_CKA_JOB_H

#include "core/stage.h"
#include "io/archive_file.h"
#include "similarity/measure.h"
#include "similarity/similarity.h"
#include "similarity/stopping.h"

/* Files in, similarity out. */
typedef struct {
    mdl_stage_t *stage;
    mdl_measure_settings_t measure; /* the settings below are those of CKA */
    mdl_cka_settings_t settings;
    const char *route, *precision, *backend; /* as asked for */
    const char *stop;
    mdl_stopping_t stopping;           /* threshold NAN: the side's usual one */
    const mdl_archive_stop_t *stopped; /* the extraction stopped by the same rule; borrowed */
    int common;
    const char *const *paths;
    int n_path;
    const char *gram_cache; /* folder, or NULL */
    const char *output;
} mdl_cka_job_t;

/* Compares, or prints the plan with --dry-run, unless the output is up to date. Collective over
 * job->stage->comm. Returns MDL_E_USAGE for settings that don't go together, or what opening,
 * computing and writing return. */
int mdl_cka_compare(mdl_cka_job_t *job, mdl_error_t *err);

#endif
