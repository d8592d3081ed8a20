#include "score/job.h"

#include "core/log.h"
#include "core/text.h"
#include "io/archive_file.h"
#include "io/score_file.h"
#include "mpi/agree.h"
#include "score/emms.h"
#include "score/leep.h"
#include "score/logme.h"
#include "score/nleep.h"
#include "score/samples.h"

#include <cblas.h> /* openblas_set_num_threads */
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_EMBEDDING = 64 };

/* What one model gives. */
typedef struct {
    double score;
    int64_t n_sample, n_class;
} outcome_t;

static int list_samples(const mdl_score_job_t *job, const mdl_archive_t *archive,
                        const mdl_label_table_t *labels, mdl_labelled_t **samples, int64_t *n,
                        mdl_error_t *err)
{
    int rc = mdl_alloc(samples, (size_t)labels->n, sizeof **samples, "samples", err);
    if (rc != MDL_OK)
        return rc;
    for (*n = 0; *n < labels->n; ++*n)
        (*samples)[*n] = (mdl_labelled_t){labels->id[*n], labels->label[*n]};
    rc = mdl_samples_keep(archive, *samples, n, err);
    if (rc == MDL_OK && job->warn && (*n < labels->n || *n < archive->n_sample))
        mdl_log_rank(MDL_LOG_WARN,
                     "%s: %lld labels have no row and %lld rows have no label; the other %lld "
                     "count",
                     archive->path, (long long)(labels->n - *n),
                     (long long)(archive->n_sample - *n), (long long)*n);
    return rc;
}

static int score_by_labels(const mdl_score_job_t *job, const mdl_archive_t *archive,
                           const mdl_label_table_t *labels, outcome_t *outcome, mdl_error_t *err)
{
    mdl_labelled_t *samples = NULL;
    int32_t *class_of = NULL;
    double *x = NULL;
    int64_t n, n_class, n_feat = archive->n_feat;
    int rc;
    MDL_TRY(list_samples(job, archive, labels, &samples, &n, err));
    MDL_TRY(mdl_alloc(&class_of, (size_t)n + 1, sizeof *class_of, "classes", err));
    MDL_TRY(mdl_samples_number(samples, n, class_of, &n_class, err));
    MDL_TRY(mdl_samples_read(archive, samples, n, &x, err));
    *outcome = (outcome_t){.n_sample = n, .n_class = n_class};
    if (strcmp(job->method, "logme") == 0) {
        rc = mdl_logme(x, n, n_feat, class_of, n_class, &outcome->score, err);
    } else if (strcmp(job->method, "leep") == 0) {
        MDL_TRY(mdl_leep_normalise(x, n, n_feat, err));
        rc = mdl_leep(x, n, n_feat, class_of, n_class, &outcome->score, err);
    } else {
        rc = mdl_nleep(x, n, n_feat, class_of, n_class, job->seed, &outcome->score, err);
    }
done:
    free(samples);
    free(class_of);
    free(x);
    return rc;
}

/* The samples that the model and all embeddings have. */
static int list_common(const mdl_archive_t *archive, mdl_archive_t *const *embeddings,
                       int64_t n_embedding, mdl_labelled_t **samples, int64_t *n, mdl_error_t *err)
{
    int rc;
    MDL_TRY(mdl_alloc(samples, (size_t)archive->n_sample, sizeof **samples, "samples", err));
    for (*n = 0; *n < archive->n_sample; ++*n)
        (*samples)[*n] = (mdl_labelled_t){archive->sample_ids[*n], NULL};
    for (int64_t k = 0; k < n_embedding; k++) {
        MDL_TRY(mdl_samples_keep(embeddings[k], *samples, n, err));
        if (embeddings[k]->n_feat != embeddings[0]->n_feat)
            MDL_TRY(mdl_fail(err, MDL_E_INPUT,
                             "%s has %lld numbers a label and %s has %lld; label embeddings have "
                             "to be of one length",
                             embeddings[0]->path, (long long)embeddings[0]->n_feat,
                             embeddings[k]->path, (long long)embeddings[k]->n_feat));
    }
    if (*n < 4)
        rc = mdl_fail(err, MDL_E_INPUT,
                      "%lld rows are in all label embeddings too: a score needs at least 4",
                      (long long)*n);
done:
    return rc;
}

