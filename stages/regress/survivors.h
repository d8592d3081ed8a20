/* What halving left: which clusters live, and what was measured of the others. Where candidates are
 * trained in rounds there is no halving, and all live. */
#ifndef MDL_REGRESS_SURVIVORS_H
#define MDL_REGRESS_SURVIVORS_H

#include "io/candidates_file.h"
#include "io/rung_file.h"
#include "io/study.h"

typedef struct {
    mdl_candidates_t zoo;
    int64_t n_rung;
    mdl_rung_t *rungs;   /* n_rung, from rung 1 to the finished one */
    int64_t *dropped_in; /* [zoo.n_cluster], number of the rung, 0 = the cluster lives */
    char inputs_digest[MDL_DIGEST_SIZE]; /* of candidate clusters and rungs */
} mdl_survivors_t;

/* Reads clusters/candidates.h5 and the rungs up to the finished one. Freed with
 * mdl_survivors_free. Not collective. Returns MDL_E_MISSING with the command to run when halving
 * hasn't finished, or a rung was made from other files than those that are there. */
int mdl_survivors_read(const mdl_study_t *study, mdl_survivors_t *survivors, mdl_error_t *err);
void mdl_survivors_free(mdl_survivors_t *survivors);

#endif
