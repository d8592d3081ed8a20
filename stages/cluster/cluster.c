#include "cluster/cluster.h"

#include "cluster/group.h"
#include "cluster/print.h"
#include "core/log.h"
#include "core/text.h"
#include "mpi/agree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const mdl_cluster_options_t mdl_cluster_defaults = {.linkage = "average", .threshold = NAN};

#define AT(field) offsetof(mdl_cluster_options_t, field)
static const mdl_option_t table[] = {
    {"threshold", 0, MDL_OPTION_DOUBLE, "T",
     "similarity from which models share a cluster (default 0.7, language 0.8)", AT(threshold)},
    {"linkage", 0, MDL_OPTION_CHOICE, "average|complete|single",
     "distance between clusters (default average)", AT(linkage)},
    {"output", 'o', MDL_OPTION_TEXT, "OUT.h5", "the file to write", AT(output)},
    {"vision", 0, MDL_OPTION_TEXT, "CLUSTERS.h5",
     "join these vision clusters with the language clusters VE=FILE of each medoid VE", AT(vision)},
    {"side", 0, MDL_OPTION_CHOICE, "vision|language", "with --study: which models to cluster",
     AT(side)},
};

const mdl_command_t mdl_cluster_command = {
    .program = "mordal-cluster",
    .usage = "[OPTION...] -o OUT.h5 CKA.h5\n"
             "       mordal-cluster --vision CLUSTERS.h5 -o CANDIDATES.h5 VE=CLUSTERS.h5...\n"
             "       mordal-cluster --study STUDY.yaml --side SIDE",
    .summary = "Groups models by similarity and names the medoid of each cluster. With --vision,\n"
               "joins the clusters of both sides to candidate clusters.",
    .options = table,
    .n_option = sizeof table / sizeof table[0],
};

/* Whether the result at path is there and current; logs why it is made again. */
static int is_current(const mdl_stage_t *stage, const char *path,
                      const mdl_provenance_t *provenance)
{
    char why[256];
    if (stage->force)
        return 0;
    if (mdl_result_is_current(path, provenance, why)) {
        mdl_log(MDL_LOG_INFO, "up to date: %s", path);
        return 1;
    }
    if (access(path, F_OK) == 0)
        mdl_log(MDL_LOG_INFO, "running again for %s: %s", path, why);
    return 0;
}

static void warn_of_undefined(const char *input, const mdl_similarity_t *s)
{
    for (int64_t i = 0; i < s->n_model; i++)
        if (s->status[i * (s->n_model + 1)] != MDL_SIMILARITY_DEFINED)
            mdl_log(MDL_LOG_WARN,
                    "%s: the similarity of %s with all others is undefined (%s): it is made a "
                    "cluster of its own; leave it out, or make its activations again",
                    input, s->models[i], mdl_similarity_why(s->status[i * (s->n_model + 1)]));
}

/* Clusters input into output, or prints the clusters that output holds already. Rank 0 alone. */
static int cluster_file(mdl_stage_t *stage, const char *input, const char *output,
                        const char *linkage, double threshold, mdl_error_t *err)
{
    mdl_similarity_t similarity = {0};
    mdl_clusters_t clusters = {0};
    mdl_provenance_t provenance = {.schema = MDL_CLUSTERS_SCHEMA, .version = MDL_CLUSTERS_VERSION};
    char *configuration = NULL;
    int rc;
    MDL_TRY(mdl_similarity_read(input, &similarity, err));
    if (similarity.n_available > 0 && !similarity.decided)
        mdl_log(MDL_LOG_WARN,
                "%s: all %lld samples left the clusters undecided; others may give other clusters",
                input, (long long)similarity.n_sample);
    warn_of_undefined(input, &similarity);
    if (isnan(threshold))
        threshold = strcmp(similarity.side, "language") == 0 ? 0.8 : 0.7;
    configuration = mdl_text("linkage=%s\nthreshold=%.15g\n", linkage, threshold);
    provenance.configuration = configuration;
    if (configuration == NULL) {
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for the settings' text");
        goto done;
    }
    MDL_TRY(mdl_result_inputs_digest(&input, 1, provenance.inputs_digest, err));
    MDL_TRY(mdl_group_clusters(&similarity, linkage, threshold, &clusters, err));
    if (!is_current(stage, output, &provenance))
        MDL_TRY(mdl_clusters_write(output, &provenance, &clusters, err));
    mdl_print_clusters(stdout, output, &clusters);
    rc = mdl_print_dendrogram(stdout, &clusters, err);
done:
    mdl_group_clusters_free(&clusters);
    mdl_similarity_free(&similarity);
    free(configuration);
    return rc;
}