static int score_by_embeddings(const mdl_score_job_t *job, const mdl_archive_t *archive,
                               outcome_t *outcome, mdl_error_t *err)
{
    mdl_archive_t *embeddings[MAX_EMBEDDING] = {NULL};
    double *labels[MAX_EMBEDDING] = {NULL}, weight[MAX_EMBEDDING], *x = NULL;
    mdl_labelled_t *samples = NULL;
    int64_t n;
    int rc;
    for (int64_t k = 0; k < job->n_embedding; k++)
        MDL_TRY(mdl_archive_open(job->embeddings[k], &embeddings[k], err));
    MDL_TRY(list_common(archive, embeddings, job->n_embedding, &samples, &n, err));
    for (int64_t k = 0; k < job->n_embedding; k++)
        MDL_TRY(mdl_samples_read(embeddings[k], samples, n, &labels[k], err));
    MDL_TRY(mdl_samples_read(archive, samples, n, &x, err));
    MDL_TRY(mdl_emms(x, n, archive->n_feat, labels, job->n_embedding, embeddings[0]->n_feat, weight,
                     &outcome->score, err));
    outcome->n_sample = n;
    for (int64_t k = 0; k < job->n_embedding; k++)
        mdl_log_rank(MDL_LOG_VERBOSE, "%s: weight of %s: %.6f", archive->model, job->embeddings[k],
                     weight[k]);
done:
    for (int64_t k = 0; k < job->n_embedding; k++) {
        if (embeddings[k] != NULL)
            mdl_archive_close(embeddings[k]);
        free(labels[k]);
    }
    free(samples);
    free(x);
    return rc;
}

static int score_model(const mdl_score_job_t *job, const mdl_score_model_t *model,
                       outcome_t *outcome, mdl_error_t *err)
{
    mdl_archive_t *archive;
    int rc = mdl_archive_open(model->path, &archive, err);
    if (rc != MDL_OK)
        return rc;
    rc = model->labels != NULL ? score_by_labels(job, archive, model->labels, outcome, err)
                               : score_by_embeddings(job, archive, outcome, err);
    mdl_archive_close(archive);
    if (rc == MDL_OK && !isfinite(outcome->score))
        rc = mdl_fail(err, MDL_E_INPUT, "its score is %g", outcome->score);
    return rc == MDL_OK ? MDL_OK : mdl_error_prefix(err, "%s of %s", job->method, model->name);
}

/* This rank's models; the values of the others stay 0. counts: [2, n_model] rows and classes. */
static int score_share(const mdl_score_job_t *job, double *score, int64_t *counts, mdl_error_t *err)
{
    openblas_set_num_threads(1);
    for (int64_t a = job->stage->rank; a < job->n_model; a += job->stage->n_rank) {
        outcome_t outcome = {0};
        int rc = score_model(job, &job->models[a], &outcome, err);
        if (rc != MDL_OK)
            return rc;
        score[a] = outcome.score;
        counts[a] = outcome.n_sample;
        counts[job->n_model + a] = outcome.n_class;
    }
    return MDL_OK;
}

