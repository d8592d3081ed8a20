#include "archive/image_source.h"

#include "core/text.h"
#include "io/sample_ids.h"
#include "mpi/agree.h"
#include "mpi/block.h"

#include <stdlib.h>
#include <string.h>

static int is_dataset(const char *path)
{
    const char *ending = strrchr(path, '.');
    return ending != NULL && (strcmp(ending, ".h5") == 0 || strcmp(ending, ".hdf5") == 0);
}

/* Before any work, not when the rows are written. */
static int check_ids(const mdl_image_source_t *source, mdl_error_t *err)
{
    mdl_id_table_t *table = NULL;
    int rc =
        mdl_id_table_new((const char *const *)source->id, source->n, source->path, &table, err);
    free(table);
    return rc;
}

int mdl_image_source_open(MPI_Comm comm, const char *path, mdl_image_source_t *source,
                          mdl_error_t *err)
{
    memset(source, 0, sizeof *source);
    source->path = mdl_text("%s", path);
    int rc =
        source->path != NULL ? MDL_OK : mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    if (rc == MDL_OK && is_dataset(path))
        rc = mdl_image_dataset_open(path, &source->dataset, err);
    rc = mdl_agree(comm, rc, err);
    if (rc == MDL_OK && source->dataset == NULL)
        rc = mdl_image_list_read(comm, path, &source->list, err);
    if (rc != MDL_OK)
        return rc;
    source->n = source->dataset != NULL ? mdl_image_dataset_count(source->dataset) : source->list.n;
    source->id = source->dataset != NULL ? mdl_image_dataset_ids(source->dataset) : source->list.id;
    return mdl_agree(comm, check_ids(source, err), err);
}

void mdl_image_source_free(mdl_image_source_t *source)
{
    mdl_image_dataset_close(source->dataset);
    mdl_image_list_free(&source->list);
    free(source->path);
    memset(source, 0, sizeof *source);
}

int mdl_image_source_read(const mdl_image_source_t *source, int64_t index, mdl_image_t *image,
                          mdl_error_t *err)
{
    if (source->dataset != NULL)
        return mdl_image_dataset_read(source->dataset, index, image, err);
    char *path = mdl_text("%s/%s", source->path, source->list.name[index]);
    int rc = path != NULL ? mdl_image_read(path, image, err)
                          : mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    free(path);
    return rc;
}

/* The digests of all files of the folder, [n, MDL_DIGEST_SIZE], each from the rank that read it. */
static int digest_files(MPI_Comm comm, const mdl_image_source_t *source, char *digits,
                        mdl_error_t *err)
{
    int rank, n_rank, rc = MDL_OK;
    int64_t first, end;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &n_rank);
    mdl_block_range(source->n, n_rank, rank, &first, &end);
    for (int64_t i = first; i < end && rc == MDL_OK; i++) {
        char *path = mdl_text("%s/%s", source->path, source->list.name[i]);
        rc = path != NULL ? mdl_digest_of_file(path, digits + i * MDL_DIGEST_SIZE, err)
                          : mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
        free(path);
    }
    rc = mdl_agree(comm, rc, err);
    /* Zero but for one rank's, so that the sum is that rank's. */
    if (rc == MDL_OK)
        MPI_Allreduce(MPI_IN_PLACE, digits, (int)(source->n * MDL_DIGEST_SIZE), MPI_BYTE, MPI_BOR,
                      comm);
    return rc;
}

static int digest_folder(MPI_Comm comm, mdl_image_source_t *source, mdl_error_t *err)
{
    char *digits = NULL;
    mdl_digest_t *digest = NULL;
    int rc = mdl_alloc(&digits, (size_t)source->n, MDL_DIGEST_SIZE, "digests of images", err);
    if (rc == MDL_OK)
        rc = mdl_digest_start(&digest, err);
    rc = mdl_agree(comm, rc, err);
    if (rc == MDL_OK)
        rc = digest_files(comm, source, digits, err);
    for (int64_t i = 0; i < source->n && rc == MDL_OK; i++) {
        mdl_digest_add_text(digest, source->list.name[i]);
        mdl_digest_add_text(digest, digits + i * MDL_DIGEST_SIZE);
    }
    if (digest != NULL)
        mdl_digest_finish(digest, source->digits);
    if (rc != MDL_OK)
        source->digits[0] = '\0';
    free(digits);
    return rc;
}

int mdl_image_source_digest(MPI_Comm comm, mdl_image_source_t *source, mdl_error_t *err)
{
    int rank;
    if (source->digits[0] != '\0')
        return MDL_OK;
    if (source->dataset == NULL)
        return digest_folder(comm, source, err);
    MPI_Comm_rank(comm, &rank);
    int rc = mdl_on_root(comm, rank, mdl_digest_of_file(source->path, source->digits, err), err);
    MPI_Bcast(source->digits, MDL_DIGEST_SIZE, MPI_CHAR, 0, comm);
    return rc;
}
