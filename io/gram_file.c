#include "io/gram_file.h"

#include "core/text.h"
#include "io/h5_float.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char advice[] = "run mordal-cka with its archive";

int mdl_gram_sample_digest(const char *const *ids, int64_t n, char digits[MDL_DIGEST_SIZE],
                           mdl_error_t *err)
{
    mdl_digest_t *digest;
    int rc = mdl_digest_start(&digest, err);
    if (rc != MDL_OK)
        return rc;
    for (int64_t i = 0; i < n; i++)
        mdl_digest_add_text(digest, ids[i]);
    mdl_digest_finish(digest, digits);
    return MDL_OK;
}

static int take_digest(hid_t file, const char *name, char digits[MDL_DIGEST_SIZE], mdl_error_t *err)
{
    char *text = NULL;
    int rc = mdl_h5_get_text(file, name, &text, err);
    if (rc == MDL_OK)
        snprintf(digits, MDL_DIGEST_SIZE, "%s", text);
    free(text);
    return rc;
}

static int read_attributes(hid_t file, mdl_gram_t *gram, mdl_error_t *err)
{
    char *encoding = NULL;
    int rc;
    MDL_TRY(mdl_h5_get_text(file, "model", &gram->model, err));
    MDL_TRY(mdl_h5_get_text(file, "side", &gram->side, err));
    MDL_TRY(mdl_h5_get_text(file, "label", &gram->label, err));
    MDL_TRY(mdl_h5_get_text(file, "encoding", &encoding, err));
    MDL_TRY(take_digest(file, "inputs_digest", gram->archive_digest, err));
    MDL_TRY(take_digest(file, "sample_digest", gram->sample_digest, err));
    MDL_TRY(mdl_h5_get_int(file, "batch", &gram->batch, err));
    MDL_TRY(mdl_h5_get_int(file, "n_feat", &gram->n_feat, err));
    if (H5Aexists(file, "sigma") > 0)
        MDL_TRY(mdl_h5_get_double(file, "sigma", &gram->sigma, err));
    int found = mdl_encoding_find(encoding, &gram->encoding);
    if (!found || (gram->encoding != MDL_FLOAT32 && gram->encoding != MDL_FLOAT64))
        rc = mdl_fail(err, MDL_E_INPUT, "%s: encoding '%s' is neither float32 nor float64; %s",
                      gram->path, encoding, advice);
done:
    free(encoding);
    return rc;
}

/* Where the rows of /gram are, after a look at their type and shape. */
static int find_batches(hid_t file, mdl_gram_t *gram, mdl_error_t *err)
{
    int64_t dims[MDL_H5_MAX_RANK];
    int n_dim;
    int rc = mdl_h5_shape(file, "/gram", &n_dim, dims, err);
    if (rc != MDL_OK)
        return rc;
    hid_t dataset = H5Dopen2(file, "/gram", H5P_DEFAULT), type = H5Dget_type(dataset);
    hid_t wanted = mdl_h5_float_type(gram->encoding);
    int fits = n_dim == 2 && H5Tequal(type, wanted) > 0;
    gram->n_batch = dims[0];
    gram->n_value = n_dim == 2 ? dims[1] : 0;
    haddr_t start = H5Dget_offset(dataset);
    gram->data_start = (int64_t)start;
    H5Tclose(wanted);
    H5Tclose(type);
    H5Dclose(dataset);
    int64_t batch = gram->batch;
    if (fits && start != HADDR_UNDEF && gram->n_feat > 0 && batch >= 4 && batch < 1 << 20 &&
        gram->n_value >= 6 && gram->n_value < batch * (batch - 1) / 2 + 8)
        return MDL_OK;
    return mdl_fail(err, MDL_E_INPUT,
                    "%s: /gram isn't what a batch of %lld rows makes: contiguous, %s, a row for "
                    "each batch; %s",
                    gram->path, (long long)batch, mdl_encoding_name(gram->encoding), advice);
}

static int read_digests(hid_t file, mdl_gram_t *gram, mdl_error_t *err)
{
    int64_t dims[MDL_H5_MAX_RANK];
    int n_dim;
    int rc = mdl_h5_shape(file, "/batch_digest", &n_dim, dims, err);
    if (rc == MDL_OK && (n_dim != 1 || dims[0] != gram->n_batch))
        rc = mdl_fail(err, MDL_E_INPUT, "%s: /batch_digest has not one number for each batch; %s",
                      gram->path, advice);
    if (rc == MDL_OK)
        rc = mdl_alloc(&gram->digests, (size_t)gram->n_batch, sizeof *gram->digests,
                       "batch digests", err);
    if (rc != MDL_OK)
        return rc;
    hid_t dataset = H5Dopen2(file, "/batch_digest", H5P_DEFAULT);
    if (H5Dread(dataset, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, gram->digests) < 0)
        rc = mdl_h5_fail(file, "/batch_digest cannot be read", MDL_E_INPUT, err);
    H5Dclose(dataset);
    return rc;
}

