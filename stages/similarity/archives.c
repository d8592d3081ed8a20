#include "similarity/archives.h"

#include "core/log.h"
#include "core/text.h"
#include "io/gram_file.h"

#include <stdlib.h>
#include <string.h>

enum { TOKEN_BUFFER_VALUES = 1 << 22 };

struct mdl_cka_source {
    mdl_archive_t *archive;
    int shares_ids;   /* its ids are those of another source, which has them */
    int64_t *rows;    /* [n_sample] row in the archive of each that is compared; NULL: the same */
    double *tokens;   /* [n_buffer, n_token, n_feat], NULL without tokens */
    double *sum;      /* [n_feat] over the tokens of a row */
    int64_t n_buffer; /* rows that fit into tokens */
};

static int64_t row_of(const mdl_cka_source_t *source, int64_t row)
{
    return source->rows != NULL ? source->rows[row] : row;
}

static void mean_over_tokens(const double *tokens, int64_t n_row, int64_t n_token, int64_t n_feat,
                             double *sum, mdl_encoding_t encoding, char *out)
{
    for (int64_t i = 0; i < n_row; i++) {
        memset(sum, 0, (size_t)n_feat * sizeof *sum);
        for (int64_t t = 0; t < n_token; t++)
            for (int64_t j = 0; j < n_feat; j++)
                sum[j] += tokens[(i * n_token + t) * n_feat + j];
        for (int64_t j = 0; j < n_feat; j++)
            sum[j] /= (double)n_token;
        mdl_float_convert(MDL_FLOAT64, sum, encoding, out, (size_t)n_feat);
        out += (size_t)n_feat * mdl_encoding_size(encoding);
    }
}

static int is_stand_in(const mdl_archive_t *archive)
{
    return archive->descriptor < 0;
}

/* Reads rows that follow each other in the archive by one call. */
static int read_rows(const mdl_rows_t *rows, int64_t first, int64_t n_row, mdl_encoding_t encoding,
                     void *out, mdl_error_t *err)
{
    mdl_cka_source_t *source = rows->data;
    const mdl_archive_t *archive = source->archive;
    size_t n_out = (size_t)rows->n_feat * mdl_encoding_size(encoding);
    int64_t n_run;
    int rc = MDL_OK;
    if (is_stand_in(archive))
        return mdl_fail(
            err, MDL_E_INPUT,
            "%s holds Gram matrices of model %s, none of the batch from row %lld on, and "
            "no activations; give its archive",
            archive->path, archive->model, (long long)first);
    for (int64_t i = 0; rc == MDL_OK && i < n_row; i += n_run) {
        int64_t at = row_of(source, first + i);
        char *into = (char *)out + (size_t)i * n_out;
        for (n_run = 1; i + n_run < n_row && row_of(source, first + i + n_run) == at + n_run;
             n_run++)
            if (source->tokens != NULL && n_run == source->n_buffer)
                break;
        if (source->tokens == NULL) {
            rc = mdl_archive_read_rows(archive, at, n_run, encoding, into, err);
            continue;
        }
        rc = mdl_archive_read_rows(archive, at, n_run, MDL_FLOAT64, source->tokens, err);
        if (rc == MDL_OK)
            mean_over_tokens(source->tokens, n_run, archive->n_token, rows->n_feat, source->sum,
                             encoding, into);
    }
    return rc;
}

static int by_model(const void *left, const void *right)
{
    const mdl_cka_source_t *a = left, *b = right;
    return strcmp(a->archive->model, b->archive->model);
}

/* Moves what a Gram file says of its model and rows into an archive without rows. */
static int stand_in(mdl_gram_t *gram, mdl_archive_t **archive, mdl_error_t *err)
{
    mdl_archive_t *made;
    int rc = mdl_alloc(&made, 1, sizeof *made, "an archive", err);
    if (rc != MDL_OK)
        return rc;
    *made = (mdl_archive_t){.path = gram->path,
                            .model = gram->model,
                            .side = gram->side,
                            .label = gram->label,
                            .encoding = gram->encoding,
                            .n_sample = gram->n_sample,
                            .n_feat = gram->n_feat,
                            .sample_ids = gram->sample_ids,
                            .descriptor = -1};
    gram->path = gram->model = gram->side = gram->label = NULL;
    gram->sample_ids = NULL;
    *archive = made;
    return MDL_OK;
}

static int open_either(const char *path, mdl_archive_t **archive, mdl_error_t *err)
{
    mdl_error_t ignored = {.rank = -1};
    mdl_gram_t *gram;
    int rc = mdl_archive_open(path, archive, err);
    if (rc == MDL_E_INPUT && mdl_gram_open(path, &gram, &ignored) == MDL_OK) {
        rc = stand_in(gram, archive, err);
        mdl_gram_close(gram);
    }
    return rc;
}