static int fill_provenance(const mdl_score_job_t *job, mdl_provenance_t *provenance,
                           char **configuration, mdl_error_t *err)
{
    const char **paths = NULL;
    int64_t n_path = job->n_model + job->n_embedding;
    const mdl_label_table_t *labels = job->models[0].labels;
    int rc;
    *configuration =
        mdl_text("method=%s\nsplit=%s\nseed=%llu\nlabels=%s\n", job->method, job->split,
                 (unsigned long long)job->seed, labels != NULL ? labels->digest : "");
    MDL_TRY(mdl_alloc(&paths, (size_t)n_path, sizeof *paths, "paths", err));
    if (*configuration == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory for the settings' text"));
    for (int64_t a = 0; a < n_path; a++)
        paths[a] = a < job->n_model ? job->models[a].path : job->embeddings[a - job->n_model];
    *provenance = (mdl_provenance_t){
        .schema = MDL_SCORE_SCHEMA, .version = MDL_SCORE_VERSION, .configuration = *configuration};
    rc = mdl_result_inputs_digest(paths, (int)n_path, provenance->inputs_digest, err);
done:
    free(paths);
    return rc;
}

static void print_scores(const mdl_scores_t *scores)
{
    printf("model,score\n");
    for (int64_t a = 0; a < scores->n_model; a++)
        printf("%s,%.10g\n", scores->model[a], scores->score[a]);
}

static int put_out(const mdl_score_job_t *job, const mdl_provenance_t *provenance, double *score,
                   const int64_t *counts, mdl_error_t *err)
{
    char method[16];
    const char **names;
    int rc = mdl_alloc(&names, (size_t)job->n_model, sizeof *names, "names", err);
    if (rc != MDL_OK)
        return rc;
    snprintf(method, sizeof method, "%s", job->method);
    for (int64_t a = 0; a < job->n_model; a++)
        names[a] = job->models[a].name;
    mdl_scores_t scores = {.n_model = job->n_model,
                           .model = (char **)names,
                           .score = score,
                           .method = method,
                           .n_sample = counts[0],
                           .n_class = counts[job->n_model]};
    if (job->output != NULL)
        rc = mdl_scores_write(job->output, provenance, &scores, err);
    if (rc == MDL_OK && job->print)
        print_scores(&scores);
    free(names);
    return rc;
}

/* 1 when the result is there; it is printed from there if it is to be printed. Rank 0 alone. */
static int is_current(const mdl_score_job_t *job, const mdl_provenance_t *provenance)
{
    mdl_scores_t scores = {0};
    mdl_error_t ignored;
    char why[256];
    if (job->stage->force || job->output == NULL ||
        !mdl_result_is_current(job->output, provenance, why) ||
        mdl_scores_read(job->output, &scores, &ignored) != MDL_OK)
        return 0;
    mdl_log(MDL_LOG_INFO, "up to date: %s", job->output);
    if (job->print)
        print_scores(&scores);
    mdl_scores_free(&scores);
    return 1;
}

int mdl_score_models(const mdl_score_job_t *job, mdl_error_t *err)
{
    const MPI_Comm comm = job->stage->comm;
    const int rank = job->stage->rank, n = (int)job->n_model;
    mdl_provenance_t provenance = {0};
    char *configuration = NULL;
    double *score = NULL;
    int64_t *counts = NULL;
    int current = 0, rc;
    MDL_TRY(mdl_on_root(comm, rank, fill_provenance(job, &provenance, &configuration, err), err));
    if (rank == 0)
        current = is_current(job, &provenance);
    MPI_Bcast(&current, 1, MPI_INT, 0, comm);
    if (current)
        goto done;
    rc = mdl_alloc(&score, (size_t)n, sizeof *score, "scores", err);
    if (rc == MDL_OK)
        rc = mdl_alloc(&counts, 2 * (size_t)n, sizeof *counts, "scores", err);
    if (rc == MDL_OK)
        rc = score_share(job, score, counts, err);
    MDL_TRY(mdl_agree(comm, rc, err));
    MPI_Reduce(rank == 0 ? MPI_IN_PLACE : score, score, n, MPI_DOUBLE, MPI_SUM, 0, comm);
    MPI_Reduce(rank == 0 ? MPI_IN_PLACE : counts, counts, 2 * n, MPI_INT64_T, MPI_SUM, 0, comm);
    rc = mdl_on_root(comm, rank, put_out(job, &provenance, score, counts, err), err);
done:
    free(configuration);
    free(score);
    free(counts);
    return rc;
}

void mdl_score_models_free(mdl_score_model_t *models, int64_t n_model)
{
    for (int64_t a = 0; models != NULL && a < n_model; a++) {
        free(models[a].name);
        free(models[a].path);
    }
    free(models);
}
