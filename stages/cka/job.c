#include "cka/job.h"

#include "cka/device_plan.h"
#include "cka/plan.h"
#include "core/log.h"
#include "core/text.h"
#include "io/similarity_file.h"
#include "mpi/agree.h"
#include "similarity/archives.h"
#include "similarity/backend.h"
#include "similarity/enough.h"
#include "similarity/gram_cache.h"
#include "similarity/measure.h"
#include "similarity/settings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether the archives were extracted until the clusters of these very models were settled. */
static int find_stop(mdl_cka_job_t *job, const mdl_cka_archives_t *archives, mdl_error_t *err)
{
    const mdl_archive_stop_t *stop = mdl_cka_archives_stop(archives);
    const char **names;
    if (stop == NULL)
        return MDL_OK;
    int rc = mdl_alloc(&names, (size_t)archives->n_model, sizeof *names, "names", err);
    if (rc != MDL_OK)
        return rc;
    for (int a = 0; a < archives->n_model; a++)
        names[a] = archives->models[a].model;
    char *rule = mdl_enough_rule(&job->settings, names, archives->n_model);
    if (rule == NULL)
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for the rule of stopping");
    else if (strcmp(rule, stop->rule) == 0)
        job->stopped = stop;
    free(rule);
    free(names);
    return rc;
}

static int settle_stopping(mdl_cka_job_t *job, const mdl_cka_archives_t *archives, mdl_error_t *err)
{
    mdl_stopping_t *stopping = &job->stopping;
    if (strcmp(job->stop, "none") == 0)
        return MDL_OK;
    if (job->settings.estimator != MDL_CKA_MINIBATCH)
        return mdl_fail(err, MDL_E_USAGE,
                        "stopping once the clusters are settled goes by batches: it needs the "
                        "estimator minibatch, not %s",
                        mdl_cka_estimator_name(job->settings.estimator));
    if (!(stopping->alpha > 0 && stopping->alpha <= 0.5))
        return mdl_fail(err, MDL_E_USAGE, "--alpha %g: must be above 0 and at most 0.5",
                        stopping->alpha);
    if (fabs(stopping->cut.threshold) > 1)
        return mdl_fail(err, MDL_E_USAGE, "--threshold %g: must be between -1 and 1",
                        stopping->cut.threshold);
    if (isnan(stopping->cut.threshold))
        stopping->cut.threshold = strcmp(archives->side, "language") == 0 ? 0.8 : 0.7;
    job->settings.stopping = stopping;
    return find_stop(job, archives, err);
}

/* The other measures have none of CKA's settings: what is asked for isn't passed over in silence.
 */
static int check_measure(const mdl_cka_job_t *job, mdl_error_t *err)
{
    const mdl_cka_settings_t *s = &job->settings;
    int by_hand = job->stage->study_path == NULL;
    const char *idle = job->gram_cache != NULL               ? "--gram-cache"
                       : strcmp(job->stop, "none") != 0      ? "--stop"
                       : strcmp(job->route, "auto") != 0     ? "--route"
                       : strcmp(job->precision, "auto") != 0 ? "--precision"
                       : strcmp(job->backend, "cpu") != 0    ? "--backend"
                       : !by_hand                            ? NULL
                       : s->estimator != MDL_CKA_MINIBATCH   ? "--estimator"
                       : s->kernel != MDL_CKA_LINEAR         ? "--kernel"
                                                             : NULL;
    if (idle == NULL)
        return MDL_OK;
    return mdl_fail(err, MDL_E_USAGE,
                    "--measure %s compares all rows in float64 and has no %s%s: leave it out",
                    mdl_measure_name(job->measure.measure), idle,
                    by_hand ? "" : " (a key of similarity in the study)");
}