/* Reads the language clusters of every vision medoid; paths: [n_cluster]. */
static int read_languages(const char *const *paths, int64_t n_cluster, mdl_clusters_t *language,
                          mdl_error_t *err)
{
    for (int64_t k = 0; k < n_cluster; k++) {
        int rc = mdl_clusters_read(paths[k], &language[k], err);
        if (rc != MDL_OK)
            return rc;
        if (strcmp(language[k].side, "vision") == 0)
            return mdl_fail(err, MDL_E_INPUT,
                            "%s: these are vision clusters; language clusters are expected here",
                            paths[k]);
    }
    return MDL_OK;
}

/* Joins vision with the language clusters at paths: [vision->n_cluster] into output. Rank 0. */
static int join_files(mdl_stage_t *stage, const char *vision_path, const mdl_clusters_t *vision,
                      const char *const *paths, const char *output, mdl_error_t *err)
{
    size_t n = (size_t)vision->n_cluster;
    mdl_candidates_t candidates = {0};
    mdl_clusters_t *language = NULL;
    const char **inputs = NULL;
    mdl_provenance_t provenance = {
        .schema = MDL_CANDIDATES_SCHEMA, .version = MDL_CANDIDATES_VERSION, .configuration = ""};
    int rc;
    MDL_TRY(mdl_alloc(&language, n, sizeof *language, "language clusters", err));
    MDL_TRY(mdl_alloc(&inputs, n + 1, sizeof *inputs, "paths", err));
    inputs[0] = vision_path;
    memcpy(inputs + 1, paths, n * sizeof *paths);
    MDL_TRY(mdl_result_inputs_digest(inputs, (int)n + 1, provenance.inputs_digest, err));
    MDL_TRY(read_languages(paths, vision->n_cluster, language, err));
    MDL_TRY(mdl_group_candidates(vision, language, &candidates, err));
    if (!is_current(stage, output, &provenance))
        MDL_TRY(mdl_candidates_write(output, &provenance, &candidates, err));
    mdl_print_candidates(stdout, output, &candidates);
done:
    for (size_t k = 0; language != NULL && k < n; k++)
        mdl_clusters_free(&language[k]);
    free(language);
    free(inputs);
    mdl_group_candidates_free(&candidates);
    return rc;
}

/* The path in the argument VE=PATH of that ve, or NULL. */
static const char *path_for(const mdl_stage_t *stage, const char *ve)
{
    size_t length = strlen(ve);
    for (int i = 0; i < stage->n_argument; i++)
        if (strncmp(stage->arguments[i], ve, length) == 0 && stage->arguments[i][length] == '=')
            return stage->arguments[i] + length + 1;
    return NULL;
}

static int join_arguments(mdl_stage_t *stage, const mdl_cluster_options_t *options,
                          mdl_error_t *err)
{
    mdl_clusters_t vision = {0};
    const char **paths = NULL;
    int rc;
    MDL_TRY(mdl_clusters_read(options->vision, &vision, err));
    MDL_TRY(mdl_alloc(&paths, (size_t)vision.n_cluster, sizeof *paths, "paths", err));
    for (int64_t k = 0; k < vision.n_cluster; k++) {
        const char *ve = vision.models[vision.medoid[k]];
        paths[k] = path_for(stage, ve);
        if (paths[k] == NULL) {
            rc = mdl_fail(err, MDL_E_USAGE,
                          "no language clusters for the vision medoid %s: give %s=CLUSTERS.h5", ve,
                          ve);
            goto done;
        }
    }
    if (stage->n_argument != (int)vision.n_cluster)
        rc = mdl_fail(err, MDL_E_USAGE,
                      "%d arguments for %lld vision medoids: give VE=CLUSTERS.h5 once for each",
                      stage->n_argument, (long long)vision.n_cluster);
    else
        rc = join_files(stage, options->vision, &vision, paths, options->output, err);
done:
    free(paths);
    mdl_clusters_free(&vision);
    return rc;
}

