#include "similarity/gram_cache.h"

#include "core/log.h"
#include "core/text.h"
#include "io/gram_file.h"
#include "mpi/agree.h"
#include "similarity/real.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mdl_gram_cache {
    MPI_Comm comm;
    const char *folder;
    const mdl_cka_settings_t *settings;
    const mdl_cka_archives_t *archives;
    int n_model;
    const char **sample_ids; /* [n_sample] of the rows that are compared */
    char sample_digest[MDL_DIGEST_SIZE];
    int64_t n_batch, n_value;
    mdl_gram_t **ready;         /* [n_model] files that serve, NULL elsewhere */
    mdl_gram_writer_t **making; /* [n_model] new files, NULL elsewhere */
    int64_t *n_new;             /* [n_model] batches that this rank put into them */
    char **paths;               /* [n_model] */
};

/* 0 for the linear kernel. */
static double sigma_of(const mdl_cka_settings_t *settings)
{
    return settings->kernel == MDL_CKA_RBF ? settings->sigma : 0;
}

/* Why a file doesn't serve; "" if it does. */
static void find_fault(const mdl_gram_cache_t *cache, int model, const mdl_gram_t *gram,
                       char why[256])
{
    const mdl_cka_settings_t *s = cache->settings;
    const char *digest = mdl_cka_archives_digest(cache->archives, model);
    why[0] = '\0';
    if (strcmp(gram->model, cache->archives->models[model].model) != 0)
        snprintf(why, 256, "they are of model %s", gram->model);
    else if (gram->batch != s->batch || gram->n_batch != cache->n_batch ||
             gram->n_value != cache->n_value)
        snprintf(why, 256, "they are of %lld batches of %lld rows, not %lld of %lld",
                 (long long)gram->n_batch, (long long)gram->batch, (long long)cache->n_batch,
                 (long long)s->batch);
    else if (strcmp(gram->sample_digest, cache->sample_digest) != 0)
        snprintf(why, 256, "they are of other samples, or of the same in another order");
    else if (gram->sigma != sigma_of(s))
        snprintf(why, 256, "they are of another kernel (RBF sigma %g, not %g; 0 is linear)",
                 gram->sigma, sigma_of(s));
    else if (gram->encoding != s->precision)
        snprintf(why, 256, "they are in %s, not %s", mdl_encoding_name(gram->encoding),
                 mdl_encoding_name(s->precision));
    else if (digest != NULL && strcmp(gram->archive_digest, digest) != 0)
        snprintf(why, 256, "the archive has changed since");
    else if (digest == NULL && gram->n_kept < gram->n_batch && s->stopping == NULL)
        snprintf(why, 256,
                 "%lld of their %lld batches are there, those of a comparison that "
                 "stopped early",
                 (long long)gram->n_kept, (long long)gram->n_batch);
}

/* Opens the model's file if it serves; says why not. */
static int look_up(mdl_gram_cache_t *cache, int model, mdl_error_t *err)
{
    char why[256] = "";
    mdl_error_t trouble = {.rank = -1};
    const char *name = cache->archives->models[model].model;
    int gone = mdl_cka_archives_digest(cache->archives, model) == NULL;
    int rc = mdl_gram_open(cache->paths[model], &cache->ready[model], &trouble);
    if (rc == MDL_OK)
        find_fault(cache, model, cache->ready[model], why);
    else if (rc != MDL_E_MISSING || gone)
        snprintf(why, sizeof why, "%.250s", trouble.text);
    if (why[0] != '\0') {
        mdl_gram_close(cache->ready[model]);
        cache->ready[model] = NULL;
    }
    if (why[0] != '\0' && gone)
        return mdl_fail(
            err, MDL_E_INPUT,
            "model %s: its archive isn't there and its Gram matrices in %s don't serve: "
            "%s; archive the model again, or leave it out",
            name, cache->paths[model], why);
    if (why[0] != '\0')
        mdl_log(MDL_LOG_INFO, "Gram matrices of %s are made again: %s", name, why);
    return MDL_OK;
}

