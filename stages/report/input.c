#include "report/input.h"

#include "core/text.h"
#include "io/path.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Rungs are numbered without a gap, so the list ends at the first number that isn't there. */
static const int most_rungs = 64;

static int add_path(char ***paths, int *n_path, char *path, mdl_error_t *err)
{
    char **longer = realloc(*paths, ((size_t)*n_path + 1) * sizeof *longer);
    if (longer != NULL)
        *paths = longer;
    if (longer == NULL || path == NULL) {
        free(path);
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for the paths of the study");
    }
    (*paths)[(*n_path)++] = path;
    return MDL_OK;
}

static int add_language_paths(const mdl_study_t *study, char ***paths, int *n_path,
                              mdl_error_t *err)
{
    mdl_clusters_t clusters = {0};
    char *vision = mdl_study_path(study, "clusters/vision.h5");
    int rc = MDL_OK;
    if (vision == NULL || access(vision, F_OK) != 0)
        goto done;
    MDL_TRY(mdl_clusters_read(vision, &clusters, err));
    for (int64_t c = 0; c < clusters.n_cluster; c++) {
        const char *name = clusters.models[clusters.medoid[c]];
        MDL_TRY(add_path(paths, n_path, mdl_study_path(study, "cka/language-%s.h5", name), err));
        MDL_TRY(
            add_path(paths, n_path, mdl_study_path(study, "clusters/language-%s.h5", name), err));
    }
done:
    mdl_clusters_free(&clusters);
    free(vision);
    return rc;
}

static int add_rung_paths(const mdl_study_t *study, char ***paths, int *n_path, mdl_error_t *err)
{
    for (int rung = 1; rung <= most_rungs; rung++) {
        char *path = mdl_study_path(study, "rungs/rung-%d.h5", rung);
        int last = path != NULL && access(path, F_OK) != 0;
        int rc = add_path(paths, n_path, path, err);
        if (rc != MDL_OK || last)
            return rc;
    }
    return MDL_OK;
}

int mdl_report_paths(const mdl_study_t *study, char ***paths, int *n_path, mdl_error_t *err)
{
    *paths = NULL;
    *n_path = 0;
    int rc;
    MDL_TRY(add_path(paths, n_path, mdl_study_path(study, "cka/vision.h5"), err));
    MDL_TRY(add_path(paths, n_path, mdl_study_path(study, "clusters/vision.h5"), err));
    MDL_TRY(add_language_paths(study, paths, n_path, err));
    MDL_TRY(add_path(paths, n_path, mdl_study_path(study, "clusters/candidates.h5"), err));
    if (!mdl_study_in_rounds(study))
        MDL_TRY(add_rung_paths(study, paths, n_path, err));
    MDL_TRY(add_path(paths, n_path, mdl_study_path(study, "regress/regress.h5"), err));
    MDL_TRY(add_path(paths, n_path, mdl_study_path(study, "regress/final.h5"), err));
done:
    if (rc != MDL_OK)
        mdl_report_paths_free(*paths, *n_path);
    return rc;
}

void mdl_report_paths_free(char **paths, int n_path)
{
    for (int i = 0; i < n_path; i++)
        free(paths[i]);
    free(paths);
}

static int read_provenance(mdl_report_file_t *about, const char *path, mdl_error_t *err)
{
    hid_t file = -1;
    int rc;
    about->path = mdl_text("%s", path);
    MDL_TRY(mdl_h5_open(path, "run the stage that makes it first", &file, err));
    MDL_TRY(mdl_h5_get_text(file, "schema", &about->schema, err));
    MDL_TRY(mdl_h5_get_int(file, "schema_version", &about->version, err));
    MDL_TRY(mdl_h5_get_text(file, "tool_version", &about->tool_version, err));
    MDL_TRY(mdl_h5_get_text(file, "content_digest", &about->content_digest, err));
    MDL_TRY(mdl_h5_get_text(file, "configuration", &about->configuration, err));
done:
    mdl_h5_close(file);
    return rc;
}

