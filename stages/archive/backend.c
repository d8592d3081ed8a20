#include "archive/archive.h"
#include "models/backend_choice.h"

int mdl_archive_choose_backend(const mdl_stage_t *stage, const mdl_archive_options_t *options,
                               const mdl_study_t *study, const mdl_backend_t **backend,
                               mdl_error_t *err)
{
    const char *precision = options->precision != NULL ? options->precision : "float32";
    const char *name = study != NULL ? study->trainer.backend : "cpu";
    if (options->backend != NULL)
        name = options->backend;
    if (stage->dry_run)
        name = "cpu";
    return mdl_backend_choose(stage->comm, name, precision, backend, err);
}
