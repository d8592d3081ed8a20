#include "cka/cka.h"

#include "cka/job.h"
#include "core/log.h"
#include "io/clusters_file.h"
#include "mpi/agree.h"
#include "similarity/settings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const mdl_cka_options_t mdl_cka_defaults = {.measure = "cka",
                                            .estimator = "minibatch",
                                            .kernel = "linear",
                                            .route = "auto",
                                            .precision = "auto",
                                            .rows = "all",
                                            .stop = "none",
                                            .linkage = "average",
                                            .batch = 64,
                                            .seed = 1,
                                            .sigma = 1,
                                            .alpha = 0.05,
                                            .threshold = NAN};

#define AT(field) offsetof(mdl_cka_options_t, field)
static const mdl_option_t table[] = {
    {"measure", 0, MDL_OPTION_CHOICE, "cka|svcca|procrustes|pwcca",
     "of similarity: CKA (default), or another over all rows by ScaLAPACK", AT(measure)},
    {"grid", 0, MDL_OPTION_TEXT, "PxQ",
     "ranks down and across of ScaLAPACK's grid (default all, nearly square)", AT(grid)},
    {"estimator", 0, MDL_OPTION_CHOICE, "biased|unbiased|minibatch",
     "of HSIC: over all rows at once or by batches (default minibatch)", AT(estimator)},
    {"batch", 0, MDL_OPTION_INT, "N", "rows a batch of minibatch, at least 4 (default 64)",
     AT(batch)},
    {"kernel", 0, MDL_OPTION_CHOICE, "linear|rbf", "kernel of the Gram matrices (default linear)",
     AT(kernel)},
    {"sigma", 0, MDL_OPTION_DOUBLE, "S",
     "RBF bandwidth in units of each model's median distance (default 1)", AT(sigma)},
    {"route", 0, MDL_OPTION_CHOICE, "auto|minibatch|gram|feature",
     "how: by what costs least (auto, the default), batches, Gram tiles, covariance blocks",
     AT(route)},
    {"precision", 0, MDL_OPTION_CHOICE, "auto|float32|float64|bfloat16",
     "of products; sums are double (default float32 unless an archive is float64)", AT(precision)},
    {"backend", 0, MDL_OPTION_CHOICE, "auto|cpu|cuda",
     "where CKA is computed: cpu (default), GPUs, or GPUs where every rank has one (auto)",
     AT(backend)},
    {"rows", 0, MDL_OPTION_CHOICE, "all|common",
     "samples that a file lacks: refuse (all, the default) or leave out (common)", AT(rows)},
    {"stop", 0, MDL_OPTION_CHOICE, "none|clusters",
     "clusters: read batches in random order until the clusters are settled (default none)",
     AT(stop)},
    {"alpha", 0, MDL_OPTION_DOUBLE, "A",
     "--stop clusters: the chance of stopping with other clusters (default 0.05)", AT(alpha)},
    {"threshold", 0, MDL_OPTION_DOUBLE, "T",
     "--stop clusters: the clusters' similarity (default 0.7, language 0.8)", AT(threshold)},
    {"linkage", 0, MDL_OPTION_CHOICE, "average|complete|single",
     "--stop clusters: the clusters' linkage (default average)", AT(linkage)},
    {"seed", 0, MDL_OPTION_INT, "N", "--stop clusters: start of the random order (default 1)",
     AT(seed)},
    {"gram-cache", 0, MDL_OPTION_TEXT, "DIR",
     "keep each model's Gram matrices there, and use those that are there", AT(gram_cache)},
    {"output", 'o', MDL_OPTION_TEXT, "OUT.h5", "the similarity file to write", AT(output)},
    {"side", 0, MDL_OPTION_CHOICE, "vision|language", "with --study: which models to compare",
     AT(side)},
};

const mdl_command_t mdl_cka_command = {
    .program = "mordal-cka",
    .usage = "[OPTION...] -o OUT.h5 FILE.h5...\n       mordal-cka --study STUDY.yaml --side SIDE",
    .summary = "Computes the centred kernel alignment (CKA) of every pair of models from their\n"
               "archived activations, matching rows by sample id.",
    .options = table,
    .n_option = sizeof table / sizeof table[0],
};

/* A plan can be made before the archives are there; it then says what it waits for. */
static int lacks_inputs(const mdl_cka_job_t *job)
{
    int missing = 0;
    for (int i = 0; i < job->n_path && !missing; i++) {
        missing = access(job->paths[i], F_OK) != 0;
        if (missing && job->stage->rank == 0)
            printf("%s: %d models, waits for %s (mordal-archive)\n", job->output, job->n_path,
                   job->paths[i]);
    }
    MPI_Bcast(&missing, 1, MPI_INT, 0, job->stage->comm);
    return missing;
}

