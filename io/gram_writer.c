/* Writing of Gram files. Rank 0 makes the file with everything but the batches and sets their space
 * aside; every rank then writes its own batches at their places; rank 0 seals. */
#include "core/text.h"
#include "io/gram_file.h"
#include "io/h5_float.h"
#include "mpi/agree.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GRAM, POWER, EXPONENT, DIGEST, N_PLACE };

struct mdl_gram_writer {
    MPI_Comm comm;
    int rank;
    mdl_gram_info_t info;
    mdl_result_t result;    /* rank 0 */
    char *temporary;        /* the file while it is written, on every rank */
    int64_t place[N_PLACE]; /* where the bytes of the datasets begin */
    int descriptor;
    int64_t n_written; /* batches of this rank */
};

static int write_attributes(hid_t file, const mdl_gram_info_t *info, mdl_error_t *err)
{
    char digits[MDL_DIGEST_SIZE];
    int rc;
    MDL_TRY(mdl_gram_sample_digest(info->sample_ids, info->n_sample, digits, err));
    MDL_TRY(mdl_h5_set_text(file, "model", info->model, err));
    MDL_TRY(mdl_h5_set_text(file, "side", info->side, err));
    MDL_TRY(mdl_h5_set_text(file, "label", info->label, err));
    MDL_TRY(mdl_h5_set_text(file, "encoding", mdl_encoding_name(info->encoding), err));
    MDL_TRY(mdl_h5_set_text(file, "sample_digest", digits, err));
    MDL_TRY(mdl_h5_set_int(file, "batch", info->batch, err));
    MDL_TRY(mdl_h5_set_int(file, "n_feat", info->n_feat, err));
    if (info->sigma > 0)
        MDL_TRY(mdl_h5_set_double(file, "sigma", info->sigma, err));
    MDL_TRY(mdl_h5_set_text(file, "digested_by_row", "gram", err));
    rc = mdl_h5_write_text(file, "/sample_id", info->n_sample, info->sample_ids, err);
done:
    return rc;
}

/* A dataset whose bytes have their place in the file at once, unfilled. */
static int make_place(hid_t file, const char *name, hid_t type, int64_t n_row, int64_t n_value,
                      int64_t *place, mdl_error_t *err)
{
    hsize_t extent[2] = {(hsize_t)n_row, (hsize_t)n_value};
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE),
          space = H5Screate_simple(n_value > 0 ? 2 : 1, extent, NULL);
    H5Pset_obj_track_times(plan, 0);
    H5Pset_alloc_time(plan, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(plan, H5D_FILL_TIME_NEVER);
    hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    haddr_t start = dataset < 0 ? HADDR_UNDEF : H5Dget_offset(dataset);
    *place = (int64_t)start;
    if (dataset >= 0)
        H5Dclose(dataset);
    H5Sclose(space);
    H5Pclose(plan);
    return start == HADDR_UNDEF
               ? mdl_h5_fail(file, "a dataset cannot be made; is the disk full?", MDL_E_IO, err)
               : MDL_OK;
}

static int make_places(mdl_gram_writer_t *writer, hid_t file, mdl_error_t *err)
{
    const mdl_gram_info_t *info = &writer->info;
    int64_t n = info->n_batch, *place = writer->place;
    hid_t type = mdl_h5_float_type(info->encoding);
    int rc;
    MDL_TRY(make_place(file, "gram", type, n, info->n_value, &place[GRAM], err));
    MDL_TRY(make_place(file, "power", H5T_NATIVE_DOUBLE, n, 0, &place[POWER], err));
    MDL_TRY(make_place(file, "exponent", H5T_NATIVE_DOUBLE, n, 0, &place[EXPONENT], err));
    MDL_TRY(make_place(file, "batch_digest", H5T_NATIVE_UINT64, n, 0, &place[DIGEST], err));
done:
    H5Tclose(type);
    return rc;
}

/* Zeros everywhere, and no batch is there. */
static int reserve(const mdl_gram_writer_t *writer, mdl_error_t *err)
{
    const double none = NAN;
    int file = open(writer->result.temporary, O_WRONLY | O_CLOEXEC);
    off_t size = file < 0 ? -1 : lseek(file, 0, SEEK_END);
    int cause = size <= 0 ? errno : posix_fallocate(file, 0, size);
    for (int64_t k = 0; cause == 0 && k < writer->info.n_batch; k++)
        if (pwrite(file, &none, sizeof none, (off_t)(writer->place[POWER] + 8 * k)) != 8)
            cause = errno;
    if (file >= 0)
        close(file);
    if (cause == 0)
        return MDL_OK;
    return mdl_fail(err, MDL_E_IO, "%s: no space for %lld bytes: %s; make room and run again",
                    writer->result.path, (long long)size, strerror(cause));
}

/* Rank 0: the file with room for the batches, closed. */
static int make_file(mdl_gram_writer_t *writer, const char *path,
                     const mdl_provenance_t *provenance, mdl_error_t *err)
{
    int rc;
    MDL_TRY(mdl_result_create(&writer->result, path, provenance, err));
    MDL_TRY(write_attributes(writer->result.file, &writer->info, err));
    hid_t file = writer->result.file;
    writer->result.file = -1;
    MDL_TRY(mdl_h5_save(file, writer->result.temporary, err));
    file = H5Fopen(writer->result.temporary, H5F_ACC_RDWR, H5P_DEFAULT);
    if (file < 0) {
        mdl_h5_fail(-1, "cannot be opened again", MDL_E_IO, err);
        return mdl_error_prefix(err, "%s", writer->result.temporary);
    }
    rc = make_places(writer, file, err);
    if (H5Fclose(file) < 0 && rc == MDL_OK)
        rc = mdl_h5_fail(-1, "cannot be closed; is the disk full?", MDL_E_IO, err);
    if (rc == MDL_OK)
        rc = reserve(writer, err);
done:
    return rc;
}