static int begin_file(mdl_gram_cache_t *cache, int model, mdl_error_t *err)
{
    const mdl_cka_settings_t *s = cache->settings;
    const mdl_cka_archives_t *archives = cache->archives;
    mdl_gram_info_t info = {.model = archives->models[model].model,
                            .side = archives->side,
                            .label = archives->label,
                            .encoding = s->precision,
                            .n_sample = archives->n_sample,
                            .n_feat = archives->models[model].n_feat,
                            .batch = s->batch,
                            .n_batch = cache->n_batch,
                            .n_value = cache->n_value,
                            .sigma = sigma_of(s),
                            .sample_ids = cache->sample_ids};
    char configuration[160], kernel[64] = "linear";
    if (s->kernel == MDL_CKA_RBF)
        snprintf(kernel, sizeof kernel, "rbf\nsigma=%.15g", s->sigma);
    snprintf(configuration, sizeof configuration, "batch=%lld\nkernel=%s\nprecision=%s\n",
             (long long)s->batch, kernel, mdl_encoding_name(s->precision));
    mdl_provenance_t provenance = {
        .schema = MDL_GRAM_SCHEMA, .version = MDL_GRAM_VERSION, .configuration = configuration};
    snprintf(provenance.inputs_digest, sizeof provenance.inputs_digest, "%s",
             mdl_cka_archives_digest(archives, model));
    return mdl_gram_create(cache->comm, cache->paths[model], &provenance, &info,
                           &cache->making[model], err);
}

int mdl_gram_cache_check(const mdl_cka_settings_t *settings, mdl_error_t *err)
{
    if (settings->estimator != MDL_CKA_MINIBATCH)
        return mdl_fail(err, MDL_E_USAGE,
                        "kept Gram matrices serve the estimator minibatch: the others compare all "
                        "rows with all; leave --gram-cache (similarity.gram_cache) out");
    return MDL_OK;
}

static int prepare(mdl_gram_cache_t *cache, mdl_error_t *err)
{
    const mdl_cka_archives_t *archives = cache->archives;
    size_t n = (size_t)cache->n_model;
    int rc;
    MDL_TRY(mdl_gram_cache_check(cache->settings, err));
    MDL_TRY(mdl_alloc(&cache->ready, n, sizeof *cache->ready, "Gram files", err));
    MDL_TRY(mdl_alloc(&cache->making, n, sizeof *cache->making, "Gram files", err));
    MDL_TRY(mdl_alloc(&cache->n_new, n, sizeof *cache->n_new, "Gram files", err));
    MDL_TRY(mdl_alloc(&cache->paths, n, sizeof *cache->paths, "paths", err));
    MDL_TRY(mdl_alloc(&cache->sample_ids, (size_t)archives->n_sample, sizeof(char *), "sample ids",
                      err));
    for (int64_t i = 0; i < archives->n_sample; i++)
        cache->sample_ids[i] = mdl_cka_archives_sample_id(archives, i);
    MDL_TRY(
        mdl_gram_sample_digest(cache->sample_ids, archives->n_sample, cache->sample_digest, err));
    for (int a = 0; a < cache->n_model; a++) {
        int gone = mdl_cka_archives_digest(archives, a) == NULL;
        if (cache->folder == NULL && !gone)
            continue;
        cache->paths[a] = gone ? mdl_text("%s", archives->paths[a])
                               : mdl_text("%s/%s.h5", cache->folder, archives->models[a].model);
        if (cache->paths[a] == NULL)
            return mdl_fail(err, MDL_E_MEMORY, "out of memory for the path of a Gram file");
        MDL_TRY(look_up(cache, a, err));
    }
done:
    return rc;
}

static mdl_gram_cache_t describe(MPI_Comm comm, const char *folder,
                                 const mdl_cka_settings_t *settings,
                                 const mdl_cka_archives_t *archives)
{
    int64_t n = archives->n_sample;
    return (mdl_gram_cache_t){.comm = comm,
                              .folder = folder,
                              .settings = settings,
                              .archives = archives,
                              .n_model = archives->n_model,
                              .n_batch = mdl_cka_n_batch(n, settings->batch),
                              .n_value =
                                  mdl_real_packed(n < settings->batch ? n : settings->batch)};
}

