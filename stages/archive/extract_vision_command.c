/* mordal-archive extract-vision: which encoder, on which images. */
#include "archive/extract_vision.h"
#include "core/text.h"

#include <stdlib.h>

static const mdl_option_t table[] = {
    {"checkpoint", 0, MDL_OPTION_TEXT, "DIR",
     "the encoder: folder with config.json, preprocessor_config.json and model.safetensors "
     "(required)",
     offsetof(mdl_archive_options_t, checkpoint)},
    {"images", 0, MDL_OPTION_TEXT, "FOLDER|FILE.h5",
     "the .png, .jpg and .jpeg files of a folder, a row being called as its file less the ending, "
     "or an HDF5 file with /image and /sample_id (required)",
     offsetof(mdl_archive_options_t, images)},
    {"output", 'o', MDL_OPTION_TEXT, "OUT.h5", "the archive file to make (required)",
     offsetof(mdl_archive_options_t, out)},
    {"model", 0, MDL_OPTION_TEXT, "NAME", "name of the encoder (default: the name of its folder)",
     offsetof(mdl_archive_options_t, model)},
    {"layer", 0, MDL_OPTION_INT, "L",
     "the output of block (stage of ConvNeXt) L, from 1; -1 is the last, -2 the one before "
     "(default: -2, of ConvNeXt -1)",
     offsetof(mdl_archive_options_t, layer)},
    {"pooling", 0, MDL_OPTION_CHOICE, "mean|cls|patches",
     "mean over the patches, the class token, or every patch (default: mean)",
     offsetof(mdl_archive_options_t, pooling)},
    {"backend", 0, MDL_OPTION_CHOICE, "auto|cpu|cuda|strict",
     "where it computes: auto takes GPUs where every rank finds one, strict is for tests (default: "
     "cpu)",
     offsetof(mdl_archive_options_t, backend)},
};

static int run(mdl_stage_t *stage, const mdl_archive_options_t *options, mdl_error_t *err)
{
    const mdl_backend_t *backend;
    mdl_image_source_t images = {0};
    mdl_archive_tally_t tally = {0};
    char *model = NULL;
    int rc;
    if (stage->n_argument > 0)
        return mdl_fail(err, MDL_E_USAGE, "extract-vision takes options alone, '%s' is none",
                        stage->arguments[0]);
    if (options->checkpoint == NULL || options->images == NULL || options->out == NULL)
        return mdl_fail(err, MDL_E_USAGE, "extract-vision needs --checkpoint, --images and -o");
    model = options->model != NULL ? mdl_text("%s", options->model)
                                   : mdl_text_base_name(options->checkpoint);
    if (model == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory for a name"));
    MDL_TRY(mdl_archive_choose_backend(stage, options, NULL, &backend, err));
    MDL_TRY(mdl_image_source_open(stage->comm, options->images, &images, err));
    const mdl_extract_vision_t extract = {.model = model,
                                          .checkpoint = options->checkpoint,
                                          .backend = backend,
                                          .images = &images,
                                          .layer = options->layer,
                                          .pooling = options->pooling,
                                          .out = options->out};
    rc = mdl_extract_features(stage, &extract, &tally, err);
done:
    mdl_image_source_free(&images);
    free(model);
    return rc;
}

const mdl_archive_command_t mdl_archive_extract_vision = {
    .name = "extract-vision",
    .command = {.program = "mordal-archive extract-vision",
                .usage = "--checkpoint DIR --images FOLDER|FILE.h5 -o OUT.h5 [OPTION...]",
                .summary = "Archives the features of a vision encoder on images, resized, cropped\n"
                           "and normalised as the encoder's folder says. A run that is stopped or\n"
                           "killed goes on when it is started again.",
                .options = table,
                .n_option = sizeof table / sizeof table[0]},
    .run = run};
