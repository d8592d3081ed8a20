#include "io/archive_file.h"

#include "core/text.h"
#include "io/h5_float.h"
#include "io/sample_ids.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Rows are read, checked and converted in pieces of about this size, which the caches hold. */
enum { PIECE_BYTES = 1 << 18 };

static const char advice[] = "make it with mordal-archive import or extract";

static int damaged(const mdl_archive_t *archive, const char *what, mdl_error_t *err)
{
    return mdl_fail(err, MDL_E_INPUT,
                    "%s: %s; remove the file and make it again with mordal-archive", archive->path,
                    what);
}

static int read_encoding(mdl_archive_t *archive, hid_t file, mdl_error_t *err)
{
    char *name = NULL;
    int rc;
    MDL_TRY(mdl_h5_get_text(file, "encoding", &name, err));
    if (!mdl_encoding_find(name, &archive->encoding)) {
        rc = mdl_fail(err, MDL_E_INPUT,
                      "%s: attribute encoding is '%s', expected float16, bfloat16, float32 or "
                      "float64",
                      archive->path, name);
        goto done;
    }
    hid_t dataset = H5Dopen2(file, "activation", H5P_DEFAULT);
    hid_t stored = H5Dget_type(dataset), expected = mdl_h5_float_type(archive->encoding);
    haddr_t start = H5Dget_offset(dataset);
    archive->data_start = (int64_t)start;
    if (H5Tequal(stored, expected) <= 0)
        rc = damaged(archive, "the type of /activation is not that of attribute encoding", err);
    else if (start == HADDR_UNDEF)
        rc = damaged(archive, "/activation is not contiguous (chunked, compressed or empty)", err);
    H5Tclose(expected);
    H5Tclose(stored);
    H5Dclose(dataset);
done:
    free(name);
    return rc;
}

static int read_shape(mdl_archive_t *archive, hid_t file, mdl_error_t *err)
{
    int64_t dims[MDL_H5_MAX_RANK];
    int n_dim;
    int rc = mdl_h5_shape(file, "activation", &n_dim, dims, err);
    if (rc != MDL_OK)
        return rc;
    if (n_dim != 2 && n_dim != 3)
        return damaged(archive, "/activation has neither two nor three dimensions", err);
    for (int i = 0; i < n_dim; i++)
        if (dims[i] < 1)
            return damaged(archive, "/activation has an empty dimension", err);
    archive->n_sample = dims[0];
    archive->n_token = n_dim == 3 ? dims[1] : 0;
    archive->n_feat = dims[n_dim - 1];
    if (n_dim == 3 && dims[1] > MDL_ARCHIVE_MAX_ROW / dims[2])
        return damaged(archive, "a row of /activation is too large", err);
    if (mdl_archive_row_size(archive) > MDL_ARCHIVE_MAX_ROW)
        return damaged(archive, "a row of /activation is too large", err);
    return MDL_OK;
}

const char *mdl_archive_state_name(mdl_archive_state_t state)
{
    static const char *const names[] = {"whole", "open", "settled", "undecided"};
    return names[state];
}

/* Of an archive that is made until the clusters are settled. */
static int read_stop(mdl_archive_t *archive, hid_t file, mdl_error_t *err)
{
    mdl_archive_stop_t *stop = &archive->stop;
    char *name = NULL;
    int rc = MDL_OK, state = MDL_ARCHIVE_OPEN;
    if (H5Aexists(file, "n_available") <= 0)
        return MDL_OK;
    MDL_TRY(mdl_h5_get_int(file, "n_available", &stop->n_available, err));
    MDL_TRY(mdl_h5_get_text(file, "stop", &name, err));
    MDL_TRY(mdl_h5_get_text(file, "stop_rule", &stop->rule, err));
    MDL_TRY(mdl_h5_get_double(file, "confidence", &stop->confidence, err));
    while (state < MDL_ARCHIVE_UNDECIDED && strcmp(name, mdl_archive_state_name(state)) != 0)
        state++;
    stop->state = state;
    if (strcmp(name, mdl_archive_state_name(state)) != 0 || stop->n_available < archive->n_sample ||
        !(stop->confidence >= 0 && stop->confidence <= 1))
        rc = damaged(archive, "its attributes stop, n_available and confidence don't go together",
                     err);
done:
    free(name);
    return rc;
}

