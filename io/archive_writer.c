/* Writing of archive files. Rank 0 makes the file serially, with everything but the rows; all ranks
 * then write rows through MPI-IO; rank 0 adds the row digests, seals, and puts it into place. */
#define _GNU_SOURCE /* fallocate */
#include "io/archive_file.h"
#include "io/h5_float.h"
#include "io/sample_ids.h"
#include "mpi/agree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Bytes that HDF5 may add beside rows and row digests. */
enum { GROWTH = 1 << 16 };

/* MPI-IO layers count bytes of one call in an int. */
#define MAX_CALL_BYTES ((size_t)1 << 30)

struct mdl_archive_writer {
    MPI_Comm comm;
    int rank;
    mdl_archive_info_t info;
    int64_t n_value; /* of one row */
    size_t n_row_byte;
    mdl_result_t result; /* rank 0 */
    char *temporary;     /* the file while it is written, on every rank */
    hid_t file, dataset; /* by MPI-IO */
    int64_t n_written;   /* rows of this rank */
    uint64_t *digests;   /* [n_sample], zero for rows of other ranks */
};

static int check_shape(const char *path, const mdl_archive_info_t *info, mdl_error_t *err)
{
    if (info->n_sample < 1 || info->n_feat < 1 || info->n_token < 0)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: model %s has %" PRId64 " samples of %" PRId64
                        " features; an archive holds at least one of each",
                        path, info->model, info->n_sample, info->n_feat);
    int64_t n_token = info->n_token > 0 ? info->n_token : 1;
    if (info->n_sample > INT_MAX || info->n_feat > MDL_ARCHIVE_MAX_ROW / n_token)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: model %s has %" PRId64 " samples of %" PRId64 " x %" PRId64
                        " values, too many for an archive",
                        path, info->model, info->n_sample, n_token, info->n_feat);
    return MDL_OK;
}

/* How datasets are made: without the time of day, so that equal content gives equal files. */
static hid_t new_plan(void)
{
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(plan, 0);
    return plan;
}

/* A new dataset with one value for each row. */
static int write_column(hid_t file, const char *name, hid_t type, int64_t n, const void *values,
                        mdl_error_t *err)
{
    char what[128];
    hsize_t extent = (hsize_t)n;
    hid_t space = H5Screate_simple(1, &extent, NULL), plan = new_plan();
    hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    int rc = MDL_OK;
    if (dataset < 0 || H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) {
        snprintf(what, sizeof what, "dataset %s cannot be written; is the disk full?", name);
        rc = mdl_h5_fail(file, what, MDL_E_IO, err);
    }
    if (dataset >= 0)
        H5Dclose(dataset);
    H5Pclose(plan);
    H5Sclose(space);
    return rc;
}

static int write_ids(hid_t file, const mdl_archive_info_t *info, mdl_error_t *err)
{
    size_t width = 1;
    for (int64_t i = 0; i < info->n_sample; i++)
        if (strlen(info->sample_ids[i]) > width)
            width = strlen(info->sample_ids[i]);
    char *characters;
    int rc = mdl_alloc(&characters, (size_t)info->n_sample, width, "sample ids", err);
    if (rc != MDL_OK)
        return rc;
    for (int64_t i = 0; i < info->n_sample; i++)
        memcpy(characters + (size_t)i * width, info->sample_ids[i], strlen(info->sample_ids[i]));
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, width);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    rc = write_column(file, "sample_id", type, info->n_sample, characters, err);
    H5Tclose(type);
    free(characters);
    return rc;
}

static int write_attributes(hid_t file, const mdl_archive_info_t *info, mdl_error_t *err)
{
    int rc;
    MDL_TRY(mdl_h5_set_text(file, "model", info->model, err));
    MDL_TRY(mdl_h5_set_text(file, "side", info->side, err));
    MDL_TRY(mdl_h5_set_text(file, "label", info->label, err));
    MDL_TRY(mdl_h5_set_text(file, "source", info->source, err));
    MDL_TRY(mdl_h5_set_text(file, "encoding", mdl_encoding_name(info->encoding), err));
    MDL_TRY(mdl_h5_set_text(file, "digested_by_row", "activation", err));
    if (info->stop.state == MDL_ARCHIVE_WHOLE)
        goto done;
    MDL_TRY(mdl_h5_set_int(file, "n_available", info->stop.n_available, err));
    MDL_TRY(mdl_h5_set_text(file, "stop", mdl_archive_state_name(info->stop.state), err));
    MDL_TRY(mdl_h5_set_text(file, "stop_rule", info->stop.rule, err));
    rc = mdl_h5_set_double(file, "confidence", info->stop.confidence, err);
done:
    return rc;
}