static int read_columns(hid_t file, mdl_gram_t *gram, mdl_error_t *err)
{
    int64_t n = gram->n_batch;
    int rc;
    gram->n_sample = -1;
    MDL_TRY(mdl_h5_read_text(file, "/sample_id", &gram->n_sample, &gram->sample_ids, err));
    MDL_TRY(mdl_h5_read_double(file, "/power", 1, &n, &gram->power, err));
    MDL_TRY(mdl_h5_read_double(file, "/exponent", 1, &n, &gram->exponent, err));
    MDL_TRY(read_digests(file, gram, err));
    int64_t left = gram->n_sample - n * gram->batch;
    int fits = n > 0 && left < 4 && left > -gram->batch;
    for (int64_t k = 0; k < n; k++) {
        gram->n_kept += isfinite(gram->power[k]);
        fits = fits && !isinf(gram->power[k]) && fabs(gram->exponent[k]) < 5000 &&
               gram->exponent[k] == floor(gram->exponent[k]);
    }
    if (!fits)
        rc = mdl_fail(err, MDL_E_INPUT,
                      "%s: %lld batches of %lld don't go with %lld samples, or their scales are "
                      "damaged; %s",
                      gram->path, (long long)n, (long long)gram->batch, (long long)gram->n_sample,
                      advice);
done:
    return rc;
}

int mdl_gram_open(const char *path, mdl_gram_t **gram, mdl_error_t *err)
{
    mdl_gram_t *made;
    hid_t file = -1;
    *gram = NULL;
    int rc = mdl_alloc(&made, 1, sizeof *made, "a Gram file", err);
    if (rc != MDL_OK)
        return rc;
    made->descriptor = -1;
    made->path = mdl_text("%s", path);
    if (made->path == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory for the path %s", path));
    MDL_TRY(mdl_result_open(path, MDL_GRAM_SCHEMA, MDL_GRAM_VERSION, advice, &file, err));
    MDL_TRY(read_attributes(file, made, err));
    MDL_TRY(find_batches(file, made, err));
    MDL_TRY(read_columns(file, made, err));
    made->descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (made->descriptor < 0)
        MDL_TRY(mdl_fail(err, MDL_E_IO, "%s: opening failed: %s", path, strerror(errno)));
    *gram = made;
    made = NULL;
done:
    mdl_h5_close(file);
    mdl_gram_close(made);
    return rc;
}

void mdl_gram_close(mdl_gram_t *gram)
{
    if (gram == NULL)
        return;
    if (gram->descriptor >= 0)
        close(gram->descriptor);
    free(gram->path);
    free(gram->model);
    free(gram->side);
    free(gram->label);
    free(gram->sample_ids);
    free(gram->power);
    free(gram->exponent);
    free(gram->digests);
    free(gram);
}

int mdl_gram_read(const mdl_gram_t *gram, int64_t number, int64_t n_value, void *out,
                  mdl_error_t *err)
{
    size_t size = mdl_encoding_size(gram->encoding), n_byte = (size_t)n_value * size, n_read = 0;
    if (number < 0 || number >= gram->n_batch || n_value > gram->n_value)
        return mdl_fail(err, MDL_E_INTERNAL, "%s: batch %lld of %lld", gram->path,
                        (long long)number, (long long)gram->n_batch);
    off_t start = (off_t)(gram->data_start + number * gram->n_value * (int64_t)size);
    while (n_read < n_byte) {
        ssize_t n =
            pread(gram->descriptor, (char *)out + n_read, n_byte - n_read, start + (off_t)n_read);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return mdl_fail(err, MDL_E_IO, "%s: batch %lld cannot be read: %s", gram->path,
                            (long long)number, n < 0 ? strerror(errno) : "the file is cut short");
        n_read += (size_t)n;
    }
    if (mdl_digest_row(out, n_byte) != gram->digests[number])
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: batch %lld (from 0) is damaged; remove the file and %s", gram->path,
                        (long long)number, advice);
    return MDL_OK;
}
