/* The image files of a folder. */
#ifndef MDL_ARCHIVE_IMAGE_LIST_H
#define MDL_ARCHIVE_IMAGE_LIST_H

#include "core/error.h"

#include <mpi.h>
#include <stdint.h>

typedef struct {
    int64_t n;
    char **name; /* [n] the files, in the order of their bytes */
    char **id;   /* [n] the same less the ending */
    char *text;  /* of all names, then of all ids */
} mdl_image_list_t;

/* Rank 0 lists the .png, .jpg and .jpeg files of folder for all ranks. Freed by
 * mdl_image_list_free, also after a failure. Collective over comm.
 * Returns MDL_E_MISSING for a folder that isn't there or has no images, or MDL_E_MEMORY. */
int mdl_image_list_read(MPI_Comm comm, const char *folder, mdl_image_list_t *list,
                        mdl_error_t *err);

void mdl_image_list_free(mdl_image_list_t *list);

#endif