/* Space is allocated when all ranks open the file and left unfilled: every byte gets written. */
static int make_rows(hid_t file, const mdl_archive_info_t *info, mdl_error_t *err)
{
    int n_dim = info->n_token > 0 ? 3 : 2;
    hsize_t extent[3] = {(hsize_t)info->n_sample, (hsize_t)info->n_token, (hsize_t)info->n_feat};
    extent[n_dim - 1] = (hsize_t)info->n_feat;
    hid_t type = mdl_h5_float_type(info->encoding), plan = new_plan();
    hid_t space = H5Screate_simple(n_dim, extent, NULL);
    H5Pset_alloc_time(plan, H5D_ALLOC_TIME_LATE);
    H5Pset_fill_time(plan, H5D_FILL_TIME_NEVER);
    hid_t dataset = H5Dcreate2(file, "activation", type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    int rc = MDL_OK;
    if (dataset < 0 || H5Dclose(dataset) < 0)
        rc = mdl_h5_fail(file, "dataset activation cannot be made; is the disk full?", MDL_E_IO,
                         err);
    H5Sclose(space);
    H5Pclose(plan);
    H5Tclose(type);
    return rc;
}

/* For filesystems that cannot set space aside: is there so much? 0 or the cause in errno's terms.
 */
static int check_free_space(int file, int64_t n_byte)
{
    struct statvfs disk;
    if (fstatvfs(file, &disk) != 0)
        return errno;
    return (double)disk.f_bavail * (double)disk.f_frsize < (double)n_byte ? ENOSPC : 0;
}

/* Takes the disk space that the file will grow by, so that a full disk shows before any work, and
 * not in HDF5 or MPI-IO, which cannot end cleanly after a failed write. */
static int reserve(const char *path, int64_t n_byte, mdl_error_t *err)
{
    struct stat info;
    int cause = 0;
    int file = open(path, O_WRONLY);
    if (file < 0 || fstat(file, &info) != 0)
        cause = errno;
    else if (fallocate(file, 0, 0, (off_t)(info.st_size + n_byte + GROWTH)) != 0)
        cause = errno;
    if (cause == EOPNOTSUPP || cause == ENOSYS)
        cause = check_free_space(file, n_byte + GROWTH);
    if (file >= 0)
        close(file);
    if (cause == 0)
        return MDL_OK;
    return mdl_fail(err, MDL_E_IO, "%s: no space for %lld more bytes: %s; make room and run again",
                    path, (long long)n_byte, strerror(cause));
}

/* Rank 0: the file with everything but rows and digests, closed. */
static int make_file(mdl_archive_writer_t *writer, const char *path,
                     const mdl_provenance_t *provenance, mdl_error_t *err)
{
    int rc;
    MDL_TRY(mdl_sample_ids_check(writer->info.sample_ids, writer->info.n_sample, path, err));
    MDL_TRY(mdl_result_create(&writer->result, path, provenance, err));
    MDL_TRY(write_attributes(writer->result.file, &writer->info, err));
    MDL_TRY(write_ids(writer->result.file, &writer->info, err));
    MDL_TRY(make_rows(writer->result.file, &writer->info, err));
    hid_t file = writer->result.file;
    writer->result.file = -1;
    MDL_TRY(mdl_h5_save(file, writer->result.temporary, err));
    rc =
        reserve(writer->result.temporary, writer->info.n_sample * (int64_t)writer->n_row_byte, err);
done:
    return rc;
}

static int share_name(mdl_archive_writer_t *writer, mdl_error_t *err)
{
    int length = writer->rank == 0 ? (int)strlen(writer->result.temporary) + 1 : 0;
    MPI_Bcast(&length, 1, MPI_INT, 0, writer->comm);
    int rc = mdl_alloc(&writer->temporary, (size_t)length, 1, "a path", err);
    if (rc == MDL_OK)
        rc = mdl_alloc(&writer->digests, (size_t)writer->info.n_sample, sizeof *writer->digests,
                       "row digests", err);
    rc = mdl_agree(writer->comm, rc, err);
    if (rc != MDL_OK)
        return rc;
    if (writer->rank == 0)
        strcpy(writer->temporary, writer->result.temporary);
    MPI_Bcast(writer->temporary, length, MPI_CHAR, 0, writer->comm);
    return MDL_OK;
}

static int open_together(mdl_archive_writer_t *writer, mdl_error_t *err)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    int rc = MDL_OK;
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5Pset_fapl_mpio(access, writer->comm, MPI_INFO_NULL);
    writer->file = H5Fopen(writer->temporary, H5F_ACC_RDWR, access);
    H5Pclose(access);
    if (writer->file >= 0)
        writer->dataset = H5Dopen2(writer->file, "activation", H5P_DEFAULT);
    if (writer->dataset < 0) {
        mdl_h5_fail(-1,
                    "cannot be opened by all ranks; is the folder on a filesystem that all "
                    "nodes share?",
                    MDL_E_IO, err);
        rc = mdl_error_prefix(err, "%s", writer->temporary);
    }
    return mdl_agree(writer->comm, rc, err);
}