int mdl_gram_cache_open(MPI_Comm comm, const char *folder, const mdl_cka_settings_t *settings,
                        const mdl_cka_archives_t *archives, mdl_gram_cache_t **cache,
                        mdl_error_t *err)
{
    mdl_gram_cache_t *made;
    *cache = NULL;
    int rc = mdl_alloc(&made, 1, sizeof *made, "the Gram cache", err);
    if (mdl_agree(comm, rc, err) != MDL_OK) {
        free(made);
        return err->code;
    }
    *made = describe(comm, folder, settings, archives);
    rc = prepare(made, err);
    MDL_TRY(mdl_agree(comm, rc, err));
    for (int a = 0; a < made->n_model; a++) {
        int everywhere = made->ready[a] != NULL;
        MPI_Allreduce(MPI_IN_PLACE, &everywhere, 1, MPI_INT, MPI_MIN, comm);
        if (!everywhere) {
            mdl_gram_close(made->ready[a]);
            made->ready[a] = NULL;
        }
        if (folder != NULL && !mdl_gram_cache_has_all(made, a) &&
            mdl_cka_archives_digest(archives, a) != NULL)
            MDL_TRY(begin_file(made, a, err));
    }
    *cache = made;
    return MDL_OK;
done:
    return mdl_gram_cache_close(made, rc, err);
}

static void release(mdl_gram_cache_t *cache)
{
    for (int a = 0; a < cache->n_model; a++) {
        if (cache->ready != NULL)
            mdl_gram_close(cache->ready[a]);
        if (cache->paths != NULL)
            free(cache->paths[a]);
    }
    free(cache->ready);
    free(cache->making);
    free(cache->n_new);
    free(cache->paths);
    free(cache->sample_ids);
    free(cache);
}

int mdl_gram_cache_look(const char *folder, const mdl_cka_settings_t *settings,
                        const mdl_cka_archives_t *archives, char *kept, mdl_error_t *err)
{
    mdl_gram_cache_t *cache;
    int rc = mdl_alloc(&cache, 1, sizeof *cache, "the Gram cache", err);
    if (rc != MDL_OK)
        return rc;
    *cache = describe(MPI_COMM_SELF, folder, settings, archives);
    rc = prepare(cache, err);
    for (int a = 0; rc == MDL_OK && a < archives->n_model; a++)
        kept[a] = mdl_gram_cache_has_all(cache, a);
    release(cache);
    return rc;
}

/* Batches of the file that served go into the new one, which a rank put others into: each rank
 * copies its share, without those that are damaged. */
static int join(mdl_gram_cache_t *cache, int model, mdl_error_t *err)
{
    const mdl_gram_t *old = cache->ready[model];
    int64_t n_new = cache->n_new[model];
    int rank, n_rank, rc = MDL_OK;
    char *gram = NULL;
    MPI_Comm_rank(cache->comm, &rank);
    MPI_Comm_size(cache->comm, &n_rank);
    MPI_Allreduce(MPI_IN_PLACE, &n_new, 1, MPI_INT64_T, MPI_SUM, cache->comm);
    if (n_new == 0 || old == NULL)
        return MDL_OK;
    MDL_TRY(mdl_alloc(&gram, (size_t)cache->n_value, mdl_encoding_size(old->encoding),
                      "a Gram matrix", err));
    for (int64_t k = rank; k < cache->n_batch; k += n_rank) {
        int64_t left = cache->archives->n_sample - k * old->batch;
        int64_t n_value = mdl_real_packed(left < old->batch ? left : old->batch);
        if (!mdl_gram_cache_has(cache, model, k))
            continue;
        mdl_error_t damage = {.rank = -1};
        if (mdl_gram_read(old, k, n_value, gram, &damage) != MDL_OK) {
            mdl_log_rank(MDL_LOG_WARN, "left out of the Gram cache: %s", damage.text);
            continue;
        }
        MDL_TRY(mdl_gram_write(cache->making[model], k, gram, n_value, old->power[k],
                               old->exponent[k], err));
    }
done:
    free(gram);
    return rc;
}

