/* Rows read ahead: a thread reads the next blocks of rows while the caller computes on one. */
#ifndef MDL_SIMILARITY_READER_H
#define MDL_SIMILARITY_READER_H

#include "similarity/rows.h"

typedef struct mdl_reader mdl_reader_t;

typedef struct {
    int model;
    int64_t first, n_row;
} mdl_read_t;

/* Memory of a reader: two blocks beyond those that are kept, or up to sixteen small ones in all. */
size_t mdl_reader_bytes(mdl_encoding_t encoding, int64_t max_values, int n_kept);

/* Starts reading requests 0 to n_request - 1, which ask describes (data is handed on; called in the
 * reading thread), as encoding. models are borrowed; max_values: reals of the largest request;
 * n_kept: requests whose rows the caller has at a time, 1 or 2.
 * mdl_reader_bytes are held. *reader is NULL when it fails. Not collective. Returns MDL_E_MEMORY.
 */
int mdl_reader_start(mdl_reader_t **reader, const mdl_rows_t *models, mdl_encoding_t encoding,
                     int64_t n_request, int64_t max_values, int n_kept,
                     mdl_read_t (*ask)(void *data, int64_t request), void *data, mdl_error_t *err);

/* *x: the rows of the next request, the caller's to use and change until n_kept further calls.
 * Returns what rows->read returned for that request. Not collective. */
int mdl_reader_next(mdl_reader_t *reader, void **x, mdl_error_t *err);

/* Ends the thread and frees; NULL is passed over. Not collective. */
void mdl_reader_stop(mdl_reader_t *reader);

#endif
