/* A made-up search, written as the result files that the stages would have left, so that the report
 * can be tried without running them. */
#ifndef MDL_TESTS_REPORT_MADE_UP_H
#define MDL_TESTS_REPORT_MADE_UP_H

#include "core/error.h"

typedef enum {
    MADE_UP_VISION_CKA,
    MADE_UP_VISION_CLUSTERS,
    MADE_UP_LANGUAGE_CKA,
    MADE_UP_CANDIDATES, /* and the language clusters */
    MADE_UP_RUNGS,
    MADE_UP_REGRESS,
    MADE_UP_FINAL
} made_up_stage_t;

typedef struct {
    int n_ve, n_lm; /* at most 128 each */
    double vision_threshold, language_threshold;
    made_up_stage_t until;  /* the last stage that ran */
    const char *hostile_ve; /* replaces the first encoder's name; NULL: a harmless one */
} made_up_t;

/* Writes cka/, clusters/, rungs/ and regress/ below folder. Errors fall as a power of the ratio;
 * the second candidate of the first rung has failed. */
int made_up_write(const char *folder, const made_up_t *search, mdl_error_t *err);

#endif
