/* mordal-archive extract: which models, from the command line or from a study. */
#include "archive/archive.h"
#include "archive/extract.h"
#include "archive/extract_settle.h"
#include "core/text.h"
#include "io/clusters_file.h"
#include "io/path.h"
#include "mpi/agree.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const mdl_option_t table[] = {
    {"vision", 0, MDL_OPTION_TEXT, "ARCHIVE.h5", "archive of the vision encoder (required)",
     offsetof(mdl_archive_options_t, vision)},
    {"checkpoint", 0, MDL_OPTION_TEXT, "DIR",
     "the language model: folder with config.json and model.safetensors (required)",
     offsetof(mdl_archive_options_t, checkpoint)},
    {"corpus", 0, MDL_OPTION_TEXT, "CORPUS.h5", "samples tokenised for this model (required)",
     offsetof(mdl_archive_options_t, corpus)},
    {"output", 'o', MDL_OPTION_TEXT, "OUT.h5", "the archive file to make (required)",
     offsetof(mdl_archive_options_t, out)},
    {"model", 0, MDL_OPTION_TEXT, "NAME",
     "name of the language model (default: the name of its folder)",
     offsetof(mdl_archive_options_t, model)},
    {"pooling", 0, MDL_OPTION_CHOICE, "mean|last|all",
     "mean over the scored tokens, the last token, or every position (default: mean)",
     offsetof(mdl_archive_options_t, pooling)},
    {"samples", 0, MDL_OPTION_INT, "N", "the first N evaluation samples (default: 256)",
     offsetof(mdl_archive_options_t, samples)},
    {"warmup", 0, MDL_OPTION_INT, "N",
     "optimiser steps that train the projector before (default: 10)",
     offsetof(mdl_archive_options_t, warmup)},
    {"batch", 0, MDL_OPTION_INT, "N", "samples of one optimiser step (default: 4)",
     offsetof(mdl_archive_options_t, batch)},
    {"learning-rate", 0, MDL_OPTION_DOUBLE, "RATE", "of the first step (default: 1e-4)",
     offsetof(mdl_archive_options_t, learning_rate)},
    {"seed", 0, MDL_OPTION_INT, "N", "of the projector's start and the order (default: 1)",
     offsetof(mdl_archive_options_t, seed)},
    {"backend", 0, MDL_OPTION_CHOICE, "auto|cpu|cuda|strict",
     "where it computes: auto takes GPUs where every rank finds one, strict is for tests (default: "
     "the study's trainer.backend, else cpu)",
     offsetof(mdl_archive_options_t, backend)},
};

static int check_range(const char *option, int64_t value, int64_t least, int64_t most,
                       mdl_error_t *err)
{
    if (value >= least && value <= most)
        return MDL_OK;
    return mdl_fail(err, MDL_E_USAGE, "--%s is %" PRId64 ", it goes from %" PRId64 " to %" PRId64,
                    option, value, least, most);
}

static int check_options(const mdl_stage_t *stage, const mdl_archive_options_t *options,
                         mdl_error_t *err)
{
    int rc;
    if (stage->n_argument > 0)
        return mdl_fail(err, MDL_E_USAGE, "extract takes options alone, '%s' is none",
                        stage->arguments[0]);
    if (options->vision == NULL || options->checkpoint == NULL || options->corpus == NULL ||
        options->out == NULL)
        return mdl_fail(err, MDL_E_USAGE,
                        "extract needs --vision, --checkpoint, --corpus and -o, or --study");
    if (!(options->learning_rate > 0))
        return mdl_fail(err, MDL_E_USAGE, "--learning-rate is %g, it must be positive",
                        options->learning_rate);
    MDL_TRY(check_range("samples", options->samples, 1, INT32_MAX, err));
    MDL_TRY(check_range("warmup", options->warmup, 0, INT32_MAX, err));
    MDL_TRY(check_range("batch", options->batch, 1, 1000000, err));
    rc = check_range("seed", options->seed, 0, INT64_MAX, err);
done:
    return rc;
}