int mdl_archive_create(MPI_Comm comm, const char *path, const mdl_provenance_t *provenance,
                       const mdl_archive_info_t *info, mdl_archive_writer_t **writer,
                       mdl_error_t *err)
{
    *writer = NULL;
    mdl_archive_writer_t *made = NULL;
    int rc = mdl_alloc(&made, 1, sizeof *made, "an archive", err);
    if (mdl_agree(comm, rc, err) != MDL_OK) {
        free(made);
        return err->code;
    }
    *made = (mdl_archive_writer_t){.comm = comm, .info = *info, .file = -1, .dataset = -1};
    made->result.file = -1;
    MPI_Comm_rank(comm, &made->rank);
    MDL_TRY(mdl_agree(comm, check_shape(path, info, err), err));
    made->n_value = (info->n_token > 0 ? info->n_token : 1) * info->n_feat;
    made->n_row_byte = (size_t)made->n_value * mdl_encoding_size(info->encoding);
    MDL_TRY(mdl_on_root(comm, made->rank, make_file(made, path, provenance, err), err));
    MDL_TRY(share_name(made, err));
    MDL_TRY(open_together(made, err));
    *writer = made;
    return MDL_OK;
done:
    return mdl_archive_finish(made, rc, err);
}

static int check_values(const mdl_archive_writer_t *writer, int64_t first, int64_t n_row,
                        const void *rows, mdl_error_t *err)
{
    const mdl_archive_info_t *info = &writer->info;
    if (first < 0 || n_row < 0 || first > info->n_sample - n_row)
        return mdl_fail(err, MDL_E_INTERNAL, "%s: rows %" PRId64 " to %" PRId64 " of %" PRId64,
                        writer->temporary, first, first + n_row, info->n_sample);
    int64_t bad =
        mdl_float_first_bad(info->encoding, rows, (size_t)n_row * (size_t)writer->n_value);
    if (bad < 0)
        return MDL_OK;
    const char *id = info->sample_ids[first + bad / writer->n_value];
    int64_t column = bad % info->n_feat, token = bad % writer->n_value / info->n_feat;
    char where[64] = "";
    if (info->n_token > 0)
        snprintf(where, sizeof where, "token %" PRId64 ", ", token);
    return mdl_fail(err, MDL_E_INPUT,
                    "model %s, sample '%s', %scolumn %" PRId64
                    " (from 0) is NaN or infinite; activations must be finite: compute them again",
                    info->model, id, where, column);
}

/* One collective call; this rank's part may be empty. */
static int write_part(mdl_archive_writer_t *writer, int64_t first, int64_t n_row, const void *rows,
                      mdl_error_t *err)
{
    const mdl_archive_info_t *info = &writer->info;
    int n_dim = info->n_token > 0 ? 3 : 2;
    hsize_t start[3] = {(hsize_t)first, 0, 0};
    hsize_t count[3] = {(hsize_t)n_row, (hsize_t)info->n_token, (hsize_t)info->n_feat};
    count[n_dim - 1] = (hsize_t)info->n_feat;
    hid_t type = mdl_h5_float_type(info->encoding), space = H5Dget_space(writer->dataset);
    hid_t memory = H5Screate_simple(n_dim, count, NULL), transfer = H5Pcreate(H5P_DATASET_XFER);
    H5Pset_dxpl_mpio(transfer, H5FD_MPIO_COLLECTIVE);
    if (n_row > 0) {
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
    } else {
        H5Sselect_none(space);
        H5Sselect_none(memory);
    }
    int rc = MDL_OK;
    if (H5Dwrite(writer->dataset, type, memory, space, transfer, rows) < 0)
        rc = mdl_h5_fail(writer->dataset, "rows cannot be written; is the disk full?", MDL_E_IO,
                         err);
    H5Pclose(transfer);
    H5Sclose(memory);
    H5Sclose(space);
    H5Tclose(type);
    return rc;
}