static int cluster_side(mdl_stage_t *stage, const mdl_study_t *study, const char *medoid,
                        char **output, mdl_error_t *err)
{
    char *input = medoid == NULL ? mdl_study_path(study, "cka/vision.h5")
                                 : mdl_study_path(study, "cka/language-%s.h5", medoid);
    *output = medoid == NULL ? mdl_study_path(study, "clusters/vision.h5")
                             : mdl_study_path(study, "clusters/language-%s.h5", medoid);
    int rc;
    if (input == NULL || *output == NULL)
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for the paths of the study");
    else
        rc = cluster_file(stage, input, *output, study->clusters.linkage,
                          medoid == NULL ? study->clusters.vision_threshold
                                         : study->clusters.language_threshold,
                          err);
    free(input);
    return rc;
}

static int cluster_languages(mdl_stage_t *stage, const mdl_study_t *study, mdl_error_t *err)
{
    mdl_clusters_t vision = {0};
    char **outputs = NULL;
    char *vision_path = mdl_study_path(study, "clusters/vision.h5");
    char *candidates = mdl_study_path(study, "clusters/candidates.h5");
    int rc;
    if (vision_path == NULL || candidates == NULL) {
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for the paths of the study");
        goto done;
    }
    MDL_TRY(mdl_clusters_read(vision_path, &vision, err));
    MDL_TRY(mdl_alloc(&outputs, (size_t)vision.n_cluster, sizeof *outputs, "paths", err));
    for (int64_t k = 0; k < vision.n_cluster; k++)
        MDL_TRY(cluster_side(stage, study, vision.models[vision.medoid[k]], &outputs[k], err));
    rc = join_files(stage, vision_path, &vision, (const char *const *)outputs, candidates, err);
done:
    for (int64_t k = 0; outputs != NULL && k < vision.n_cluster; k++)
        free(outputs[k]);
    free(outputs);
    free(vision_path);
    free(candidates);
    mdl_clusters_free(&vision);
    return rc;
}

/* Clustering takes no time and little memory: the plan names the files. */
static int print_plan(const char *in, const char *out)
{
    printf("%s from %s: one rank, under a second, under 1 MB\n", out, in);
    return MDL_OK;
}

static int run_side(mdl_stage_t *stage, const mdl_study_t *study, const char *side,
                    mdl_error_t *err)
{
    int vision = strcmp(side, "vision") == 0;
    if (stage->dry_run)
        return vision ? print_plan("cka/vision.h5", "clusters/vision.h5")
                      : print_plan("cka/language-VE.h5 of each vision medoid VE",
                                   "clusters/language-VE.h5 and clusters/candidates.h5");
    if (!vision)
        return cluster_languages(stage, study, err);
    char *output;
    int rc = cluster_side(stage, study, NULL, &output, err);
    free(output);
    return rc;
}

static int run_study(mdl_stage_t *stage, const mdl_cluster_options_t *options, mdl_error_t *err)
{
    mdl_study_t *study = NULL;
    if (options->side == NULL || options->output != NULL || options->vision != NULL ||
        stage->n_argument > 0)
        return mdl_fail(err, MDL_E_USAGE,
                        "with --study, give --side vision or --side language and neither files "
                        "nor their options: the study knows them");
    int rc = mdl_stage_open_study(stage, &study);
    if (rc == MDL_OK)
        rc = mdl_on_root(stage->comm, stage->rank, run_side(stage, study, options->side, err), err);
    mdl_study_free(study);
    return rc;
}

static int run_files(mdl_stage_t *stage, const mdl_cluster_options_t *options, mdl_error_t *err)
{
    if (stage->dry_run)
        return print_plan(options->vision != NULL ? options->vision : stage->arguments[0],
                          options->output);
    if (options->vision != NULL)
        return join_arguments(stage, options, err);
    return cluster_file(stage, stage->arguments[0], options->output, options->linkage,
                        options->threshold, err);
}

int mdl_cluster_run(mdl_stage_t *stage, const mdl_cluster_options_t *options, mdl_error_t *err)
{
    if (stage->study_path != NULL)
        return run_study(stage, options, err);
    if (options->output == NULL)
        return mdl_fail(err, MDL_E_USAGE, "no output: give -o OUT.h5 (or --study STUDY.yaml)");
    if (fabs(options->threshold) > 1)
        return mdl_fail(err, MDL_E_USAGE, "--threshold %g: must be between -1 and 1",
                        options->threshold);
    if (options->vision == NULL && stage->n_argument != 1)
        return mdl_fail(err, MDL_E_USAGE,
                        "give one similarity file, not %d (--vision joins several)",
                        stage->n_argument);
    return mdl_on_root(stage->comm, stage->rank, run_files(stage, options, err), err);
}