static int open_everywhere(mdl_gram_writer_t *writer, mdl_error_t *err)
{
    int length = writer->rank == 0 ? (int)strlen(writer->result.temporary) + 1 : 0;
    MPI_Bcast(&length, 1, MPI_INT, 0, writer->comm);
    MPI_Bcast(writer->place, N_PLACE, MPI_INT64_T, 0, writer->comm);
    int rc = mdl_alloc(&writer->temporary, (size_t)length, 1, "a path", err);
    if (mdl_agree(writer->comm, rc, err) != MDL_OK)
        return err->code;
    if (writer->rank == 0)
        strcpy(writer->temporary, writer->result.temporary);
    MPI_Bcast(writer->temporary, length, MPI_CHAR, 0, writer->comm);
    writer->descriptor = open(writer->temporary, O_WRONLY | O_CLOEXEC);
    if (writer->descriptor < 0)
        rc = mdl_fail(err, MDL_E_IO,
                      "%s: cannot be opened by all ranks: %s; is the folder on a filesystem that "
                      "all nodes share?",
                      writer->temporary, strerror(errno));
    return mdl_agree(writer->comm, rc, err);
}

int mdl_gram_create(MPI_Comm comm, const char *path, const mdl_provenance_t *provenance,
                    const mdl_gram_info_t *info, mdl_gram_writer_t **writer, mdl_error_t *err)
{
    mdl_gram_writer_t *made = NULL;
    int ignored;
    *writer = NULL;
    int rc = mdl_alloc(&made, 1, sizeof *made, "a Gram file", err);
    if (mdl_agree(comm, rc, err) != MDL_OK) {
        free(made);
        return err->code;
    }
    *made = (mdl_gram_writer_t){.comm = comm, .info = *info, .descriptor = -1};
    made->result.file = -1;
    MPI_Comm_rank(comm, &made->rank);
    MDL_TRY(mdl_on_root(comm, made->rank, make_file(made, path, provenance, err), err));
    MDL_TRY(open_everywhere(made, err));
    *writer = made;
    return MDL_OK;
done:
    return mdl_gram_finish(made, rc, &ignored, err);
}

static int write_at(const mdl_gram_writer_t *writer, int64_t at, const void *bytes, size_t n_byte,
                    mdl_error_t *err)
{
    for (size_t n_done = 0; n_done < n_byte;) {
        ssize_t n = pwrite(writer->descriptor, (const char *)bytes + n_done, n_byte - n_done,
                           (off_t)at + (off_t)n_done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return mdl_fail(err, MDL_E_IO, "%s: writing failed: %s", writer->temporary,
                            n < 0 ? strerror(errno) : "no room");
        n_done += (size_t)n;
    }
    return MDL_OK;
}

int mdl_gram_write(mdl_gram_writer_t *writer, int64_t number, const void *gram, int64_t n_value,
                   double power, double exponent, mdl_error_t *err)
{
    int64_t size = (int64_t)mdl_encoding_size(writer->info.encoding);
    uint64_t digest = mdl_digest_row(gram, (size_t)(n_value * size));
    const int64_t *place = writer->place;
    int rc;
    MDL_TRY(write_at(writer, place[GRAM] + number * writer->info.n_value * size, gram,
                     (size_t)(n_value * size), err));
    MDL_TRY(write_at(writer, place[POWER] + 8 * number, &power, sizeof power, err));
    MDL_TRY(write_at(writer, place[EXPONENT] + 8 * number, &exponent, sizeof exponent, err));
    MDL_TRY(write_at(writer, place[DIGEST] + 8 * number, &digest, sizeof digest, err));
    writer->n_written++;
done:
    return rc;
}

/* What this rank wrote is on the disk before rank 0 seals. */
static int flush(mdl_gram_writer_t *writer, int rc, mdl_error_t *err)
{
    if (rc == MDL_OK && fsync(writer->descriptor) != 0)
        rc = mdl_fail(err, MDL_E_IO, "%s: flushing failed: %s", writer->temporary, strerror(errno));
    if (writer->descriptor >= 0)
        close(writer->descriptor);
    return mdl_agree(writer->comm, rc, err);
}

static int reopen(mdl_gram_writer_t *writer, mdl_error_t *err)
{
    writer->result.file = H5Fopen(writer->temporary, H5F_ACC_RDWR, H5P_DEFAULT);
    if (writer->result.file >= 0)
        return MDL_OK;
    mdl_h5_fail(-1, "cannot be opened again", MDL_E_IO, err);
    return mdl_error_prefix(err, "%s", writer->temporary);
}

int mdl_gram_finish(mdl_gram_writer_t *writer, int rc, int *made, mdl_error_t *err)
{
    int64_t n_written = 0;
    *made = 0;
    if (writer == NULL)
        return rc;
    rc = flush(writer, mdl_agree(writer->comm, rc, err), err);
    MPI_Allreduce(&writer->n_written, &n_written, 1, MPI_INT64_T, MPI_SUM, writer->comm);
    *made = rc == MDL_OK && n_written > 0;
    if (writer->rank == 0 && *made) {
        rc = reopen(writer, err);
        rc = mdl_result_close(&writer->result, rc, err);
    } else if (writer->rank == 0) {
        mdl_result_close(&writer->result, rc != MDL_OK ? rc : MDL_E_INTERNAL, err);
    }
    rc = mdl_agree(writer->comm, rc, err);
    *made = *made && rc == MDL_OK;
    free(writer->temporary);
    free(writer);
    return rc;
}