int mdl_archive_write(mdl_archive_writer_t *writer, int64_t first, int64_t n_row, const void *rows,
                      mdl_error_t *err)
{
    static const char nothing;
    int rc = check_values(writer, first, n_row, rows, err);
    MDL_TRY(mdl_agree(writer->comm, rc, err));
    for (int64_t i = 0; i < n_row; i++)
        writer->digests[first + i] =
            mdl_digest_row((const char *)rows + (size_t)i * writer->n_row_byte, writer->n_row_byte);
    writer->n_written += n_row;
    int64_t n_part = (int64_t)(MAX_CALL_BYTES / writer->n_row_byte), most;
    n_part = n_part > 0 ? n_part : 1;
    MPI_Allreduce(&n_row, &most, 1, MPI_INT64_T, MPI_MAX, writer->comm);
    for (int64_t done_rows = 0; done_rows < most; done_rows += n_part) {
        int64_t n = n_row - done_rows < n_part ? n_row - done_rows : n_part;
        const char *part =
            n > 0 ? (const char *)rows + (size_t)done_rows * writer->n_row_byte : &nothing;
        rc = write_part(writer, first + done_rows, n > 0 ? n : 0, part, err);
        MDL_TRY(mdl_agree(writer->comm, rc, err));
    }
done:
    return rc;
}

/* The flush reaches the disk on every node before rank 0 renames. */
static int close_together(mdl_archive_writer_t *writer, int rc, mdl_error_t *err)
{
    if (rc == MDL_OK && H5Fflush(writer->file, H5F_SCOPE_GLOBAL) < 0)
        rc = mdl_h5_fail(writer->file, "cannot be flushed; is the disk full?", MDL_E_IO, err);
    if (writer->dataset >= 0)
        H5Dclose(writer->dataset);
    if (writer->file >= 0 && H5Fclose(writer->file) < 0 && rc == MDL_OK) {
        mdl_h5_fail(-1, "cannot be closed; is the disk full?", MDL_E_IO, err);
        rc = mdl_error_prefix(err, "%s", writer->temporary);
    }
    return mdl_agree(writer->comm, rc, err);
}

static int gather_digests(mdl_archive_writer_t *writer, mdl_error_t *err)
{
    int64_t n_written;
    int n = (int)writer->info.n_sample;
    MPI_Allreduce(&writer->n_written, &n_written, 1, MPI_INT64_T, MPI_SUM, writer->comm);
    if (n_written != n)
        return mdl_fail(err, MDL_E_INTERNAL, "%s: %" PRId64 " rows were written of %d",
                        writer->temporary, n_written, n);
    if (writer->rank == 0)
        MPI_Reduce(MPI_IN_PLACE, writer->digests, n, MPI_UINT64_T, MPI_SUM, 0, writer->comm);
    else
        MPI_Reduce(writer->digests, NULL, n, MPI_UINT64_T, MPI_SUM, 0, writer->comm);
    return MDL_OK;
}

static int write_digests(mdl_archive_writer_t *writer, mdl_error_t *err)
{
    int rc = reserve(writer->temporary, 8 * writer->info.n_sample, err);
    if (rc != MDL_OK)
        return rc;
    writer->result.file = H5Fopen(writer->temporary, H5F_ACC_RDWR, H5P_DEFAULT);
    if (writer->result.file < 0) {
        mdl_h5_fail(-1, "cannot be opened again", MDL_E_IO, err);
        return mdl_error_prefix(err, "%s", writer->temporary);
    }
    return write_column(writer->result.file, "row_digest", H5T_STD_U64LE, writer->info.n_sample,
                        writer->digests, err);
}

int mdl_archive_finish(mdl_archive_writer_t *writer, int rc, mdl_error_t *err)
{
    if (writer == NULL)
        return rc;
    rc = mdl_agree(writer->comm, rc, err);
    if (rc == MDL_OK)
        rc = gather_digests(writer, err);
    rc = close_together(writer, rc, err);
    if (writer->rank == 0) {
        if (rc == MDL_OK)
            rc = write_digests(writer, err);
        rc = mdl_result_close(&writer->result, rc, err);
    }
    rc = mdl_agree(writer->comm, rc, err);
    free(writer->temporary);
    free(writer->digests);
    free(writer);
    return rc;
}
