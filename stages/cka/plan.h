/* What a comparison will cost. */
#ifndef MDL_CKA_PLAN_H
#define MDL_CKA_PLAN_H

#include "cka/archives.h"
#include "cka/similarity.h"

typedef struct {
    double n_item; /* batches or tiles, the units that ranks share out */
    const char *item;
    double bytes_read, flops, memory_per_rank; /* bytes of all ranks; bytes */
} mdl_cka_plan_t;

/* Counts work and memory for the opened archives. Not collective. */
mdl_cka_plan_t mdl_cka_plan(const mdl_cka_settings_t *settings, const mdl_cka_archives_t *archives);

/* Prints the plan for output with the seconds on n_rank ranks, predicted from the speed of a small
 * matrix product that is timed here. One rank only. */
void mdl_cka_plan_print(const mdl_cka_plan_t *plan, const mdl_cka_archives_t *archives, int n_rank,
                        const char *output);

#endif
