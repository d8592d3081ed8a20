/* Rows that a long computation has finished, kept beside its result until that is written, so that
 * a run that is killed goes on where it was, on any number of ranks. The journal of PATH is the
 * files PATH.rows-R, one a rank, to which rank R appends. A file is 64 bytes (magic, key, rows,
 * bytes a row) and a record for each row: its number, its digest (XXH3-64), its bytes. */
#ifndef MDL_IO_ROW_JOURNAL_H
#define MDL_IO_ROW_JOURNAL_H

#include "io/digest.h"

#include <mpi.h>

typedef struct mdl_row_journal mdl_row_journal_t;

/* Opens the journal of path for n_row rows of n_row_byte bytes each. Files of another key (what the
 * rows depend on) or shape are removed; a record that was cut off, or is damaged, ends its file.
 * Closed by mdl_row_journal_close. Collective over comm. Returns MDL_E_IO or MDL_E_MEMORY. */
int mdl_row_journal_open(MPI_Comm comm, const char *path, const char key[MDL_DIGEST_SIZE],
                         int64_t n_row, size_t n_row_byte, mdl_row_journal_t **journal,
                         mdl_error_t *err);

/* 1 when the row was there at the opening, was added by this rank, or, after
 * mdl_row_journal_finish, by any. Not collective. */
int mdl_row_journal_has(const mdl_row_journal_t *journal, int64_t row);

/* Adds the bytes of a row that isn't there. Not collective. Returns MDL_E_IO. */
int mdl_row_journal_add(mdl_row_journal_t *journal, int64_t row, const void *bytes,
                        mdl_error_t *err);

/* Ends the adding: from now on every rank knows and can read all rows. Collective.
 * Returns MDL_E_IO. */
int mdl_row_journal_finish(mdl_row_journal_t *journal, mdl_error_t *err);

/* Reads a row that is there, checking its digest. Not collective. Returns MDL_E_IO. */
int mdl_row_journal_read(mdl_row_journal_t *journal, int64_t row, void *bytes, mdl_error_t *err);

/* NULL is allowed. Not collective. */
void mdl_row_journal_close(mdl_row_journal_t *journal);

/* Deletes the journal of path, the result being written. Not collective. */
void mdl_row_journal_remove(const char *path);

#endif