/* Precision and route, once the archives are known. */
static int settle(mdl_cka_job_t *job, const mdl_cka_archives_t *archives, mdl_plan_route_t *route,
                  mdl_error_t *err)
{
    mdl_cka_settings_t *s = &job->settings;
    int minibatch = s->estimator == MDL_CKA_MINIBATCH;
    if (job->measure.measure != MDL_MEASURE_CKA)
        return check_measure(job, err);
    if (strcmp(job->precision, "auto") == 0)
        s->precision = mdl_cka_archives_precision(archives);
    else
        mdl_encoding_find(job->precision, &s->precision);
    s->bfloat16 = s->precision == MDL_BFLOAT16;
    s->precision = s->bfloat16 ? MDL_FLOAT32 : s->precision;
    *route = mdl_cka_route(s, archives);
    if (strcmp(job->route, "auto") != 0) {
        if (minibatch != (strcmp(job->route, "minibatch") == 0))
            return mdl_fail(
                err, MDL_E_USAGE,
                "--route %s doesn't go with --estimator %s: the route minibatch has the "
                "estimator of that name, gram and feature have biased and unbiased",
                job->route, mdl_cka_estimator_name(s->estimator));
        while (strcmp(job->route, mdl_plan_route_name(*route)) != 0)
            *route = (*route + 1) % MDL_PLAN_N;
    }
    s->route = *route == MDL_PLAN_FEATURE ? MDL_CKA_FEATURE : MDL_CKA_GRAM;
    int rc = settle_stopping(job, archives, err);
    if (rc == MDL_OK && mdl_gram_cache_is_needed(job->gram_cache, archives))
        rc = mdl_gram_cache_check(s, err);
    return rc;
}

static char *configuration_of(const mdl_cka_job_t *job)
{
    const mdl_cka_settings_t *s = &job->settings;
    static const char *const linkages[] = {"average", "complete", "single"};
    char batch[40] = "", sigma[40] = "", stop[160] = "";
    const char *route = s->route == MDL_CKA_FEATURE ? "feature" : "gram";
    if (job->measure.measure != MDL_MEASURE_CKA)
        return mdl_text("measure=%s\n%srows=%s\n", mdl_measure_name(job->measure.measure),
                        job->measure.measure == MDL_MEASURE_SVCCA ? "variance=0.99\n" : "",
                        job->common ? "common" : "all");
    if (s->estimator == MDL_CKA_MINIBATCH)
        snprintf(batch, sizeof batch, "batch=%lld\n", (long long)s->batch);
    if (s->kernel == MDL_CKA_RBF)
        snprintf(sigma, sizeof sigma, "sigma=%.15g\n", s->sigma);
    if (s->stopping != NULL)
        snprintf(stop, sizeof stop,
                 "stop=clusters\nalpha=%.15g\nlinkage=%s\nthreshold=%.15g\nseed=%llu\n",
                 s->stopping->alpha, linkages[s->stopping->cut.linkage], s->stopping->cut.threshold,
                 (unsigned long long)s->stopping->seed);
    return mdl_text("estimator=%s\n%skernel=%s\n%sroute=%s\nprecision=%s\nrows=%s\n%s",
                    mdl_cka_estimator_name(s->estimator), batch,
                    s->kernel == MDL_CKA_RBF ? "rbf" : "linear", sigma,
                    s->estimator == MDL_CKA_MINIBATCH ? "minibatch" : route,
                    mdl_encoding_name(s->bfloat16 ? MDL_BFLOAT16 : s->precision),
                    job->common ? "common" : "all", stop);
}

/* Biased CKA of independent white data is 1 / sqrt((1 + n/d1) (1 + n/d2)), near 1 for n << d. */
static void warn_of_bias(const mdl_cka_job_t *job, const mdl_cka_archives_t *archives)
{
    double n = (double)archives->n_sample, widest = 0, second = 0;
    for (int a = 0; a < archives->n_model; a++) {
        double d = (double)archives->models[a].n_feat;
        second = d > widest ? widest : fmax(second, d);
        widest = fmax(widest, d);
    }
    if (job->settings.estimator == MDL_CKA_BIASED && n < 4 * widest)
        mdl_log(MDL_LOG_WARN,
                "biased CKA of %.0f samples with up to %.0f features: independent noise would "
                "already give %.2f; --estimator unbiased or minibatch doesn't have this bias",
                n, widest, 1 / sqrt((1 + n / widest) * (1 + n / second)));
}