static int find_digests(mdl_archive_t *archive, hid_t file, mdl_error_t *err)
{
    int64_t dims[MDL_H5_MAX_RANK];
    int n_dim;
    int rc = mdl_h5_shape(file, "row_digest", &n_dim, dims, err);
    if (rc != MDL_OK)
        return rc;
    if (n_dim != 1 || dims[0] != archive->n_sample)
        return damaged(archive, "/row_digest has not one number for each row", err);
    hid_t dataset = H5Dopen2(file, "row_digest", H5P_DEFAULT);
    hid_t stored = H5Dget_type(dataset);
    haddr_t start = H5Dget_offset(dataset);
    archive->digest_start = (int64_t)start;
    if (H5Tequal(stored, H5T_STD_U64LE) <= 0 || start == HADDR_UNDEF)
        rc = damaged(archive, "/row_digest is not contiguous uint64", err);
    H5Tclose(stored);
    H5Dclose(dataset);
    return rc;
}

static int read_ids(mdl_archive_t *archive, hid_t file, mdl_error_t *err)
{
    int64_t n = archive->n_sample;
    int rc = mdl_h5_read_text(file, "sample_id", &n, &archive->sample_ids, err);
    if (rc != MDL_OK)
        return rc;
    return mdl_sample_ids_check((const char *const *)archive->sample_ids, n, archive->path, err);
}

int mdl_archive_shape(const char *path, int64_t *n_token, int64_t *n_feat, mdl_error_t *err)
{
    mdl_archive_t archive = {.path = (char *)path};
    hid_t file;
    int rc = mdl_result_open(path, MDL_ARCHIVE_SCHEMA, MDL_ARCHIVE_VERSION, advice, &file, err);
    if (rc != MDL_OK)
        return rc;
    rc = read_shape(&archive, file, err);
    mdl_h5_close(file);
    *n_token = archive.n_token;
    *n_feat = archive.n_feat;
    return rc;
}

