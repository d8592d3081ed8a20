#include "similarity/measure.h"

int mdl_measure_similarity(MPI_Comm comm, const mdl_measure_settings_t *settings,
                           const mdl_rows_t *models, int n_model, int64_t n_sample,
                           double *similarity, uint8_t *status, mdl_error_t *err)
{
    (void)comm, (void)models, (void)n_model, (void)n_sample, (void)similarity, (void)status;
    return mdl_fail(err, MDL_E_USAGE,
                    "--measure %s needs ScaLAPACK, and this Mordal was built without it: configure "
                    "with MORDAL_ENABLE_SCALAPACK=ON",
                    mdl_measure_name(settings->measure));
}
