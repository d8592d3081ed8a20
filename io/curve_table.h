/* Measured learning curves of many models on many tasks, as CSV: docs/formats/curves.md.
 * Columns model (or ve and llm), task, fraction (or ratio), err, and maybe err_stderr, loss,
 * seconds, seed, kind (fresh | checkpoint), in any order; others are passed over. Without a column
 * task all rows are of the task "all". */
#ifndef MDL_IO_CURVE_TABLE_H
#define MDL_IO_CURVE_TABLE_H

#include "io/history.h"

typedef struct {
    char *task, *model;  /* model is VE+LLM where the table has ve and llm */
    char *ve, *llm;      /* NULL where the table has model */
    int is_checkpoint;   /* points of one long run; 0 = runs of their own */
    mdl_point_t *points; /* n_point >= 1, ascending in ratio, error finite and >= 0 (it may be over
                            1: a loss); error_stderr, loss, train_seconds NaN where there are none;
                            train_seconds is from ratio 0 */
    int n_point;
} mdl_curve_t;

typedef struct {
    mdl_curve_t *curves; /* n_curve, ordered by task (as in the file), model (as in the file), kind
                            (runs of their own first) */
    int64_t n_curve;
    int64_t *first; /* [n_task + 1]: curves first[t] to first[t + 1] - 1 are of task t */
    int64_t n_task;
} mdl_curve_table_t;

/* Reads the table. A row that can't be used (error missing, NaN or negative; fraction outside of
 * (0, 1]) is named in a warning and left out; equal rows count once, different ones of one place
 * are averaged, both with a warning; seeds are averaged. Freed with mdl_curve_table_free. Not
 * collective. Returns MDL_E_MISSING, MDL_E_IO, MDL_E_MEMORY, or MDL_E_INPUT with the line. */
int mdl_curve_table_read(const char *path, mdl_curve_table_t *table, mdl_error_t *err);
void mdl_curve_table_free(mdl_curve_table_t *table);

/* How many of the curve's points have a ratio of at most at (to 1e-6 relative). */
int mdl_curve_count(const mdl_curve_t *curve, double at);

/* The point at ratio (to 1 %), or NULL. */
const mdl_point_t *mdl_curve_find(const mdl_curve_t *curve, double ratio);

#endif
