/* Predicts every surviving candidate's error at ratio 1 and chooses: Algorithm 1 of Mordal (arXiv
 * 2502.00241). */
#ifndef MDL_REGRESS_REGRESS_H
#define MDL_REGRESS_REGRESS_H

#include "core/stage.h"
#include "io/result.h"
#include "regress/simulate.h"

typedef struct {
    int final;                  /* --final: train the choice to ratio 1 instead */
    int plan;                   /* --plan: print what the whole search costs instead */
    double full_seconds;        /* --full-seconds: of a candidate to ratio 1, 0 = measured speed */
    const char *backend;        /* --backend: instead of trainer.backend */
    const char *curves;         /* --curves: predict from this table instead of a study */
    double at, confidence;      /* --at, --confidence */
    const char *method, *print; /* --method, --print */
    int simulate;               /* --simulate: run searches on the table */
    mdl_simulate_options_t simulation;
} mdl_regress_options_t;

/* Trains all candidates of the surviving clusters to R, measures R, R/u, ... until their line fits,
 * and writes regress/regress.h5. Collective over stage->comm. Returns MDL_E_AGAIN when it was
 * stopped, MDL_E_MISSING when halving hasn't finished, MDL_E_TRAINER when all failed. */
int mdl_regress_run(mdl_stage_t *stage, const mdl_study_t *study, mdl_error_t *err);

/* Trains the choice of regress/regress.h5 to ratio 1, measures it and writes regress/final.h5.
 * Collective over stage->comm. Returns as above. */
int mdl_regress_run_final(mdl_stage_t *stage, const mdl_study_t *study, mdl_error_t *err);

/* Decides on rank 0, from path and what it would be made from, whether work can be left out, logs
 * it and tells all ranks. Collective over stage->comm. */
int mdl_regress_is_done(mdl_stage_t *stage, const char *path, const mdl_provenance_t *provenance);

#endif
