/* One model's activations as rows that can be read by range: from archive files (archives.h) or
 * from memory. */
#ifndef MDL_SIMILARITY_ROWS_H
#define MDL_SIMILARITY_ROWS_H

#include "core/error.h"
#include "io/float_convert.h"

#include <stdint.h>

typedef struct mdl_rows mdl_rows_t;

struct mdl_rows {
    const char *model;
    int64_t n_feat;
    /* Reads rows [first, first + n_row) as encoding (MDL_FLOAT32 or MDL_FLOAT64) into out:
     * [n_row, n_feat]. May run in another thread than the caller's, one call at a time. Calls
     * neither MPI nor HDF5. Not collective. */
    int (*read)(const mdl_rows_t *rows, int64_t first, int64_t n_row, mdl_encoding_t encoding,
                void *out, mdl_error_t *err);
    void *data;
};

#endif