int mdl_archive_open(const char *path, mdl_archive_t **archive, mdl_error_t *err)
{
    mdl_archive_t *made;
    hid_t file = -1;
    char *digest = NULL;
    int rc = mdl_alloc(&made, 1, sizeof *made, "an archive", err);
    if (rc != MDL_OK)
        return rc;
    made->descriptor = -1;
    made->path = mdl_text("%s", path);
    if (made->path == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory for the path %s", path));
    MDL_TRY(mdl_result_open(path, MDL_ARCHIVE_SCHEMA, MDL_ARCHIVE_VERSION, advice, &file, err));
    MDL_TRY(mdl_h5_get_text(file, "content_digest", &digest, err));
    snprintf(made->content_digest, sizeof made->content_digest, "%s", digest);
    MDL_TRY(mdl_h5_get_text(file, "model", &made->model, err));
    MDL_TRY(mdl_h5_get_text(file, "side", &made->side, err));
    MDL_TRY(mdl_h5_get_text(file, "label", &made->label, err));
    MDL_TRY(mdl_h5_get_text(file, "source", &made->source, err));
    MDL_TRY(read_shape(made, file, err));
    MDL_TRY(read_encoding(made, file, err));
    MDL_TRY(read_ids(made, file, err));
    MDL_TRY(read_stop(made, file, err));
    MDL_TRY(find_digests(made, file, err));
    made->descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (made->descriptor < 0)
        MDL_TRY(mdl_fail(err, MDL_E_IO, "%s: opening failed: %s", path, strerror(errno)));
    *archive = made;
    made = NULL;
done:
    free(digest);
    mdl_h5_close(file); /* HDF5 keeps a megabyte for every open file */
    mdl_archive_close(made);
    return rc;
}

void mdl_archive_close(mdl_archive_t *archive)
{
    if (archive == NULL)
        return;
    if (archive->descriptor >= 0)
        close(archive->descriptor);
    free(archive->path);
    free(archive->model);
    free(archive->side);
    free(archive->stop.rule);
    free(archive->label);
    free(archive->source);
    free(archive->sample_ids);
    free(archive);
}

int64_t mdl_archive_row_size(const mdl_archive_t *archive)
{
    return (archive->n_token > 0 ? archive->n_token : 1) * archive->n_feat;
}

/* digests: [n_row] as stored, little-endian. */
static int check_rows(const mdl_archive_t *archive, int64_t first, int64_t n_row, const void *bytes,
                      size_t n_row_byte, const unsigned char *digests, mdl_error_t *err)
{
    for (int64_t i = 0; i < n_row; i++) {
        uint64_t expected = 0;
        for (int b = 7; b >= 0; b--)
            expected = expected << 8 | digests[8 * i + b];
        if (mdl_digest_row((const char *)bytes + (size_t)i * n_row_byte, n_row_byte) != expected)
            return mdl_fail(err, MDL_E_INPUT,
                            "%s: row %" PRId64 " (sample '%s') does not match its digest: the "
                            "file is damaged; remove it and make it again with mordal-archive",
                            archive->path, first + i, archive->sample_ids[first + i]);
    }
    return MDL_OK;
}

static int check_finite(const mdl_archive_t *archive, int64_t first, int64_t n_row,
                        mdl_encoding_t encoding, const void *values, mdl_error_t *err)
{
    int64_t n_value = mdl_archive_row_size(archive);
    int64_t bad = mdl_float_first_bad(encoding, values, (size_t)(n_row * n_value));
    if (bad < 0)
        return MDL_OK;
    return mdl_fail(err, MDL_E_INPUT,
                    "%s: model %s, sample '%s', column %" PRId64 " is not finite as %s",
                    archive->path, archive->model, archive->sample_ids[first + bad / n_value],
                    bad % n_value, mdl_encoding_name(encoding));
}

static int read_bytes(const mdl_archive_t *archive, int64_t start, size_t n_byte, void *bytes,
                      mdl_error_t *err)
{
    for (size_t done = 0; done < n_byte;) {
        ssize_t n = pread(archive->descriptor, (char *)bytes + done, n_byte - done,
                          (off_t)start + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return mdl_fail(err, MDL_E_IO, "%s: reading rows failed: %s", archive->path,
                            strerror(errno));
        if (n == 0)
            return damaged(archive, "it ends before its last row", err);
        done += (size_t)n;
    }
    return MDL_OK;
}

int mdl_archive_read_rows(const mdl_archive_t *archive, int64_t first, int64_t n_row,
                          mdl_encoding_t encoding, void *out, mdl_error_t *err)
{
    if (first < 0 || n_row < 0 || first > archive->n_sample - n_row)
        return mdl_fail(err, MDL_E_INTERNAL, "%s: rows %" PRId64 " to %" PRId64 " of %" PRId64,
                        archive->path, first, first + n_row, archive->n_sample);
    int64_t n_value = mdl_archive_row_size(archive);
    size_t n_stored = (size_t)n_value * mdl_encoding_size(archive->encoding);
    size_t n_out = (size_t)n_value * mdl_encoding_size(encoding);
    int64_t n_piece = n_stored < PIECE_BYTES ? (int64_t)(PIECE_BYTES / n_stored) : 1;
    int converts = archive->encoding != encoding;
    char *buffer = NULL;
    unsigned char *digests = NULL;
    int rc;
    MDL_TRY(mdl_alloc(&digests, (size_t)n_row, 8, "row digests", err));
    MDL_TRY(
        read_bytes(archive, archive->digest_start + 8 * first, 8 * (size_t)n_row, digests, err));
    if (converts)
        MDL_TRY(mdl_alloc_aligned(&buffer, (size_t)n_piece, n_stored, "rows of an archive", err));
    for (int64_t row = first; row < first + n_row; row += n_piece) {
        int64_t n = first + n_row - row < n_piece ? first + n_row - row : n_piece;
        char *target = (char *)out + (size_t)(row - first) * n_out;
        char *bytes = converts ? buffer : target;
        MDL_TRY(read_bytes(archive, archive->data_start + row * (int64_t)n_stored,
                           (size_t)n * n_stored, bytes, err));
        MDL_TRY(check_rows(archive, row, n, bytes, n_stored, digests + 8 * (row - first), err));
        if (converts)
            mdl_float_convert(archive->encoding, bytes, encoding, target, (size_t)(n * n_value));
    }
done:
    free(buffer);
    free(digests);
    return rc;
}

int mdl_archive_read(const mdl_archive_t *archive, int64_t first, int64_t n_row,
                     mdl_encoding_t encoding, void *out, mdl_error_t *err)
{
    int rc = mdl_archive_read_rows(archive, first, n_row, encoding, out, err);
    return rc == MDL_OK ? check_finite(archive, first, n_row, encoding, out, err) : rc;
}

int mdl_archive_read_float(const mdl_archive_t *archive, int64_t first, int64_t n_row, float *out,
                           mdl_error_t *err)
{
    return mdl_archive_read(archive, first, n_row, MDL_FLOAT32, out, err);
}

int mdl_archive_read_double(const mdl_archive_t *archive, int64_t first, int64_t n_row, double *out,
                            mdl_error_t *err)
{
    return mdl_archive_read(archive, first, n_row, MDL_FLOAT64, out, err);
}

int mdl_archive_find_rows(const mdl_archive_t *archive, const char *const *ids, int64_t n,
                          int64_t *rows, mdl_error_t *err)
{
    mdl_id_table_t *table;
    int rc = mdl_id_table_new((const char *const *)archive->sample_ids, archive->n_sample,
                              archive->path, &table, err);
    if (rc != MDL_OK)
        return rc;
    for (int64_t i = 0; i < n; i++)
        rows[i] = mdl_id_table_find(table, ids[i]);
    free(table);
    return MDL_OK;
}
