/* Sample ids: the names by which rows of different archives are matched. */
#ifndef MDL_IO_SAMPLE_IDS_H
#define MDL_IO_SAMPLE_IDS_H

#include "core/error.h"

#include <mpi.h>
#include <stdint.h>

enum { MDL_MAX_SAMPLE_ID = 255 }; /* bytes of one id */

/* A hash table from id to row. */
typedef struct mdl_id_table mdl_id_table_t;

/* Takes in n ids (borrowed, must outlive the table) for rows 0, 1, ...; refuses an empty id, one
 * of more than MDL_MAX_SAMPLE_ID bytes and a doubled one with MDL_E_INPUT, naming it and its row.
 * what names the ids' origin in messages. Freed with free. Not collective. */
int mdl_id_table_new(const char *const *ids, int64_t n, const char *what, mdl_id_table_t **table,
                     mdl_error_t *err);

/* Refuses what mdl_id_table_new does. Not collective. */
int mdl_sample_ids_check(const char *const *ids, int64_t n, const char *what, mdl_error_t *err);

/* The row of id, -1 where there is none. Not collective. */
int64_t mdl_id_table_find(const mdl_id_table_t *table, const char *id);

/* The ids of n_row rows: the lines of the text file at path (one id a line, exactly n_row lines,
 * unique), or "0", "1", ... when path is NULL. *ids is one block of pointers and characters, freed
 * with one free, the same on every rank. Rank 0 alone reads the file. Collective over comm.
 * Returns MDL_E_MISSING, MDL_E_IO, MDL_E_INPUT with the line's number, or MDL_E_MEMORY. */
int mdl_sample_ids_read(MPI_Comm comm, const char *path, int64_t n_row, char ***ids,
                        mdl_error_t *err);

#endif
