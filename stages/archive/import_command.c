/* mordal-archive import: which arrays, from the command line or from a study. */
#include "archive/archive.h"
#include "archive/extract_vision.h"
#include "archive/import.h"
#include "core/text.h"

#include <stdlib.h>
#include <string.h>

static const mdl_option_t table[] = {
    {"side", 0, MDL_OPTION_CHOICE, "vision|language", "which side the models are on (required)",
     offsetof(mdl_archive_options_t, side)},
    {"output", 'o', MDL_OPTION_TEXT, "DIR", "folder for the archive files NAME.h5 (required)",
     offsetof(mdl_archive_options_t, out)},
    {"rows", 0, MDL_OPTION_TEXT, "IDS.txt",
     "sample ids, one a line, in the order of the rows (default: row numbers from 0)",
     offsetof(mdl_archive_options_t, rows)},
    {"label", 0, MDL_OPTION_TEXT, "TEXT",
     "what the rows are, such as 'CLS token' (default: imported activations)",
     offsetof(mdl_archive_options_t, label)},
    {"encoding", 0, MDL_OPTION_CHOICE, "keep|float16|bfloat16|float32|float64",
     "how the numbers are stored (default: keep, as in the source)",
     offsetof(mdl_archive_options_t, encoding)},
};

static const char name_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

static int check_name(const char *word, size_t length, mdl_error_t *err)
{
    if (length > 0 && word[length] == '=' && strspn(word, name_letters) == length &&
        word[0] != '.' && length <= 100)
        return MDL_OK;
    return mdl_fail(err, MDL_E_USAGE,
                    "'%s': expected NAME=FILE, with NAME of letters, digits, dot, dash and "
                    "underscore",
                    word);
}

static int import_word(mdl_stage_t *stage, const mdl_archive_options_t *options, const char *word,
                       mdl_error_t *err)
{
    mdl_archive_tally_t tally = {0};
    size_t length = strcspn(word, "=");
    char *model = NULL, *out = NULL;
    int rc;
    model = mdl_text("%.*s", (int)length, word);
    out = mdl_text("%s/%.*s.h5", options->out, (int)length, word);
    if (model == NULL || out == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory for the name %s", word));
    const mdl_import_t import = {.model = model,
                                 .spec = word + length + 1,
                                 .side = options->side,
                                 .rows = options->rows,
                                 .label = options->label,
                                 .encoding = options->encoding,
                                 .out = out};
    rc = mdl_import_array(stage, &import, &tally, err);
done:
    free(model);
    free(out);
    return rc;
}

static int check_words(mdl_stage_t *stage, const mdl_archive_options_t *options, mdl_error_t *err)
{
    if (stage->n_argument == 0)
        return mdl_fail(err, MDL_E_USAGE,
                        "nothing to import: give NAME=FILE ..., or --study STUDY.yaml");
    if (options->side == NULL || options->out == NULL)
        return mdl_fail(err, MDL_E_USAGE, "import needs --side vision|language and -o DIR");
    for (int i = 0; i < stage->n_argument; i++) {
        size_t length = strcspn(stage->arguments[i], "=");
        int rc = check_name(stage->arguments[i], length, err);
        if (rc != MDL_OK)
            return rc;
        for (int j = 0; j < i; j++)
            if (strncmp(stage->arguments[i], stage->arguments[j], length + 1) == 0)
                return mdl_fail(err, MDL_E_USAGE, "model %.*s is given twice", (int)length,
                                stage->arguments[i]);
    }
    return MDL_OK;
}

static int import_vision(mdl_stage_t *stage, const mdl_study_t *study,
                         const mdl_study_vision_t *vision, const mdl_backend_t *backend,
                         mdl_image_source_t *images, mdl_archive_tally_t *tally, mdl_error_t *err)
{
    char *out = mdl_study_path(study, "archive/vision/%s.h5", vision->name);
    int rc;
    if (out == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    if (vision->checkpoint != NULL) {
        if (images->path == NULL)
            MDL_TRY(mdl_image_source_open(stage->comm, study->zoo.images, images, err));
        const mdl_extract_vision_t extract = {.model = vision->name,
                                              .checkpoint = vision->checkpoint,
                                              .backend = backend,
                                              .images = images,
                                              .layer = vision->layer,
                                              .pooling = vision->pooling != NULL ? vision->pooling
                                                                                 : "mean",
                                              .out = out};
        rc = mdl_extract_features(stage, &extract, tally, err);
    } else {
        const mdl_import_t import = {.model = vision->name,
                                     .spec = vision->activations,
                                     .side = "vision",
                                     .rows = study->zoo.sample_ids,
                                     .label = "vision features",
                                     .encoding = "keep",
                                     .out = out};
        rc = mdl_import_array(stage, &import, tally, err);
    }
done:
    free(out);
    return rc;
}

static int has_checkpoint(const mdl_study_t *study)
{
    for (unsigned i = 0; i < study->zoo.n_vision; i++)
        if (study->zoo.vision[i].checkpoint != NULL)
            return 1;
    return 0;
}

static int import_study(mdl_stage_t *stage, const mdl_archive_options_t *options, mdl_error_t *err)
{
    const mdl_backend_t *backend = mdl_backend_cpu();
    mdl_archive_tally_t tally = {0};
    mdl_study_t *study = NULL;
    mdl_image_source_t images = {0};
    int rc = mdl_stage_open_study(stage, &study);
    if (rc == MDL_OK && has_checkpoint(study))
        rc = mdl_archive_choose_backend(stage, options, study, &backend, err);
    for (unsigned i = 0; rc == MDL_OK && i < study->zoo.n_vision; i++)
        rc = import_vision(stage, study, &study->zoo.vision[i], backend, &images, &tally, err);
    if (rc == MDL_OK && !stage->dry_run)
        mdl_archive_log_tally(&tally, "archive/vision");
    mdl_image_source_free(&images);
    mdl_study_free(study);
    return rc;
}

static int run(mdl_stage_t *stage, const mdl_archive_options_t *options, mdl_error_t *err)
{
    if (stage->study_path != NULL) {
        if (stage->n_argument > 0)
            return mdl_fail(err, MDL_E_USAGE,
                            "give either --study or NAME=FILE ..., not both ('%s')",
                            stage->arguments[0]);
        return import_study(stage, options, err);
    }
    int rc = check_words(stage, options, err);
    for (int i = 0; rc == MDL_OK && i < stage->n_argument; i++)
        rc = import_word(stage, options, stage->arguments[i], err);
    return rc;
}

const mdl_archive_command_t mdl_archive_import = {
    .name = "import",
    .command = {.program = "mordal-archive import",
                .usage = "NAME=FILE[#ARRAY]... --side vision|language -o DIR [OPTION...]",
                .summary =
                    "Archives the activations of model NAME from FILE: .npy, .safetensors with\n"
                    "its tensor after #, .h5 with its dataset after #. Rows are samples. With\n"
                    "--study, every vision encoder of the study that is not archived yet; those\n"
                    "with a checkpoint are run on the study's images, as extract-vision does.",
                .options = table,
                .n_option = sizeof table / sizeof table[0]},
    .run = run};