static void log_outcome(const mdl_cka_job_t *job, const mdl_similarity_t *s)
{
    int64_t low[2] = {0, 0}, high[2] = {0, 0}, n = s->n_model;
    for (int64_t i = 1; i < n; i++) {
        for (int64_t j = 0; j < i; j++) {
            double value = s->similarity[i * n + j];
            if (isnan(value))
                continue;
            if (high[0] == 0 || value < s->similarity[low[0] * n + low[1]])
                low[0] = i, low[1] = j;
            if (high[0] == 0 || value > s->similarity[high[0] * n + high[1]])
                high[0] = i, high[1] = j;
        }
    }
    if (high[0] == 0)
        mdl_log(MDL_LOG_INFO, "%s: no pair has a similarity", job->output);
    else
        mdl_log(MDL_LOG_INFO, "%s: similarity from %.4f (%s, %s) to %.4f (%s, %s)", job->output,
                s->similarity[low[0] * n + low[1]], s->models[low[1]], s->models[low[0]],
                s->similarity[high[0] * n + high[1]], s->models[high[1]], s->models[high[0]]);
}

/* On rank 0: *current and, when there is something to do, a log line why. */
static int ask_current(const mdl_cka_job_t *job, mdl_provenance_t *provenance,
                       const mdl_cka_archives_t *archives, int *current, mdl_error_t *err)
{
    char why[256];
    int rc = mdl_result_inputs_digest(archives->paths, archives->n_model, provenance->inputs_digest,
                                      err);
    *current = 0;
    if (rc == MDL_OK)
        rc = mdl_result_check_place(job->output, provenance->schema, err);
    if (rc != MDL_OK || job->stage->force || job->stage->dry_run)
        return rc;
    *current = mdl_result_is_current(job->output, provenance, why);
    if (*current)
        mdl_log(MDL_LOG_INFO, "up to date: %s", job->output);
    else if (access(job->output, F_OK) == 0)
        mdl_log(MDL_LOG_INFO, "running again for %s: %s", job->output, why);
    return MDL_OK;
}

static int compute_cka(const mdl_cka_job_t *job, mdl_plan_route_t route,
                       const mdl_cka_archives_t *archives, mdl_similarity_t *s, mdl_error_t *err)
{
    const mdl_stage_t *stage = job->stage;
    mdl_cka_sums_t sums = {0};
    char sent[32];
    int rc, n = archives->n_model;
    mdl_cka_plan_t plan = mdl_cka_plan(route, &job->settings, archives, stage->n_rank);
    mdl_log(MDL_LOG_INFO, "%d models, %lld samples, %s CKA in %s: route %s, %.0f %s on %d %s", n,
            (long long)archives->n_sample, mdl_cka_estimator_name(job->settings.estimator),
            mdl_encoding_name(job->settings.precision), mdl_plan_route_name(route), plan.n_item,
            plan.item, stage->n_rank, stage->n_rank == 1 ? "rank" : "ranks");
    warn_of_bias(job, archives);
    mdl_cka_settings_t settings = job->settings, cached;
    if (job->stopped != NULL) {
        settings.stopping = NULL;
        mdl_log(MDL_LOG_INFO,
                "the archives have %lld of %lld samples, after which the clusters "
                "were %s: all are read",
                (long long)archives->n_sample, (long long)job->stopped->n_available,
                mdl_archive_state_name(job->stopped->state));
    }
    cached = settings;
    if (mdl_gram_cache_is_needed(job->gram_cache, archives))
        MDL_TRY(mdl_gram_cache_open(stage->comm, job->gram_cache, &cached, archives,
                                    &settings.cache, err));
    double start = mdl_log_seconds();
    rc = mdl_cka_choose_backend(stage->comm, job->backend, &settings, err);
    if (rc == MDL_OK)
        rc = mdl_cka_hsic(stage->comm, &settings, archives->models, n, archives->n_sample, &sums,
                          err);
    MDL_TRY(mdl_gram_cache_close(settings.cache, rc, err));
    if (job->stopped != NULL) {
        s->n_available = job->stopped->n_available;
        s->decided = job->stopped->state == MDL_ARCHIVE_SETTLED;
        s->confidence = job->stopped->confidence;
    } else if (job->settings.stopping != NULL) {
        s->n_sample = sums.stopped.n_row;
        s->n_available = archives->n_sample;
        s->decided = sums.stopped.decided;
        s->confidence = sums.stopped.confidence;
    }
    mdl_cka_ratios(n, &sums, s->similarity, s->standard_error, s->status);
    mdl_log(MDL_LOG_INFO, "computed in %.3f s; this rank sent %s of sums to others",
            mdl_log_seconds() - start, mdl_text_bytes((double)sums.bytes_sent, sent));
done:
    mdl_cka_sums_free(&sums);
    return rc;
}

