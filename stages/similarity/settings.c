#include "similarity/settings.h"

#include <string.h>

const char *mdl_cka_estimator_name(mdl_cka_estimator_t estimator)
{
    static const char *const names[] = {"biased", "unbiased", "minibatch"};
    return names[estimator];
}

mdl_cka_settings_t mdl_cka_settings_named(const char *estimator, const char *kernel, int64_t batch,
                                          double sigma)
{
    mdl_cka_settings_t settings = {.batch = batch, .sigma = sigma};
    while (strcmp(estimator, mdl_cka_estimator_name(settings.estimator)) != 0)
        settings.estimator++;
    settings.kernel = strcmp(kernel, "rbf") == 0 ? MDL_CKA_RBF : MDL_CKA_LINEAR;
    return settings;
}

void mdl_cka_settings_of_study(const mdl_study_t *study, const char *side,
                               mdl_cka_settings_t *settings, mdl_stopping_t *stopping)
{
    *settings = mdl_cka_settings_named(study->similarity.estimator, study->similarity.kernel,
                                       study->similarity.batch, 1);
    *stopping = (mdl_stopping_t){.cut = {.linkage = mdl_linkage_named(study->clusters.linkage),
                                         .threshold = strcmp(side, "vision") == 0
                                                          ? study->clusters.vision_threshold
                                                          : study->clusters.language_threshold},
                                 .alpha = study->similarity.alpha,
                                 .seed = study->seed};
}
