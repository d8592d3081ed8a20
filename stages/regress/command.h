/* The command line of mordal-regress. */
#ifndef MDL_REGRESS_COMMAND_H
#define MDL_REGRESS_COMMAND_H

#include "regress/regress.h"

extern const mdl_command_t mdl_regress_command;

/* Does what the options ask for: regression, final training, plan, prediction from curves, or
 * simulation. Collective over stage->comm. Returns what these return, or MDL_E_USAGE. */
int mdl_regress_main(mdl_stage_t *stage, const mdl_regress_options_t *options);

#endif
