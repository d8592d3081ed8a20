/* What a comparison takes of a GPU, for --dry-run. */
#ifndef MDL_CKA_DEVICE_PLAN_H
#define MDL_CKA_DEVICE_PLAN_H

#include "cka/plan.h"

/* Prints, unless backend is "cpu", the memory that the route takes of each rank's GPU and the rate
 * of its matrix products, or why there is no GPU here. One rank only. Returns what measuring
 * returns. */
int mdl_cka_device_plan_print(const char *backend, const mdl_cka_settings_t *settings,
                              mdl_plan_route_t route, const mdl_cka_archives_t *archives,
                              mdl_error_t *err);

#endif