static int add_file(mdl_report_input_t *input, const char *path, mdl_error_t *err)
{
    mdl_report_file_t *longer = realloc(input->files, ((size_t)input->n_file + 1) * sizeof *longer);
    if (longer == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for the list of files");
    input->files = longer;
    longer[input->n_file] = (mdl_report_file_t){0};
    return read_provenance(&longer[input->n_file++], path, err);
}

static int said_twice(const char *path, const char *what, mdl_error_t *err)
{
    return mdl_fail(err, MDL_E_INPUT, "%s: an earlier file describes %s, too; name one of them",
                    path, what);
}

/* language-NAME.h5 gives NAME, any other file its own name. */
static char *side_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *start = slash == NULL ? path : slash + 1;
    const char *prefix = "language-";
    if (strncmp(start, prefix, strlen(prefix)) == 0)
        start += strlen(prefix);
    size_t length = strlen(start);
    if (length > 3 && strcmp(start + length - 3, ".h5") == 0)
        length -= 3;
    return mdl_text("%.*s", (int)length, start);
}

static int find_side(mdl_report_input_t *input, const char *side, const char *path,
                     mdl_report_side_t **found, mdl_error_t *err)
{
    *found = &input->vision;
    if (strcmp(side, "language") != 0)
        return MDL_OK;
    char *name = side_name(path);
    for (int i = 0; name != NULL && i < input->n_language; i++) {
        if (strcmp(input->language[i].name, name) == 0) {
            free(name);
            *found = &input->language[i];
            return MDL_OK;
        }
    }
    mdl_report_side_t *longer =
        realloc(input->language, ((size_t)input->n_language + 1) * sizeof *longer);
    if (longer != NULL)
        input->language = longer;
    if (longer == NULL || name == NULL) {
        free(name);
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for %s", path);
    }
    longer[input->n_language] = (mdl_report_side_t){.name = name};
    *found = &longer[input->n_language++];
    return MDL_OK;
}

static int add_similarity(mdl_report_input_t *input, const char *path, mdl_error_t *err)
{
    mdl_similarity_t similarity = {0};
    mdl_report_side_t *side;
    int rc;
    MDL_TRY(mdl_similarity_read(path, &similarity, err));
    MDL_TRY(find_side(input, similarity.side, path, &side, err));
    if (side->has_similarity) {
        rc = said_twice(path, "the similarity of this side", err);
        goto done;
    }
    side->similarity = similarity;
    side->has_similarity = 1;
    return MDL_OK;
done:
    mdl_similarity_free(&similarity);
    return rc;
}

static int add_clusters(mdl_report_input_t *input, const char *path, mdl_error_t *err)
{
    mdl_clusters_t clusters = {0};
    mdl_report_side_t *side;
    int rc;
    MDL_TRY(mdl_clusters_read(path, &clusters, err));
    MDL_TRY(find_side(input, clusters.side, path, &side, err));
    if (side->has_clusters) {
        rc = said_twice(path, "the clusters of this side", err);
        goto done;
    }
    side->clusters = clusters;
    side->has_clusters = 1;
    return MDL_OK;
done:
    mdl_clusters_free(&clusters);
    return rc;
}

static int add_candidates(mdl_report_input_t *input, const char *path, mdl_error_t *err)
{
    if (input->has_candidates)
        return said_twice(path, "the set of candidates", err);
    int rc = mdl_candidates_read(path, &input->candidates, err);
    input->has_candidates = rc == MDL_OK;
    return rc;
}

