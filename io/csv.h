/* Reading CSV line by line: UTF-8, comma-separated; a field may stand in quotes, with each quote in
 * it doubled, but not go over the end of its line (RFC 4180). Empty lines and lines that begin with
 * # are passed over. */
#ifndef MDL_IO_CSV_H
#define MDL_IO_CSV_H

#include "core/error.h"

#include <stdint.h>
#include <stdio.h>

enum { MDL_CSV_MAX_LINE = 4096, MDL_CSV_MAX_FIELD = 64, MDL_CSV_MAX_ROW = 10000000 };

typedef struct {
    const char *path;
    FILE *file;
    int64_t line; /* number of the current one */
    char text[MDL_CSV_MAX_LINE];
    char *fields[MDL_CSV_MAX_FIELD]; /* n_field, of the current line, without blanks or quotes */
    int n_field;
    int n_header_field;
} mdl_csv_t;

/* Opens path and reads its header. at[n] gets the field that holds the column of each name, -1
 * where there is none; other columns are named in the log. advice: who names the file, for the
 * message when it is missing. Closed with mdl_csv_close, also after an error. Not collective.
 * Returns MDL_E_MISSING, MDL_E_IO, or MDL_E_INPUT for an empty file or a column that is there
 * twice. */
int mdl_csv_open(mdl_csv_t *csv, const char *path, const char *advice, const char *const *names,
                 int n, int *at, mdl_error_t *err);
void mdl_csv_close(mdl_csv_t *csv);

/* Reads the next line into fields; *end is 1 after the last. Not collective. Returns MDL_E_IO, or
 * MDL_E_INPUT with the line when it isn't plain CSV or hasn't the header's number of fields. */
int mdl_csv_next(mdl_csv_t *csv, int *end, mdl_error_t *err);

/* Makes room for row n_row (from 0) in the array at pointer_to_rows, which holds *n_room rows of
 * row_size bytes and is freed by the caller, by doubling it when it is full. Not collective.
 * Returns MDL_E_INPUT beyond MDL_CSV_MAX_ROW rows, or MDL_E_MEMORY. */
int mdl_csv_make_room(const mdl_csv_t *csv, void *pointer_to_rows, size_t row_size, int64_t n_row,
                      int64_t *n_room, mdl_error_t *err);

/* Writes a field, in quotes where a reader would take it for something else. Not collective. */
void mdl_csv_put(FILE *file, const char *text);

/* MDL_E_INPUT: "PATH, line N: what 'value'". */
int mdl_csv_refuse(const mdl_csv_t *csv, mdl_error_t *err, const char *what, const char *value);

#endif