/* A model's name becomes the name of files (gram_cache.c) and stands in messages. */
static int check_name(const mdl_archive_t *archive, mdl_error_t *err)
{
    const char *name = archive->model;
    size_t n = 0;
    while ((unsigned char)name[n] >= ' ' && name[n] != '\x7f' && name[n] != '/')
        n++;
    if (n > 0 && name[n] == '\0')
        return MDL_OK;
    return mdl_fail(err, MDL_E_INPUT,
                    "%s: the model's name %s; archive it again under a name of its own, without "
                    "'/' and control characters",
                    archive->path,
                    n == 0 && name[0] == '\0' ? "is empty"
                    : name[n] == '/'          ? "has a '/' in it"
                                              : "has a control character in it");
}

/* Ids that are those of the first file are kept once: they may be many. */
static void share_ids(const mdl_archive_t *first, mdl_cka_source_t *source)
{
    mdl_archive_t *archive = source->archive;
    int64_t same = 0;
    while (archive->n_sample == first->n_sample && same < first->n_sample &&
           strcmp(archive->sample_ids[same], first->sample_ids[same]) == 0)
        same++;
    if (same < first->n_sample)
        return;
    free(archive->sample_ids);
    archive->sample_ids = first->sample_ids;
    source->shares_ids = 1;
}

static int open_all(mdl_cka_archives_t *archives, const char *const *paths, mdl_error_t *err)
{
    int n = archives->n_model;
    for (int a = 0; a < n; a++) {
        int rc = open_either(paths[a], &archives->sources[a].archive, err);
        if (rc == MDL_OK)
            rc = check_name(archives->sources[a].archive, err);
        if (rc != MDL_OK)
            return rc;
        if (a > 0)
            share_ids(archives->sources[0].archive, &archives->sources[a]);
    }
    qsort(archives->sources, (size_t)n, sizeof *archives->sources, by_model);
    for (int a = 1; a < n; a++) {
        const mdl_archive_t *one = archives->sources[a - 1].archive;
        const mdl_archive_t *two = archives->sources[a].archive;
        if (strcmp(one->model, two->model) == 0)
            return mdl_fail(err, MDL_E_INPUT,
                            "%s and %s both hold model %s; leave one out, or import it under "
                            "another name",
                            one->path, two->path, one->model);
    }
    return MDL_OK;
}

static void warn_of_mixture(const mdl_cka_archives_t *archives)
{
    const mdl_archive_t *first = archives->sources[0].archive;
    for (int a = 1; a < archives->n_model; a++) {
        const mdl_archive_t *other = archives->sources[a].archive;
        int side = strcmp(first->side, other->side) != 0;
        if (side || strcmp(first->label, other->label) != 0) {
            mdl_log(MDL_LOG_WARN, "%s holds %s '%s' and %s holds %s '%s': are they comparable?",
                    first->path, side ? "side" : "rows", side ? first->side : first->label,
                    other->path, side ? "side" : "rows", side ? other->side : other->label);
            return;
        }
    }
}

static int refuse_ids(const mdl_archive_t *first, const mdl_archive_t *other, mdl_error_t *err)
{
    int64_t *rows = NULL, n = first->n_sample, missing = 0;
    int rc = mdl_alloc(&rows, (size_t)other->n_sample, sizeof *rows, "matched rows", err);
    if (rc == MDL_OK)
        rc = mdl_archive_find_rows(first, (const char *const *)other->sample_ids, other->n_sample,
                                   rows, err);
    while (rc == MDL_OK && missing < other->n_sample && rows[missing] >= 0)
        missing++;
    if (rc == MDL_OK)
        rc = mdl_fail(err, MDL_E_INPUT,
                      "%s has %lld samples and %s has %lld; sample '%s' is not in the first: "
                      "archive both from the same samples, or give --rows common",
                      first->path, (long long)n, other->path, (long long)other->n_sample,
                      other->sample_ids[missing]);
    free(rows);
    return rc;
}

/* Rows of other for the ids of first. */
static int match(const mdl_archive_t *first, mdl_cka_source_t *source, int common, mdl_error_t *err)
{
    const mdl_archive_t *other = source->archive;
    int rc = mdl_archive_find_rows(other, (const char *const *)first->sample_ids, first->n_sample,
                                   source->rows, err);
    for (int64_t i = 0; rc == MDL_OK && !common && i < first->n_sample; i++)
        if (source->rows[i] < 0)
            return mdl_fail(err, MDL_E_INPUT,
                            "%s has %lld samples and %s has %lld; sample '%s' is not in the "
                            "second: archive both from the same samples, or give --rows common",
                            first->path, (long long)first->n_sample, other->path,
                            (long long)other->n_sample, first->sample_ids[i]);
    if (rc == MDL_OK && !common && other->n_sample > first->n_sample)
        rc = refuse_ids(first, other, err);
    return rc;
}

/* Drops the rows that some model lacks. */
static void keep_common(mdl_cka_archives_t *archives)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < archives->n_sample; i++) {
        int everywhere = 1;
        for (int a = 0; a < archives->n_model; a++)
            everywhere = everywhere && archives->sources[a].rows[i] >= 0;
        for (int a = 0; everywhere && a < archives->n_model; a++)
            archives->sources[a].rows[kept] = archives->sources[a].rows[i];
        kept += everywhere;
    }
    if (kept < archives->n_sample)
        mdl_log(MDL_LOG_INFO, "%lld of %lld samples are in every file", (long long)kept,
                (long long)archives->n_sample);
    archives->n_sample = kept;
}

