#include "io/curves_csv.h"

#include "core/text.h"
#include "io/csv.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VE, LLM, RATIO, ERR, ERR_STDERR, LOSS, SECONDS, SEED, N_COLUMN };
static const char *const column_names[N_COLUMN] = {"ve",         "llm",  "ratio",   "err",
                                                   "err_stderr", "loss", "seconds", "seed"};

typedef struct {
    mdl_curve_point_t point;
    char seed[64];
} row_t;

typedef struct {
    mdl_csv_t csv;
    int at[N_COLUMN]; /* which field holds the column, -1 = none */
    row_t *rows;
    int64_t n_row, n_room;
} reader_t;

static int read_name(const reader_t *reader, const char *field, char name[64], mdl_error_t *err)
{
    size_t length = strlen(field);
    if (length == 0 || length > 63)
        return mdl_csv_refuse(&reader->csv, err, "a model's name has 1 to 63 characters, not",
                              field);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)field[i]) && strchr("._-", field[i]) == NULL)
            return mdl_csv_refuse(&reader->csv, err,
                                  "a model's name is made of A-Z a-z 0-9 . _ -, not", field);
    memcpy(name, field, length + 1);
    return MDL_OK;
}

/* A number of [low, high]; an empty or absent field gives NaN unless the column is required. */
static int read_number(const reader_t *reader, int column, double low, double high, double *value,
                       mdl_error_t *err)
{
    char what[96];
    *value = NAN;
    if (reader->at[column] < 0)
        return MDL_OK;
    const char *field = reader->csv.fields[reader->at[column]];
    if (*field == '\0' && column > ERR)
        return MDL_OK;
    if (mdl_text_to_double(field, "", value, NULL) == MDL_OK && *value >= low && *value <= high)
        return MDL_OK;
    snprintf(what, sizeof what, "%s must be a number from %g to %g, not", column_names[column], low,
             high);
    return mdl_csv_refuse(&reader->csv, err, what, field);
}

static int read_row(reader_t *reader, row_t *row, mdl_error_t *err)
{
    int rc;
    mdl_curve_point_t *point = &row->point;
    MDL_TRY(read_name(reader, reader->csv.fields[reader->at[VE]], point->ve, err));
    MDL_TRY(read_name(reader, reader->csv.fields[reader->at[LLM]], point->llm, err));
    MDL_TRY(read_number(reader, RATIO, 1e-9, 1, &point->ratio, err));
    MDL_TRY(read_number(reader, ERR, 0, 1, &point->error, err));
    MDL_TRY(read_number(reader, ERR_STDERR, 0, 1, &point->error_stderr, err));
    MDL_TRY(read_number(reader, LOSS, 0, 1e6, &point->loss, err));
    MDL_TRY(read_number(reader, SECONDS, 0, 1e12, &point->seconds, err));
    point->line = reader->csv.line;
    point->n_row = 1;
    snprintf(row->seed, sizeof row->seed, "%.63s",
             reader->at[SEED] < 0 ? "" : reader->csv.fields[reader->at[SEED]]);
done:
    return rc;
}

static int read_rows(reader_t *reader, mdl_error_t *err)
{
    for (;;) {
        int end, rc = mdl_csv_next(&reader->csv, &end, err);
        if (rc != MDL_OK || end)
            return rc;
        rc = mdl_csv_make_room(&reader->csv, &reader->rows, sizeof *reader->rows, reader->n_row,
                               &reader->n_room, err);
        if (rc != MDL_OK)
            return rc;
        rc = read_row(reader, &reader->rows[reader->n_row], err);
        if (rc != MDL_OK)
            return rc;
        reader->n_row++;
    }
}

static int same_place(const mdl_curve_point_t *a, const mdl_curve_point_t *b)
{
    return strcmp(a->ve, b->ve) == 0 && strcmp(a->llm, b->llm) == 0 &&
           fabs(a->ratio - b->ratio) <= 1e-9;
}

