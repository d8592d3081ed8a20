/* A table of measured learning curves, as CSV: docs/formats/curves.md.
 * Columns ve, llm, ratio, err, and maybe err_stderr, loss, seconds, in any order; with a column
 * seed several rows may share (ve, llm, ratio) and are averaged. Other columns are passed over. */
#ifndef MDL_IO_CURVES_CSV_H
#define MDL_IO_CURVES_CSV_H

#include "core/error.h"

#include <stdint.h>

typedef struct {
    char ve[64], llm[64];
    double ratio, error;
    double error_stderr, loss, seconds; /* NaN where the table has none; seconds is cumulative */
    int64_t line;                       /* in the file, of the first of its rows */
    int64_t n_row;                      /* rows (seeds) it was averaged over */
} mdl_curve_point_t;

typedef struct {
    mdl_curve_point_t *points; /* n_point, ordered by ve, llm, ratio */
    int64_t n_point;
} mdl_curves_t;

/* Reads and checks the table. Freed with mdl_curves_free. Not collective.
 * Returns MDL_E_MISSING, MDL_E_IO, MDL_E_MEMORY, or MDL_E_INPUT with the line's number. */
int mdl_curves_read(const char *path, mdl_curves_t *curves, mdl_error_t *err);
void mdl_curves_free(mdl_curves_t *curves);

/* The n_point points of one candidate, ascending in ratio, or NULL. */
const mdl_curve_point_t *mdl_curves_find(const mdl_curves_t *curves, const char *ve,
                                         const char *llm, int64_t *n_point);

#endif