static int prepare(mdl_cka_archives_t *archives, int model, int common, mdl_error_t *err)
{
    mdl_cka_source_t *source = &archives->sources[model];
    const mdl_archive_t *archive = source->archive;
    archives->paths[model] = archive->path;
    archives->models[model] = (mdl_rows_t){archive->model, archive->n_feat, read_rows, source};
    int rc;
    const mdl_archive_t *leader = archives->sources[archives->leader].archive;
    int same = archive->sample_ids == leader->sample_ids && !common;
    if (!same)
        MDL_TRY(mdl_alloc(&source->rows, (size_t)archives->n_sample, sizeof *source->rows,
                          "matched rows", err));
    if (archive->n_token > 0) {
        int64_t row = mdl_archive_row_size(archive);
        source->n_buffer = row < TOKEN_BUFFER_VALUES ? TOKEN_BUFFER_VALUES / row : 1;
        MDL_TRY(mdl_alloc(&source->tokens, (size_t)(source->n_buffer * row), sizeof(double),
                          "rows of token activations", err));
        MDL_TRY(mdl_alloc(&source->sum, (size_t)archive->n_feat, sizeof(double), "a row", err));
    }
    rc = same ? MDL_OK : match(leader, source, common, err);
done:
    return rc;
}

int mdl_cka_archives_open(mdl_cka_archives_t *archives, const char *const *paths, int n, int common,
                          mdl_error_t *err)
{
    *archives = (mdl_cka_archives_t){.n_model = n};
    size_t count = (size_t)n;
    int rc;
    MDL_TRY(mdl_alloc(&archives->sources, count, sizeof *archives->sources, "models", err));
    MDL_TRY(mdl_alloc(&archives->models, count, sizeof *archives->models, "models", err));
    MDL_TRY(mdl_alloc(&archives->paths, count, sizeof *archives->paths, "models", err));
    MDL_TRY(open_all(archives, paths, err));
    for (int a = n - 1; a >= 0; a--)
        if (is_stand_in(archives->sources[a].archive))
            archives->leader = a;
    const mdl_archive_t *first = archives->sources[archives->leader].archive;
    archives->n_sample = first->n_sample;
    archives->side = first->side;
    archives->label = first->label;
    warn_of_mixture(archives);
    for (int a = 0; a < n; a++)
        MDL_TRY(prepare(archives, a, common, err));
    if (common)
        keep_common(archives);
done:
    return rc;
}

void mdl_cka_archives_close(mdl_cka_archives_t *archives)
{
    for (int a = 0; archives->sources != NULL && a < archives->n_model; a++) {
        if (archives->sources[a].shares_ids)
            archives->sources[a].archive->sample_ids = NULL;
        mdl_archive_close(archives->sources[a].archive);
        free(archives->sources[a].rows);
        free(archives->sources[a].tokens);
        free(archives->sources[a].sum);
    }
    free(archives->sources);
    free(archives->models);
    free(archives->paths);
    *archives = (mdl_cka_archives_t){0};
}

double mdl_cka_archives_row_bytes(const mdl_cka_archives_t *archives, int model)
{
    const mdl_archive_t *archive = archives->sources[model].archive;
    return (double)mdl_encoding_size(archive->encoding) * (double)mdl_archive_row_size(archive);
}

const char *mdl_cka_archives_digest(const mdl_cka_archives_t *archives, int model)
{
    const mdl_archive_t *archive = archives->sources[model].archive;
    return is_stand_in(archive) ? NULL : archive->content_digest;
}

const mdl_archive_stop_t *mdl_cka_archives_stop(const mdl_cka_archives_t *archives)
{
    const mdl_archive_t *first = archives->sources[0].archive;
    const mdl_archive_stop_t *stop = &first->stop;
    int over = stop->state == MDL_ARCHIVE_SETTLED || stop->state == MDL_ARCHIVE_UNDECIDED;
    for (int a = 1; over && a < archives->n_model; a++) {
        const mdl_archive_t *archive = archives->sources[a].archive;
        const mdl_archive_stop_t *other = &archive->stop;
        over = archive->n_sample == first->n_sample && other->state == stop->state &&
               other->n_available == stop->n_available && other->confidence == stop->confidence &&
               strcmp(other->rule, stop->rule) == 0;
    }
    return over ? stop : NULL;
}

const char *mdl_cka_archives_sample_id(const mdl_cka_archives_t *archives, int64_t row)
{
    const mdl_cka_source_t *leader = &archives->sources[archives->leader];
    return leader->archive->sample_ids[row_of(leader, row)];
}

mdl_encoding_t mdl_cka_archives_precision(const mdl_cka_archives_t *archives)
{
    for (int a = 0; a < archives->n_model; a++)
        if (archives->sources[a].archive->encoding == MDL_FLOAT64)
            return MDL_FLOAT64;
    return MDL_FLOAT32;
}