static int extract_by_hand(mdl_stage_t *stage, const mdl_archive_options_t *options,
                           mdl_error_t *err)
{
    const mdl_backend_t *backend;
    mdl_archive_tally_t tally = {0};
    char *name = NULL;
    int rc;
    MDL_TRY(check_options(stage, options, err));
    MDL_TRY(mdl_archive_choose_backend(stage, options, NULL, &backend, err));
    name = options->model != NULL ? mdl_text("%s", options->model)
                                  : mdl_text_base_name(options->checkpoint);
    if (name == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory for a name"));
    mdl_extract_language_t language = {.model = name,
                                       .checkpoint = options->checkpoint,
                                       .corpus_path = options->corpus,
                                       .backend = backend};
    const mdl_extract_t extract = {
        .vision = options->vision,
        .out = options->out,
        .pooling = options->pooling,
        .samples = options->samples,
        .warmup = options->warmup,
        .anew = stage->force,
        .settings = {.epochs = 1,
                     .batch = options->batch,
                     .optimiser = {.learning_rate = options->learning_rate,
                                   .beta1 = 0.9,
                                   .beta2 = 0.999,
                                   .epsilon = 1e-8},
                     .seed = (uint64_t)options->seed}};
    rc = mdl_extract_states(stage, &language, &extract, &tally, err);
    mdl_extract_release(&language);
done:
    free(name);
    return rc;
}

static int extract_pair(mdl_stage_t *stage, const mdl_study_t *study,
                        mdl_extract_language_t *language, const char *vision,
                        mdl_archive_tally_t *tally, mdl_error_t *err)
{
    char *archive = mdl_study_path(study, "archive/vision/%s.h5", vision);
    char *out = mdl_study_path(study, "archive/language/%s/%s.h5", vision, language->model);
    int rc;
    if (archive == NULL || out == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory for a path"));
    const mdl_extract_t extract = {.vision = archive,
                                   .out = out,
                                   .pooling = study->clusters.pooling,
                                   .samples = study->clusters.samples,
                                   .warmup = study->clusters.warmup_rounds,
                                   .anew = stage->force,
                                   .settings = mdl_training_settings(study)};
    rc = mdl_extract_states(stage, language, &extract, tally, err);
done:
    free(archive);
    free(out);
    return rc;
}

static int extract_pairs(mdl_stage_t *stage, const mdl_study_t *study, const mdl_backend_t *backend,
                         const mdl_clusters_t *clusters, mdl_error_t *err)
{
    mdl_archive_tally_t tally = {0};
    int rc = MDL_OK;
    for (unsigned i = 0; rc == MDL_OK && i < study->zoo.n_language; i++) {
        const mdl_study_language_t *entry = &study->zoo.language[i];
        mdl_extract_language_t language = {.model = entry->name,
                                           .checkpoint = entry->checkpoint,
                                           .corpus_path = entry->corpus,
                                           .backend = backend,
                                           .n_shard =
                                               mdl_extract_n_shard(study, backend, stage->n_rank)};
        for (int64_t c = 0; rc == MDL_OK && c < clusters->n_cluster; c++)
            rc = extract_pair(stage, study, &language, clusters->models[clusters->medoid[c]],
                              &tally, err);
        mdl_extract_release(&language);
    }
    if (rc == MDL_OK && !stage->dry_run)
        mdl_archive_log_tally(&tally, "archive/language");
    return rc;
}

/* Before the vision clusters are there, a plan can only tell what is the most. */
static void print_bound(const mdl_stage_t *stage, const mdl_study_t *study)
{
    if (stage->rank == 0)
        printf("archive/language: the vision clusters are not known yet; at most %u x %u files of "
               "%" PRId64 " rows\n",
               study->zoo.n_vision, study->zoo.n_language, study->clusters.samples);
}

static int extract_study(mdl_stage_t *stage, const mdl_archive_options_t *options, mdl_error_t *err)
{
    static const char advice[] = "run mordal-cluster --side vision first";
    const mdl_backend_t *backend;
    mdl_study_t *study = NULL;
    mdl_clusters_t clusters = {0};
    char *path = NULL;
    int rc;
    MDL_TRY(mdl_stage_open_study(stage, &study));
    path = mdl_study_path(study, "clusters/vision.h5");
    if (path == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory for a path"));
    rc = mdl_path_check_readable(path, advice, !stage->dry_run, err);
    if (rc == MDL_E_MISSING && stage->dry_run) {
        print_bound(stage, study);
        rc = MDL_OK;
        goto done;
    }
    if (rc == MDL_OK)
        rc = mdl_clusters_read(path, &clusters, err);
    MDL_TRY(mdl_agree(stage->comm, rc, err));
    MDL_TRY(mdl_archive_choose_backend(stage, options, study, &backend, err));
    if (strcmp(study->similarity.stop, "clusters") == 0)
        rc = mdl_extract_settle(stage, study, backend, &clusters, err);
    else
        rc = extract_pairs(stage, study, backend, &clusters, err);
done:
    mdl_clusters_free(&clusters);
    free(path);
    mdl_study_free(study);
    return rc;
}

static int run(mdl_stage_t *stage, const mdl_archive_options_t *options, mdl_error_t *err)
{
    return stage->study_path != NULL ? extract_study(stage, options, err)
                                     : extract_by_hand(stage, options, err);
}

const mdl_archive_command_t mdl_archive_extract = {
    .name = "extract",
    .command = {.program = "mordal-archive extract",
                .usage = "--vision ARCHIVE.h5 --checkpoint DIR --corpus CORPUS.h5 -o OUT.h5 "
                         "[OPTION...]",
                .summary =
                    "Archives the last hidden states of a language model on a corpus, given the\n"
                    "features of a vision encoder through a projector that was trained for a few\n"
                    "steps. With --study, for the medoid of each vision cluster and each language\n"
                    "model.",
                .options = table,
                .n_option = sizeof table / sizeof table[0]},
    .run = run};