static int add_rung(mdl_report_input_t *input, const char *path, mdl_error_t *err)
{
    mdl_rung_t *longer = realloc(input->rungs, ((size_t)input->n_rung + 1) * sizeof *longer);
    if (longer == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for %s", path);
    input->rungs = longer;
    longer[input->n_rung] = (mdl_rung_t){0};
    int rc = mdl_rung_read(path, &longer[input->n_rung], err);
    if (rc == MDL_OK)
        input->n_rung++;
    return rc;
}

static int add_regress(mdl_report_input_t *input, const char *path, mdl_error_t *err)
{
    if (input->has_regress)
        return said_twice(path, "the prediction", err);
    int rc = mdl_regress_read(path, &input->regress, err);
    input->has_regress = rc == MDL_OK;
    return rc;
}

static int add_final(mdl_report_input_t *input, const char *path, mdl_error_t *err)
{
    if (input->has_final)
        return said_twice(path, "the measurement at ratio 1", err);
    int rc = mdl_final_read(path, &input->final_candidate, &input->final, err);
    input->has_final = rc == MDL_OK;
    return rc;
}

int mdl_report_input_add(mdl_report_input_t *input, const char *path, mdl_error_t *err)
{
    static const struct {
        const char *schema;
        int (*add)(mdl_report_input_t *, const char *, mdl_error_t *);
    } readers[] = {{"mordal-similarity", add_similarity}, {"mordal-clusters", add_clusters},
                   {"mordal-candidates", add_candidates}, {"mordal-rung", add_rung},
                   {"mordal-regress", add_regress},       {"mordal-final", add_final}};
    int rc = add_file(input, path, err);
    if (rc != MDL_OK)
        return rc;
    const char *schema = input->files[input->n_file - 1].schema;
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++)
        if (strcmp(schema, readers[i].schema) == 0)
            return readers[i].add(input, path, err);
    return mdl_fail(err, MDL_E_INPUT,
                    "%s: has the schema %.64s, which no report is made from; leave it out", path,
                    schema);
}

static int check_side(const mdl_report_side_t *side, mdl_error_t *err)
{
    if (!side->has_similarity || !side->has_clusters)
        return MDL_OK;
    int same = side->similarity.n_model == side->clusters.n_model;
    for (int64_t i = 0; same && i < side->clusters.n_model; i++)
        same = strcmp(side->similarity.models[i], side->clusters.models[i]) == 0;
    if (same)
        return MDL_OK;
    return mdl_fail(err, MDL_E_INPUT,
                    "similarity and clusters of the %s side%s%s name different models; run "
                    "mordal-cluster again",
                    side->name == NULL ? "vision" : "language",
                    side->name == NULL ? ""
                                       : " seen "
                                         "through ",
                    side->name == NULL ? "" : side->name);
}

static int by_rung(const void *a, const void *b)
{
    const mdl_rung_t *x = a, *y = b;
    return (x->rung > y->rung) - (x->rung < y->rung);
}

int mdl_report_input_finish(mdl_report_input_t *input, mdl_error_t *err)
{
    int rc = check_side(&input->vision, err);
    for (int i = 0; rc == MDL_OK && i < input->n_language; i++)
        rc = check_side(&input->language[i], err);
    if (rc != MDL_OK)
        return rc;
    if (input->n_rung > 0)
        qsort(input->rungs, (size_t)input->n_rung, sizeof *input->rungs, by_rung);
    for (int i = 1; i < input->n_rung; i++)
        if (input->rungs[i].rung == input->rungs[i - 1].rung)
            return mdl_fail(err, MDL_E_INPUT, "two files hold rung %lld; name one of them",
                            (long long)input->rungs[i].rung);
    return MDL_OK;
}

static void free_side(mdl_report_side_t *side)
{
    if (side->has_similarity)
        mdl_similarity_free(&side->similarity);
    if (side->has_clusters)
        mdl_clusters_free(&side->clusters);
    free(side->name);
}

void mdl_report_input_free(mdl_report_input_t *input)
{
    for (int i = 0; i < input->n_file; i++) {
        mdl_report_file_t *file = &input->files[i];
        free(file->path);
        free(file->schema);
        free(file->tool_version);
        free(file->content_digest);
        free(file->configuration);
    }
    free_side(&input->vision);
    for (int i = 0; i < input->n_language; i++)
        free_side(&input->language[i]);
    for (int i = 0; i < input->n_rung; i++)
        mdl_rung_free(&input->rungs[i]);
    if (input->has_candidates)
        mdl_candidates_free(&input->candidates);
    if (input->has_regress)
        mdl_regress_free(&input->regress);
    free(input->files);
    free(input->language);
    free(input->rungs);
    free(input->final_candidate);
    *input = (mdl_report_input_t){0};
}