static int compute_measure(const mdl_cka_job_t *job, const mdl_cka_archives_t *archives,
                           mdl_similarity_t *s, mdl_error_t *err)
{
    const mdl_stage_t *stage = job->stage;
    mdl_log(MDL_LOG_INFO, "%d models, %lld samples, %s in float64 on %d %s", archives->n_model,
            (long long)archives->n_sample, mdl_measure_name(job->measure.measure), stage->n_rank,
            stage->n_rank == 1 ? "rank" : "ranks");
    for (int64_t k = 0; k < s->n_model * s->n_model; k++)
        s->standard_error[k] = NAN;
    return mdl_measure_similarity(stage->comm, &job->measure, archives->models, archives->n_model,
                                  archives->n_sample, s->similarity, s->status, err);
}

static int compute(const mdl_cka_job_t *job, mdl_plan_route_t route,
                   const mdl_provenance_t *provenance, const mdl_cka_archives_t *archives,
                   mdl_error_t *err)
{
    mdl_stage_t *stage = job->stage;
    int n = archives->n_model;
    mdl_similarity_t s = {.n_model = n,
                          .n_sample = archives->n_sample,
                          .side = (char *)archives->side,
                          .label = (char *)archives->label};
    int rc = mdl_alloc(&s.similarity, (size_t)n * (size_t)n, sizeof(double), "similarities", err);
    if (rc == MDL_OK)
        rc = mdl_alloc(&s.standard_error, (size_t)n * (size_t)n, sizeof(double), "errors", err);
    if (rc == MDL_OK)
        rc = mdl_alloc(&s.status, (size_t)n * (size_t)n, 1, "states of pairs", err);
    if (rc == MDL_OK)
        rc = mdl_alloc(&s.models, (size_t)n, sizeof *s.models, "names", err);
    MDL_TRY(mdl_agree(stage->comm, rc, err));
    for (int a = 0; a < n; a++)
        s.models[a] = (char *)archives->models[a].model;
    MDL_TRY(job->measure.measure == MDL_MEASURE_CKA ? compute_cka(job, route, archives, &s, err)
                                                    : compute_measure(job, archives, &s, err));
    MDL_TRY(mdl_on_root(stage->comm, stage->rank,
                        mdl_similarity_write(job->output, provenance, &s, err), err));
    mdl_cka_warn_of_undefined(archives->models, n, s.status);
    log_outcome(job, &s);
done:
    free(s.models);
    free(s.similarity);
    free(s.standard_error);
    free(s.status);
    return rc;
}

