/* All the settings of a sweep. */
#ifndef MDL_REGRESS_SETTING_GRID_H
#define MDL_REGRESS_SETTING_GRID_H

#include "regress/strategy.h"

typedef struct {
    mdl_key_t keys[MDL_N_KEY]; /* n_key that are swept, in the order of the text */
    int n_key;
    mdl_setting_t *settings; /* n_setting, resolved; the last key changes fastest */
    int64_t n_setting;
} mdl_setting_grid_t;

/* Every combination of "KEY=VALUE,VALUE,...,KEY=FIRST:LAST:STEP,..." over base; text NULL or empty
 * gives base alone. Freed with mdl_setting_grid_free. Not collective.
 * Returns MDL_E_USAGE naming the word, or MDL_E_MEMORY. */
int mdl_setting_grid_parse(const char *text, const mdl_setting_t *base, mdl_setting_grid_t *grid,
                           mdl_error_t *err);
void mdl_setting_grid_free(mdl_setting_grid_t *grid);

#endif
