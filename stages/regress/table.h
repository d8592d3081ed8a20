/* The ranked table of the whole zoo: predictions of those that lived, the fate of the others. */
#ifndef MDL_REGRESS_TABLE_H
#define MDL_REGRESS_TABLE_H

#include "io/regress_file.h"
#include "models/sweep.h"
#include "regress/predict.h"
#include "regress/rounds_study.h"
#include "regress/survivors.h"

typedef struct {
    const mdl_survivors_t *survivors;
    const mdl_sweep_result_t *results; /* n_result, of the survivors */
    const int64_t *index;              /* [n_result], in the zoo */
    int64_t n_result;
    mdl_predict_settings_t predict;   /* of log-linear after halving the sweep chose the points */
    const mdl_study_rounds_t *rounds; /* NULL after halving */
    double lost_seconds;
} mdl_table_input_t;

/* Fits, ranks and chooses: the choice of the rounds, if there were any; predicted ones by predicted
 * error (ties: error at R, loss, name), among them those that rounds never trained by what is
 * expected of them; then failed ones, then those of dropped clusters, latest rung first. Freed with
 * mdl_regress_free. Not collective. Returns MDL_E_TRAINER when nothing could be predicted, or
 * MDL_E_MEMORY. */
int mdl_table_make(const mdl_table_input_t *input, mdl_regress_t *regress, mdl_error_t *err);

#endif