int mdl_gram_cache_close(mdl_gram_cache_t *cache, int rc, mdl_error_t *err)
{
    int n_kept = 0;
    if (cache == NULL)
        return rc;
    rc = mdl_agree(cache->comm, rc, err);
    for (int a = 0; a < cache->n_model; a++) {
        int made = 0;
        if (cache->making != NULL && cache->making[a] != NULL) {
            if (rc == MDL_OK)
                rc = join(cache, a, err);
            rc = mdl_gram_finish(cache->making[a], rc, &made, err);
            n_kept += made;
        }
    }
    if (rc == MDL_OK && n_kept > 0)
        mdl_log(MDL_LOG_INFO, "%s: Gram matrices of %d %s are kept", cache->folder, n_kept,
                n_kept == 1 ? "model" : "models");
    release(cache);
    return rc;
}

int mdl_gram_cache_has(const mdl_gram_cache_t *cache, int model, int64_t number)
{
    return cache != NULL && cache->ready[model] != NULL &&
           !isnan(cache->ready[model]->power[number]);
}

int mdl_gram_cache_has_all(const mdl_gram_cache_t *cache, int model)
{
    return cache != NULL && cache->ready[model] != NULL &&
           cache->ready[model]->n_kept == cache->n_batch;
}

int mdl_gram_cache_is_alone(const mdl_gram_cache_t *cache, int model)
{
    return cache != NULL && mdl_cka_archives_digest(cache->archives, model) == NULL;
}

int mdl_gram_cache_varies(const mdl_gram_cache_t *cache, int model)
{
    const mdl_gram_t *file = cache->ready[model];
    int64_t k = 0;
    while (k < file->n_batch && (file->power[k] == 0 || isnan(file->power[k])))
        k++;
    return k < file->n_batch;
}

int mdl_gram_cache_get(const mdl_gram_cache_t *cache, int model, int64_t number, int64_t n_value,
                       void *gram, double *power, double *exponent, mdl_error_t *err)
{
    const mdl_gram_t *file = cache->ready[model];
    *power = file->power[number];
    *exponent = file->exponent[number];
    return mdl_gram_read(file, number, n_value, gram, err);
}

int mdl_gram_cache_put(mdl_gram_cache_t *cache, int model, int64_t number, int64_t n_value,
                       const void *gram, double power, double exponent, mdl_error_t *err)
{
    if (cache == NULL || cache->making[model] == NULL)
        return MDL_OK;
    cache->n_new[model]++;
    return mdl_gram_write(cache->making[model], number, gram, n_value, power, exponent, err);
}

/* The file itself if it is there, else the one of the same name in folder if that is. */
static char *find_file(const char *folder, const char *path)
{
    const char *name = strrchr(path, '/');
    if (folder == NULL || access(path, F_OK) == 0)
        return mdl_text("%s", path);
    char *kept = mdl_text("%s/%s", folder, name != NULL ? name + 1 : path);
    if (kept == NULL || access(kept, F_OK) == 0)
        return kept;
    free(kept);
    return mdl_text("%s", path);
}

int mdl_gram_cache_archives(const char *folder, const char *const *paths, int n, int common,
                            mdl_cka_archives_t *archives, mdl_error_t *err)
{
    char **found;
    int rc = mdl_alloc(&found, (size_t)n, sizeof *found, "paths", err);
    *archives = (mdl_cka_archives_t){0};
    if (rc != MDL_OK)
        return rc;
    for (int i = 0; rc == MDL_OK && i < n; i++) {
        found[i] = find_file(folder, paths[i]);
        if (found[i] == NULL)
            rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for the path %s", paths[i]);
    }
    if (rc == MDL_OK)
        rc = mdl_cka_archives_open(archives, (const char *const *)found, n, common, err);
    for (int i = 0; i < n; i++)
        free(found[i]);
    free(found);
    return rc;
}

int mdl_gram_cache_is_needed(const char *folder, const mdl_cka_archives_t *archives)
{
    int needed = folder != NULL;
    for (int a = 0; a < archives->n_model; a++)
        needed = needed || mdl_cka_archives_digest(archives, a) == NULL;
    return needed;
}