/* Compares the vision encoders, or the language models as seen through medoid. */
static int compare_of_study(mdl_cka_job_t *job, const mdl_study_t *study, const char *medoid,
                            mdl_error_t *err)
{
    int n = (int)(medoid == NULL ? study->zoo.n_vision : study->zoo.n_language);
    char **paths = NULL, *grams = NULL;
    char *output = medoid == NULL ? mdl_study_path(study, "cka/vision.h5")
                                  : mdl_study_path(study, "cka/language-%s.h5", medoid);
    int rc = mdl_alloc(&paths, (size_t)n, sizeof *paths, "paths", err);
    int complete = rc == MDL_OK && output != NULL;
    if (complete && study->similarity.gram_cache) {
        grams = medoid == NULL ? mdl_study_path(study, "cka/grams/vision")
                               : mdl_study_path(study, "cka/grams/language/%s", medoid);
        complete = grams != NULL;
    }
    for (int i = 0; complete && i < n; i++) {
        paths[i] = medoid == NULL
                       ? mdl_study_path(study, "archive/vision/%s.h5", study->zoo.vision[i].name)
                       : mdl_study_path(study, "archive/language/%s/%s.h5", medoid,
                                        study->zoo.language[i].name);
        complete = paths[i] != NULL;
    }
    if (rc == MDL_OK && !complete)
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for the paths of the study");
    MDL_TRY(mdl_agree(job->stage->comm, rc, err));
    job->paths = (const char *const *)paths;
    job->n_path = n;
    job->output = output;
    job->gram_cache = grams;
    if (n == 1)
        mdl_log(
            MDL_LOG_WARN,
            "the zoo has one model on the %s side, %s: there is nothing to compare it with, and "
            "it is a cluster of its own",
            medoid == NULL ? "vision" : "language",
            medoid == NULL ? study->zoo.vision[0].name : study->zoo.language[0].name);
    if (!job->stage->dry_run || !lacks_inputs(job))
        rc = mdl_cka_compare(job, err);
done:
    for (int i = 0; paths != NULL && i < n; i++)
        free(paths[i]);
    free(paths);
    free(output);
    free(grams);
    return rc;
}

/* The language models once for each vision medoid. */
static int compare_languages(mdl_cka_job_t *job, const mdl_study_t *study, mdl_error_t *err)
{
    mdl_clusters_t vision = {0};
    char *path = mdl_study_path(study, "clusters/vision.h5");
    int rc = path == NULL ? mdl_fail(err, MDL_E_MEMORY, "out of memory for a path") : MDL_OK;
    int waits = job->stage->dry_run && path != NULL && access(path, F_OK) != 0;
    MPI_Bcast(&waits, 1, MPI_INT, 0, job->stage->comm);
    if (waits && job->stage->rank == 0)
        printf("cka of the language side: waits for %s (mordal-cluster)\n", path);
    if (rc == MDL_OK && !waits)
        rc = mdl_clusters_read(path, &vision, err);
    MDL_TRY(mdl_agree(job->stage->comm, rc, err));
    for (int64_t k = 0; k < vision.n_cluster; k++)
        MDL_TRY(compare_of_study(job, study, vision.models[vision.medoid[k]], err));
done:
    mdl_clusters_free(&vision);
    free(path);
    return rc;
}

static int read_measure(const mdl_cka_options_t *options, mdl_measure_settings_t *measure,
                        mdl_error_t *err)
{
    mdl_measure_find(options->measure, &measure->measure);
    return mdl_measure_read_grid(options->grid, measure, err);
}

static int run_study(mdl_stage_t *stage, const mdl_cka_options_t *options, mdl_error_t *err)
{
    mdl_study_t *study = NULL;
    mdl_cka_job_t job = {.stage = stage,
                         .route = options->route,
                         .precision = options->precision,
                         .common = strcmp(options->rows, "common") == 0};
    int rc;
    if (options->side == NULL || options->output != NULL || stage->n_argument > 0)
        return mdl_fail(err, MDL_E_USAGE,
                        "with --study, give --side vision or --side language and neither -o nor "
                        "files: the study knows them");
    MDL_TRY(mdl_stage_open_study(stage, &study));
    MDL_TRY(read_measure(options, &job.measure, err));
    mdl_cka_settings_of_study(study, options->side, &job.settings, &job.stopping);
    job.settings.sigma = options->sigma;
    job.stop = study->similarity.stop;
    job.backend = options->backend != NULL ? options->backend : study->similarity.backend;
    rc = strcmp(options->side, "vision") == 0 ? compare_of_study(&job, study, NULL, err)
                                              : compare_languages(&job, study, err);
done:
    mdl_study_free(study);
    return rc;
}

int mdl_cka_run(mdl_stage_t *stage, const mdl_cka_options_t *options, mdl_error_t *err)
{
    if (stage->study_path != NULL)
        return run_study(stage, options, err);
    if (options->output == NULL)
        return mdl_fail(err, MDL_E_USAGE, "no output: give -o OUT.h5 (or --study STUDY.yaml)");
    if (stage->n_argument < 2)
        return mdl_fail(err, stage->n_argument == 0 ? MDL_E_USAGE : MDL_E_INPUT,
                        "%s: CKA compares models; give the archive files of at least two",
                        stage->n_argument == 0 ? "no input" : "one file");
    mdl_cka_job_t job = {.stage = stage,
                         .settings = mdl_cka_settings_named(options->estimator, options->kernel,
                                                            options->batch, options->sigma),
                         .route = options->route,
                         .precision = options->precision,
                         .backend = options->backend != NULL ? options->backend : "cpu",
                         .stop = options->stop,
                         .stopping = {.cut = {.linkage = mdl_linkage_named(options->linkage),
                                              .threshold = options->threshold},
                                      .alpha = options->alpha,
                                      .seed = (uint64_t)options->seed},
                         .gram_cache = options->gram_cache,
                         .common = strcmp(options->rows, "common") == 0,
                         .paths = (const char *const *)stage->arguments,
                         .n_path = stage->n_argument,
                         .output = options->output};
    int rc = read_measure(options, &job.measure, err);
    return rc == MDL_OK ? mdl_cka_compare(&job, err) : rc;
}
