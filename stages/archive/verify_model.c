/* mordal-archive verify-model: is a model computed as its reference says? */
#include "archive/archive.h"
#include "core/log.h"
#include "core/text.h"
#include "io/vision_config.h"
#include "models/verify.h"
#include "mpi/agree.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static void print_line(void *context, const mdl_verify_line_t *line)
{
    (void)context;
    printf("%s %s %.3e %.3e %s\n", line->family, line->quantity, line->max_abs, line->max_rel,
           line->ok ? "ok" : "FAIL");
}

/* One folder; a quantity that differs is an error, as a folder that can't be read is. */
static int verify_folder(const mdl_backend_t *backend, const char *folder, mdl_error_t *err)
{
    mdl_verify_report_t report = {.line = print_line};
    char *config = mdl_text("%s/config.json", folder);
    if (config == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "%s: no memory for a path", folder);
    int rc = mdl_vision_config_known(config)
                 ? mdl_verify_encoder(backend, folder, "reference.safetensors", &report, err)
                 : mdl_verify_model(backend, folder, "reference.safetensors", &report, err);
    free(config);
    if (rc == MDL_OK && report.n_bad > 0)
        rc = mdl_fail(err, MDL_E_INPUT,
                      "%s: %" PRId64 " of %" PRId64 " quantities differ from the reference", folder,
                      report.n_bad, report.n_line);
    if (rc == MDL_OK)
        mdl_log(MDL_LOG_INFO, "%s: all %" PRId64 " quantities are as in the reference", folder,
                report.n_line);
    return rc;
}

/* Goes through all folders, so that one call tells of all; the first error is the command's. */
static int verify_folders(const mdl_stage_t *stage, const mdl_backend_t *backend, mdl_error_t *err)
{
    int first_rc = MDL_OK;
    mdl_error_t each = {0};
    if (stage->n_argument == 0)
        return mdl_fail(err, MDL_E_USAGE, "give the model folders, as in %s zoo/phi-3",
                        stage->program);
    for (int i = 0; i < stage->n_argument; i++) {
        int rc = verify_folder(backend, stage->arguments[i], &each);
        if (rc == MDL_OK)
            continue;
        if (first_rc == MDL_OK) {
            first_rc = rc;
            *err = each;
        } else {
            mdl_log(MDL_LOG_ERROR, "%s", each.text);
        }
    }
    return first_rc;
}

static int run_verify_model(mdl_stage_t *stage, const mdl_archive_options_t *options,
                            mdl_error_t *err)
{
    const mdl_backend_t *backend;
    int rc = mdl_archive_choose_backend(stage, options, NULL, &backend, err);
    if (rc != MDL_OK)
        return rc;
    rc = stage->rank == 0 ? verify_folders(stage, backend, err) : MDL_OK;
    return mdl_agree(stage->comm, rc, err);
}

static const mdl_option_t table[] = {
    {"backend", 0, MDL_OPTION_CHOICE, "auto|cpu|cuda|strict",
     "where models are computed: auto takes a GPU where there is one, strict is for tests (default "
     "cpu)",
     offsetof(mdl_archive_options_t, backend)},
    {"precision", 0, MDL_OPTION_CHOICE, "float32|bfloat16",
     "of the frozen matrices and the factors of their products (default float32)",
     offsetof(mdl_archive_options_t, precision)},
};

const mdl_archive_command_t mdl_archive_verify_model = {
    .name = "verify-model",
    .command = {.program = "mordal-archive verify-model",
                .usage = "[--backend NAME] [--precision NAME] DIR...",
                .summary = "Runs the model in each folder (config.json, model.safetensors) and\n"
                           "compares it with reference.safetensors beside it. Prints a line for\n"
                           "each quantity: family quantity max_abs max_rel ok|FAIL. Exit code 65\n"
                           "when one differs.",
                .options = table,
                .n_option = sizeof table / sizeof table[0]},
    .run = run_verify_model};
