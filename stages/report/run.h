/* The stage: reads what is there, writes report.html and, once there is a prediction,
 * ranking.csv. */
#ifndef MDL_REPORT_RUN_H
#define MDL_REPORT_RUN_H

#include "core/stage.h"

typedef struct {
    const char *output; /* folder, with files named by hand */
    int print;          /* print the beginning of the ranking */
} mdl_report_options_t;

/* Rank 0 works, the others wait. Collective over stage->comm. Returns MDL_E_MISSING when there is
 * nothing to report on, or what reading and writing return. */
int mdl_report_run(mdl_stage_t *stage, const mdl_report_options_t *options, mdl_error_t *err);

#endif
