/* Settings of CKA from the names that options and studies give them. */
#ifndef MDL_SIMILARITY_SETTINGS_H
#define MDL_SIMILARITY_SETTINGS_H

#include "io/study.h"
#include "similarity/similarity.h"

/* "biased", "unbiased", "minibatch". */
const char *mdl_cka_estimator_name(mdl_cka_estimator_t estimator);

/* Settings from the names of an estimator and a kernel. */
mdl_cka_settings_t mdl_cka_settings_named(const char *estimator, const char *kernel, int64_t batch,
                                          double sigma);

/* Settings of a study for its side, with sigma 1. Not collective. */
void mdl_cka_settings_of_study(const mdl_study_t *study, const char *side,
                               mdl_cka_settings_t *settings, mdl_stopping_t *stopping);

#endif