/* Rank 0: the routes, and what stopping and the Gram cache change. */
static int print_cka_plan(const mdl_cka_job_t *job, mdl_plan_route_t route,
                          const mdl_cka_archives_t *archives, mdl_error_t *err)
{
    char *kept = NULL;
    int rc;
    MDL_TRY(
        mdl_cka_plan_print(&job->settings, route, archives, job->stage->n_rank, job->output, err));
    MDL_TRY(mdl_cka_device_plan_print(job->backend, &job->settings, route, archives, err));
    if (job->stopped != NULL)
        printf("  stop: the extraction did so, %s after %lld of %lld samples; all are read\n",
               mdl_archive_state_name(job->stopped->state), (long long)archives->n_sample,
               (long long)job->stopped->n_available);
    else if (job->settings.stopping != NULL)
        mdl_cka_plan_print_stop(&job->settings, archives);
    if (!mdl_gram_cache_is_needed(job->gram_cache, archives))
        goto done;
    mdl_cka_settings_t settings = job->settings;
    if (job->stopped != NULL)
        settings.stopping = NULL;
    MDL_TRY(mdl_alloc(&kept, (size_t)archives->n_model, 1, "models", err));
    MDL_TRY(mdl_gram_cache_look(job->gram_cache, &settings, archives, kept, err));
    mdl_cka_plan_print_cache(&settings, archives, job->gram_cache, kept);
done:
    free(kept);
    return rc;
}

/* Rank 0. */
static int print_plan(const mdl_cka_job_t *job, mdl_plan_route_t route,
                      const mdl_cka_archives_t *archives, mdl_error_t *err)
{
    char memory[32];
    int n_rank = job->stage->n_rank;
    if (job->measure.measure == MDL_MEASURE_CKA)
        return print_cka_plan(job, route, archives, err);
    printf("%s: %d models, %lld rows, %s in float64 by ScaLAPACK on %d %s: needs %s a rank\n",
           job->output, archives->n_model, (long long)archives->n_sample,
           mdl_measure_name(job->measure.measure), n_rank, n_rank == 1 ? "rank" : "ranks",
           mdl_text_bytes(mdl_measure_memory(&job->measure, archives->models, archives->n_model,
                                             archives->n_sample, n_rank),
                          memory));
    return MDL_OK;
}

int mdl_cka_compare(mdl_cka_job_t *job, mdl_error_t *err)
{
    mdl_stage_t *stage = job->stage;
    mdl_cka_archives_t archives;
    mdl_plan_route_t route = MDL_PLAN_MINIBATCH;
    char *configuration = NULL;
    mdl_provenance_t provenance = {.schema = MDL_SIMILARITY_SCHEMA,
                                   .version = MDL_SIMILARITY_VERSION};
    int current = 0;
    int rc = mdl_gram_cache_archives(job->gram_cache, job->paths, job->n_path, job->common,
                                     &archives, err);
    if (rc == MDL_OK)
        rc = settle(job, &archives, &route, err);
    if (rc == MDL_OK && job->measure.measure == MDL_MEASURE_CKA)
        rc = mdl_cka_check(&job->settings, archives.n_model, archives.n_sample, err);
    provenance.configuration = configuration = configuration_of(job);
    if (rc == MDL_OK && configuration == NULL)
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for the settings' text");
    if (rc == MDL_OK && stage->rank == 0)
        rc = ask_current(job, &provenance, &archives, &current, err);
    MDL_TRY(mdl_agree(stage->comm, rc, err));
    MPI_Bcast(&current, 1, MPI_INT, 0, stage->comm);
    if (stage->dry_run)
        rc = mdl_on_root(stage->comm, stage->rank, print_plan(job, route, &archives, err), err);
    else if (!current)
        rc = compute(job, route, &provenance, &archives, err);
done:
    mdl_cka_archives_close(&archives);
    free(configuration);
    return rc;
}