static int compare_rows(const void *left, const void *right)
{
    const row_t *a = left, *b = right;
    int order = strcmp(a->point.ve, b->point.ve);
    if (order == 0)
        order = strcmp(a->point.llm, b->point.llm);
    if (order == 0 && fabs(a->point.ratio - b->point.ratio) > 1e-9)
        order = a->point.ratio < b->point.ratio ? -1 : 1;
    if (order == 0)
        order = strcmp(a->seed, b->seed);
    return order != 0 ? order : (a->point.line < b->point.line ? -1 : 1);
}

/* The mean of rows at one place; its standard error is from the spread of the rows or from their
 * own standard errors, whichever is larger. */
static mdl_curve_point_t average(const row_t *rows, int64_t n)
{
    mdl_curve_point_t mean = rows[0].point;
    double error = 0, variance = 0, loss = 0, seconds = 0, spread = 0;
    for (int64_t i = 0; i < n; i++) {
        const mdl_curve_point_t *row = &rows[i].point;
        error += row->error / (double)n;
        variance += row->error_stderr * row->error_stderr / (double)n;
        loss += row->loss / (double)n;
        seconds += row->seconds / (double)n;
    }
    for (int64_t i = 0; i < n; i++)
        spread += (rows[i].point.error - error) * (rows[i].point.error - error);
    if (n > 1)
        mean.error_stderr = sqrt(fmax(spread / (double)(n - 1), variance) / (double)n);
    mean.error = error;
    mean.loss = loss;
    mean.seconds = seconds;
    mean.n_row = n;
    return mean;
}

static int merge(reader_t *reader, mdl_curves_t *curves, mdl_error_t *err)
{
    int rc;
    qsort(reader->rows, (size_t)reader->n_row, sizeof *reader->rows, compare_rows);
    MDL_TRY(mdl_alloc(&curves->points, (size_t)reader->n_row, sizeof *curves->points,
                      "learning curves", err));
    for (int64_t first = 0, end; first < reader->n_row; first = end) {
        const row_t *rows = &reader->rows[first];
        for (end = first + 1;
             end < reader->n_row && same_place(&rows->point, &reader->rows[end].point); end++) {
            const row_t *row = &reader->rows[end];
            if (strcmp(row->seed, row[-1].seed) == 0)
                MDL_TRY(mdl_fail(err, MDL_E_INPUT,
                                 "%s: lines %lld and %lld are both for %s+%s at ratio %g; keep one "
                                 "of them, or tell repeated runs apart by a column seed",
                                 reader->csv.path, (long long)row[-1].point.line,
                                 (long long)row->point.line, row->point.ve, row->point.llm,
                                 row->point.ratio));
        }
        curves->points[curves->n_point++] = average(rows, end - first);
    }
done:
    return rc;
}

int mdl_curves_read(const char *path, mdl_curves_t *curves, mdl_error_t *err)
{
    int rc;
    reader_t reader = {.rows = NULL};
    *curves = (mdl_curves_t){0};
    MDL_TRY(mdl_csv_open(&reader.csv, path, "trainer.replay.curves of the study names it",
                         column_names, N_COLUMN, reader.at, err));
    for (int column = 0; column <= ERR; column++)
        if (reader.at[column] < 0)
            MDL_TRY(
                mdl_csv_refuse(&reader.csv, err, "the header has no column", column_names[column]));
    MDL_TRY(read_rows(&reader, err));
    if (reader.n_row == 0)
        MDL_TRY(mdl_fail(err, MDL_E_INPUT, "%s: has a header but no rows", path));
    rc = merge(&reader, curves, err);
done:
    mdl_csv_close(&reader.csv);
    free(reader.rows);
    if (rc != MDL_OK)
        mdl_curves_free(curves);
    return rc;
}

void mdl_curves_free(mdl_curves_t *curves)
{
    free(curves->points);
    *curves = (mdl_curves_t){0};
}

const mdl_curve_point_t *mdl_curves_find(const mdl_curves_t *curves, const char *ve,
                                         const char *llm, int64_t *n_point)
{
    const mdl_curve_point_t *found = NULL;
    *n_point = 0;
    for (int64_t i = 0; i < curves->n_point; i++) {
        const mdl_curve_point_t *point = &curves->points[i];
        if (strcmp(point->ve, ve) != 0 || strcmp(point->llm, llm) != 0)
            continue;
        if (found == NULL)
            found = point;
        (*n_point)++;
    }
    return found;
}
