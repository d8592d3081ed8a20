#include "models/features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Spread below this share of the mean is rounding, not variation. */
static const double CONSTANT = 1e-10;

/* Numbers the images that the corpus names in the order of the archive's rows. row_of:
 * [archive->n_sample], the archive row's number or -1; features->image holds archive rows on entry
 * and those numbers afterwards. */
static void number_images(const mdl_archive_t *archive, const mdl_corpus_t *corpus,
                          mdl_features_t *features, int64_t *row_of)
{
    for (int64_t row = 0; row < archive->n_sample; row++)
        row_of[row] = -1;
    for (int64_t i = 0; i < corpus->n_sample; i++)
        row_of[features->image[i]] = 0;
    for (int64_t row = 0; row < archive->n_sample; row++)
        if (row_of[row] == 0)
            row_of[row] = features->n_image++;
    for (int64_t i = 0; i < corpus->n_sample; i++)
        features->image[i] = row_of[features->image[i]];
}

static int match_images(const mdl_archive_t *archive, const mdl_corpus_t *corpus,
                        mdl_features_t *features, int64_t **row_of, mdl_error_t *err)
{
    int rc;
    MDL_TRY(mdl_alloc(&features->image, (size_t)corpus->n_sample, sizeof *features->image,
                      "image numbers", err));
    MDL_TRY(mdl_alloc(row_of, (size_t)archive->n_sample, sizeof **row_of, "image rows", err));
    MDL_TRY(mdl_archive_find_rows(archive, (const char *const *)corpus->image, corpus->n_sample,
                                  features->image, err));
    for (int64_t i = 0; i < corpus->n_sample; i++)
        if (features->image[i] < 0) {
            rc = mdl_fail(err, MDL_E_INPUT,
                          "%s: has no features of image '%.100s' (sample %lld of %s); import the "
                          "activations of all images of the corpus",
                          archive->path, corpus->image[i], (long long)i, corpus->path);
            goto done;
        }
    number_images(archive, corpus, features, *row_of);
done:
    return rc;
}

/* Reads the archive's rows that are used, neighbours in one call. */
static int read_rows(mdl_archive_t *archive, const int64_t *row_of, mdl_features_t *features,
                     mdl_error_t *err)
{
    int64_t width = features->n_visual * features->n_feat;
    int rc = mdl_alloc(&features->value, (size_t)features->n_image,
                       (size_t)width * sizeof *features->value, "vision features", err);
    for (int64_t row = 0; rc == MDL_OK && row < archive->n_sample;) {
        int64_t end = row;
        while (end < archive->n_sample && row_of[end] >= 0)
            end++;
        if (end > row)
            rc = mdl_archive_read_float(archive, row, end - row,
                                        features->value + row_of[row] * width, err);
        row = end > row ? end : row + 1;
    }
    return rc;
}

/* Adds, for each column, value (power 1) or the squared distance from centre (power 2) of the
 * marked images to sum [n_feat]. */
static void add_columns(const mdl_features_t *features, const uint8_t *marked, int power,
                        const double *centre, double *sum)
{
    int64_t n_feat = features->n_feat;
    memset(sum, 0, (size_t)n_feat * sizeof *sum);
    for (int64_t i = 0; i < features->n_image * features->n_visual; i++) {
        if (!marked[i / features->n_visual])
            continue;
        const float *row = features->value + i * n_feat;
        for (int64_t k = 0; k < n_feat; k++) {
            double distance = power == 1 ? row[k] : row[k] - centre[k];
            sum[k] += power == 1 ? distance : distance * distance;
        }
    }
}

static int standardise(const mdl_corpus_t *corpus, mdl_features_t *features, mdl_error_t *err)
{
    int64_t n_feat = features->n_feat, n_row = 0;
    double *mean = NULL, *scale = NULL;
    uint8_t *marked = NULL;
    int rc;
    MDL_TRY(mdl_alloc(&mean, (size_t)n_feat, sizeof *mean, "feature means", err));
    MDL_TRY(mdl_alloc(&scale, (size_t)n_feat, sizeof *scale, "feature spreads", err));
    MDL_TRY(mdl_alloc(&marked, (size_t)features->n_image, 1, "image marks", err));
    for (int64_t i = 0; i < corpus->n_train; i++)
        marked[features->image[corpus->train[i]]] = 1;
    for (int64_t i = 0; i < features->n_image; i++)
        n_row += marked[i] * features->n_visual;
    add_columns(features, marked, 1, NULL, mean);
    for (int64_t k = 0; k < n_feat; k++)
        mean[k] /= (double)n_row;
    add_columns(features, marked, 2, mean, scale);
    for (int64_t k = 0; k < n_feat; k++) {
        double spread = sqrt(scale[k] / (double)n_row);
        scale[k] = spread > CONSTANT * fabs(mean[k]) ? 1 / spread : 0;
    }
    for (int64_t i = 0; i < features->n_image * features->n_visual; i++)
        for (int64_t k = 0; k < n_feat; k++) {
            float *value = features->value + i * n_feat + k;
            *value = scale[k] > 0 ? (float)((*value - mean[k]) * scale[k]) : 0;
        }
done:
    free(mean);
    free(scale);
    free(marked);
    return rc;
}

int mdl_features_read(const char *path, const mdl_corpus_t *corpus, mdl_features_t **features,
                      mdl_error_t *err)
{
    mdl_archive_t *archive = NULL;
    mdl_features_t *made = NULL;
    int64_t *row_of = NULL;
    int rc;
    MDL_TRY(mdl_archive_open(path, &archive, err));
    MDL_TRY(mdl_alloc(&made, 1, sizeof *made, "vision features", err));
    memcpy(made->content_digest, archive->content_digest, sizeof made->content_digest);
    made->n_visual = archive->n_token > 0 ? archive->n_token : 1;
    made->n_feat = archive->n_feat;
    MDL_TRY(match_images(archive, corpus, made, &row_of, err));
    MDL_TRY(read_rows(archive, row_of, made, err));
    MDL_TRY(standardise(corpus, made, err));
    *features = made;
    made = NULL;
done:
    free(row_of);
    mdl_archive_close(archive);
    mdl_features_free(made);
    return rc;
}

int mdl_features_shape(const char *path, int64_t *n_visual, int64_t *n_feat, mdl_error_t *err)
{
    int rc = mdl_archive_shape(path, n_visual, n_feat, err);
    if (rc == MDL_OK && *n_visual == 0)
        *n_visual = 1;
    return rc;
}

void mdl_features_free(mdl_features_t *features)
{
    if (features == NULL)
        return;
    free(features->value);
    free(features->image);
    free(features);
}

const float *mdl_features_of(const mdl_features_t *features, int64_t sample)
{
    return features->value + features->image[sample] * features->n_visual * features->n_feat;
}
