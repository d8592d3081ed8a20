/* The images that an encoder is run on: a folder of files, or one HDF5 file. */
#ifndef MDL_ARCHIVE_IMAGE_SOURCE_H
#define MDL_ARCHIVE_IMAGE_SOURCE_H

#include "archive/image_list.h"
#include "io/digest.h"
#include "io/image_dataset.h"

typedef struct {
    char *path;
    int64_t n;
    char **id;                    /* [n], borrowed from one of these: */
    mdl_image_list_t list;        /* of a folder */
    mdl_image_dataset_t *dataset; /* of a file, else NULL */
    char digits[MDL_DIGEST_SIZE]; /* of all images; empty until mdl_image_source_digest */
} mdl_image_source_t;

/* Opens the folder, or the file that ends in .h5 or .hdf5, at path. Freed by mdl_image_source_free,
 * also after a failure. Collective over comm.
 * Returns MDL_E_MISSING, MDL_E_IO, MDL_E_INPUT or MDL_E_MEMORY. */
int mdl_image_source_open(MPI_Comm comm, const char *path, mdl_image_source_t *source,
                          mdl_error_t *err);

void mdl_image_source_free(mdl_image_source_t *source);

/* image->rgb is freed by the caller. Not collective. */
int mdl_image_source_read(const mdl_image_source_t *source, int64_t index, mdl_image_t *image,
                          mdl_error_t *err);

/* Sets digits on all ranks, once; the files of a folder are dealt over them. Collective over comm.
 */
int mdl_image_source_digest(MPI_Comm comm, mdl_image_source_t *source, mdl_error_t *err);

#endif
