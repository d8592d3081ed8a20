/* One model's activations as rows that can be read by range: from archive files (archives.h) or
 * from memory. */
#ifndef MDL_CKA_ROWS_H
#define MDL_CKA_ROWS_H

#include "core/error.h"

#include <stdint.h>

typedef struct mdl_rows mdl_rows_t;

struct mdl_rows {
    const char *model;
    int64_t n_feat;
    /* Reads rows [first, first + n_row) into out: [n_row, n_feat]. Not collective. */
    int (*read)(const mdl_rows_t *rows, int64_t first, int64_t n_row, double *out,
                mdl_error_t *err);
    void *data;
};

#endif
