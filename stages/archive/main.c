#include "archive/archive.h"
#include "core/text.h"

#include <string.h>

static const mdl_archive_command_t *const commands[] = {
    &mdl_archive_import, &mdl_archive_extract,      &mdl_archive_extract_vision, &mdl_archive_ls,
    &mdl_archive_verify, &mdl_archive_verify_model, &mdl_archive_export};
enum { N_COMMAND = sizeof commands / sizeof commands[0] };

static const mdl_command_t overview = {
    .program = "mordal-archive",
    .usage = "COMMAND [OPTION...]; mordal-archive COMMAND --help",
    .summary = "The activations of models, one archive file (HDF5) a model. COMMAND is one of\n"
               "  import   from .npy, .safetensors and .h5 files\n"
               "  extract  the last hidden states of a language model\n"
               "  extract-vision  the features of a vision encoder on images\n"
               "  ls       list archive files\n"
               "  verify   check every digest of archive files\n"
               "  verify-model  compare a model's results with a reference\n"
               "  export   write an archive file as .npy"};

static const mdl_archive_command_t *find_command(const char *name)
{
    for (int i = 0; i < N_COMMAND; i++)
        if (strcmp(name, commands[i]->name) == 0)
            return commands[i];
    return NULL;
}

static int unknown_command(mdl_stage_t *stage)
{
    const char *names[N_COMMAND];
    for (int i = 0; i < N_COMMAND; i++)
        names[i] = commands[i]->name;
    if (stage->n_argument == 0)
        return mdl_fail(&stage->err, MDL_E_USAGE, "no command is given; see mordal-archive --help");
    const char *nearest = mdl_text_nearest(stage->arguments[0], names, N_COMMAND);
    if (nearest != NULL)
        return mdl_fail(&stage->err, MDL_E_USAGE, "unknown command '%s'; did you mean %s?",
                        stage->arguments[0], nearest);
    return mdl_fail(&stage->err, MDL_E_USAGE,
                    "unknown command '%s'; mordal-archive --help lists the commands",
                    stage->arguments[0]);
}

int main(int argc, char **argv)
{
    mdl_archive_options_t options = {.label = "imported activations",
                                     .encoding = "keep",
                                     .pooling = "mean",
                                     .samples = 256,
                                     .warmup = 10,
                                     .batch = 4,
                                     .learning_rate = 1e-4,
                                     .seed = 1};
    const mdl_archive_command_t *command = argc > 1 ? find_command(argv[1]) : NULL;
    mdl_stage_t stage;
    int rc;
    if (command != NULL) {
        rc = mdl_stage_begin(&stage, &command->command, argc - 1, argv + 1, &options);
        if (rc == MDL_OK)
            rc = command->run(&stage, &options, &stage.err);
    } else {
        rc = mdl_stage_begin(&stage, &overview, argc, argv, NULL);
        if (rc == MDL_OK)
            rc = unknown_command(&stage);
    }
    return mdl_stage_end(&stage, rc);
}
