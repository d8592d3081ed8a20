#include "io/curve_table.h"

#include "core/log.h"
#include "core/text.h"
#include "io/csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    MODEL,
    VE,
    LLM,
    TASK,
    FRACTION,
    RATIO,
    ERR,
    ERR_STDERR,
    LOSS,
    SECONDS,
    SEED,
    KIND,
    N_COLUMN
};
enum { MAX_NAME = 200 };

static const char *const column_names[N_COLUMN] = {"model",    "ve",      "llm",  "task",
                                                   "fraction", "ratio",   "err",  "err_stderr",
                                                   "loss",     "seconds", "seed", "kind"};

typedef struct {
    char **text;
    int64_t n, n_room, last; /* last: found last */
} names_t;

typedef struct {
    mdl_point_t point;
    int64_t task, model, seed, line; /* places in the lists of names */
    int is_checkpoint;
} row_t;

typedef struct {
    mdl_csv_t csv;
    int at[N_COLUMN];
    names_t tasks, models, ves, llms, seeds; /* ves, llms: of each model */
    row_t *rows;
    int64_t n_row, n_room;
} reader_t;

static int add_name(names_t *names, const char *text, mdl_error_t *err)
{
    if (names->n == names->n_room) {
        int64_t n_room = names->n_room > 0 ? 2 * names->n_room : 64;
        char **grown = realloc(names->text, (size_t)n_room * sizeof *grown);
        if (grown == NULL)
            return mdl_fail(err, MDL_E_MEMORY, "out of memory for names");
        names->text = grown;
        names->n_room = n_room;
    }
    names->text[names->n] = strdup(text);
    if (names->text[names->n] == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for names");
    names->last = names->n++;
    return MDL_OK;
}

/* The place of text in names, -1 when it isn't there. Rows of one name tend to follow another. */
static int64_t find_name(names_t *names, const char *text)
{
    if (names->n > 0 && strcmp(names->text[names->last], text) == 0)
        return names->last;
    for (int64_t i = 0; i < names->n; i++)
        if (strcmp(names->text[i], text) == 0)
            return names->last = i;
    return -1;
}

static void free_names(names_t *names)
{
    for (int64_t i = 0; i < names->n; i++)
        free(names->text[i]);
    free(names->text);
}

static const char *field(const reader_t *reader, int column)
{
    return reader->at[column] < 0 ? "" : reader->csv.fields[reader->at[column]];
}

static int check_name(const reader_t *reader, int column, mdl_error_t *err)
{
    size_t length = strlen(field(reader, column));
    if (length == 0 || length > MAX_NAME)
        return mdl_csv_refuse(&reader->csv, err, "a name has 1 to 200 characters, not",
                              field(reader, column));
    return MDL_OK;
}

static int take_model(reader_t *reader, int64_t *model, mdl_error_t *err)
{
    char name[2 * MAX_NAME + 2];
    const int is_pair = reader->at[MODEL] < 0;
    int rc;
    MDL_TRY(check_name(reader, is_pair ? VE : MODEL, err));
    if (is_pair)
        MDL_TRY(check_name(reader, LLM, err));
    snprintf(name, sizeof name, "%s%s%s", field(reader, is_pair ? VE : MODEL), is_pair ? "+" : "",
             is_pair ? field(reader, LLM) : "");
    *model = find_name(&reader->models, name);
    if (*model >= 0)
        return MDL_OK;
    MDL_TRY(add_name(&reader->models, name, err));
    MDL_TRY(add_name(&reader->ves, field(reader, VE), err));
    MDL_TRY(add_name(&reader->llms, field(reader, LLM), err));
    *model = reader->models.n - 1;
done:
    return rc;
}

static int take_name(names_t *names, const char *text, int64_t *place, mdl_error_t *err)
{
    *place = find_name(names, text);
    if (*place >= 0)
        return MDL_OK;
    *place = names->n;
    return add_name(names, text, err);
}

/* A number; empty, NA, nan and inf give NaN or infinity, other words are refused. */
static int take_number(const reader_t *reader, int column, double *value, mdl_error_t *err)
{
    const char *text = field(reader, column);
    char what[64], *end;
    *value = NAN;
    if (*text == '\0' || strcasecmp(text, "na") == 0 || strcasecmp(text, "n/a") == 0)
        return MDL_OK;
    *value = strtod(text, &end);
    if (*end == '\0')
        return MDL_OK;
    snprintf(what, sizeof what, "%s must be a number, not", column_names[column]);
    return mdl_csv_refuse(&reader->csv, err, what, text);
}

static int take_kind(const reader_t *reader, int *is_checkpoint, mdl_error_t *err)
{
    const char *kind = field(reader, KIND);
    *is_checkpoint = strcmp(kind, "checkpoint") == 0;
    if (*is_checkpoint || *kind == '\0' || strcmp(kind, "fresh") == 0)
        return MDL_OK;
    return mdl_csv_refuse(&reader->csv, err, "kind is fresh or checkpoint, not", kind);
}

/* Whether the row can be used; a warning tells why not. */
static int is_usable(const reader_t *reader, const row_t *row)
{
    const mdl_point_t *point = &row->point;
    const char *why = NULL;
    if (!isfinite(point->error) || point->error < 0)
        why = "err is not a finite number of at least 0";
    if (!(point->ratio > 0 && point->ratio <= 1 + 1e-6))
        why = "its fraction isn't over 0 to 1";
    if (why == NULL)
        return 1;
    mdl_log(MDL_LOG_WARN, "%s, line %lld: %s on %s at fraction '%s' with err '%s' is left out: %s",
            reader->csv.path, (long long)row->line, reader->models.text[row->model],
            reader->tasks.text[row->task],
            field(reader, reader->at[FRACTION] < 0 ? RATIO : FRACTION), field(reader, ERR), why);
    return 0;
}

static int read_row(reader_t *reader, row_t *row, int *used, mdl_error_t *err)
{
    mdl_point_t *point = &row->point;
    int rc;
    *row = (row_t){.line = reader->csv.line};
    MDL_TRY(take_model(reader, &row->model, err));
    if (reader->at[TASK] >= 0)
        MDL_TRY(check_name(reader, TASK, err));
    MDL_TRY(take_name(&reader->tasks, reader->at[TASK] < 0 ? "all" : field(reader, TASK),
                      &row->task, err));
    MDL_TRY(take_name(&reader->seeds, field(reader, SEED), &row->seed, err));
    MDL_TRY(take_kind(reader, &row->is_checkpoint, err));
    MDL_TRY(take_number(reader, reader->at[FRACTION] < 0 ? RATIO : FRACTION, &point->ratio, err));
    MDL_TRY(take_number(reader, ERR, &point->error, err));
    MDL_TRY(take_number(reader, ERR_STDERR, &point->error_stderr, err));
    MDL_TRY(take_number(reader, LOSS, &point->loss, err));
    MDL_TRY(take_number(reader, SECONDS, &point->train_seconds, err));
    point->evaluate_seconds = NAN;
    *used = is_usable(reader, row);
    point->ratio = fmin(point->ratio, 1);
    if (!isnan(point->error_stderr) &&
        !(isfinite(point->error_stderr) && point->error_stderr >= 0)) {
        mdl_log(MDL_LOG_WARN, "%s, line %lld: err_stderr '%s' isn't used", reader->csv.path,
                (long long)row->line, field(reader, ERR_STDERR));
        point->error_stderr = NAN;
    }
    if (!(isfinite(point->train_seconds) && point->train_seconds >= 0))
        point->train_seconds = NAN;
done:
    return rc;
}

static int read_rows(reader_t *reader, mdl_error_t *err)
{
    for (;;) {
        int end, used, rc = mdl_csv_next(&reader->csv, &end, err);
        if (rc != MDL_OK || end)
            return rc;
        rc = mdl_csv_make_room(&reader->csv, &reader->rows, sizeof *reader->rows, reader->n_row,
                               &reader->n_room, err);
        if (rc != MDL_OK)
            return rc;
        rc = read_row(reader, &reader->rows[reader->n_row], &used, err);
        if (rc != MDL_OK)
            return rc;
        reader->n_row += used;
    }
}

static int same_curve(const row_t *a, const row_t *b)
{
    return a->task == b->task && a->model == b->model && a->is_checkpoint == b->is_checkpoint;
}

static int same_place(const row_t *a, const row_t *b)
{
    return same_curve(a, b) && fabs(a->point.ratio - b->point.ratio) <= 1e-6 * a->point.ratio;
}

static int compare_rows(const void *left, const void *right)
{
    const row_t *a = left, *b = right;
    if (a->task != b->task)
        return a->task < b->task ? -1 : 1;
    if (a->model != b->model)
        return a->model < b->model ? -1 : 1;
    if (a->is_checkpoint != b->is_checkpoint)
        return a->is_checkpoint < b->is_checkpoint ? -1 : 1;
    if (a->point.ratio != b->point.ratio)
        return a->point.ratio < b->point.ratio ? -1 : 1;
    if (a->seed != b->seed)
        return a->seed < b->seed ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

/* Rows at one place: those of one seed together, equal ones side by side. */
static int compare_repeats(const void *left, const void *right)
{
    const row_t *a = left, *b = right;
    if (a->seed != b->seed)
        return a->seed < b->seed ? -1 : 1;
    if (a->point.error != b->point.error)
        return a->point.error < b->point.error ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

/* Of n rows at one place, takes out those that repeat another, with a warning; returns how many are
 * left. */
static int64_t drop_repeats(const reader_t *reader, row_t *rows, int64_t n)
{
    int64_t kept = 1;
    qsort(rows, (size_t)n, sizeof *rows, compare_repeats);
    for (int64_t i = 1; i < n; i++) {
        const row_t *before = &rows[kept - 1];
        const int64_t line = rows[i].line;
        const int same_seed = rows[i].seed == before->seed;
        const int equal = same_seed && rows[i].point.error == before->point.error;
        if (same_seed)
            mdl_log(MDL_LOG_WARN,
                    "%s, lines %lld and %lld: both are for %s on %s at fraction %g; %s",
                    reader->csv.path, (long long)(before->line < line ? before->line : line),
                    (long long)(before->line < line ? line : before->line),
                    reader->models.text[rows[i].model], reader->tasks.text[rows[i].task],
                    rows[i].point.ratio, equal ? "one counts" : "their mean counts");
        if (!equal)
            rows[kept++] = rows[i];
    }
    return kept;
}

/* The mean of rows at one place; its standard error is from their spread or from their own
 * standard errors, whichever is larger. */
static mdl_point_t average(const row_t *rows, int64_t n)
{
    mdl_point_t mean = rows[0].point;
    double error = 0, variance = 0, loss = 0, seconds = 0, spread = 0;
    if (n == 1)
        return mean;
    for (int64_t i = 0; i < n; i++) {
        const mdl_point_t *point = &rows[i].point;
        error += point->error / (double)n;
        variance += point->error_stderr * point->error_stderr / (double)n;
        loss += point->loss / (double)n;
        seconds += point->train_seconds / (double)n;
    }
    for (int64_t i = 0; i < n; i++)
        spread += (rows[i].point.error - error) * (rows[i].point.error - error);
    mean.error = error;
    mean.error_stderr = sqrt(fmax(spread / (double)(n - 1), variance) / (double)n);
    mean.loss = loss;
    mean.train_seconds = seconds;
    return mean;
}

/* Makes a curve of n rows of one model. */
static int make_curve(const reader_t *reader, row_t *rows, int64_t n, mdl_curve_t *curve,
                      mdl_error_t *err)
{
    const int is_pair = reader->at[MODEL] < 0;
    int rc;
    curve->task = strdup(reader->tasks.text[rows[0].task]);
    curve->model = strdup(reader->models.text[rows[0].model]);
    if (is_pair) {
        curve->ve = strdup(reader->ves.text[rows[0].model]);
        curve->llm = strdup(reader->llms.text[rows[0].model]);
    }
    if (curve->task == NULL || curve->model == NULL ||
        (is_pair && (curve->ve == NULL || curve->llm == NULL)))
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for curves");
    curve->is_checkpoint = rows[0].is_checkpoint;
    MDL_TRY(mdl_alloc(&curve->points, (size_t)n, sizeof *curve->points, "curves", err));
    for (int64_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && same_place(&rows[first], &rows[end]);)
            end++;
        int64_t kept = drop_repeats(reader, &rows[first], end - first);
        curve->points[curve->n_point++] = average(&rows[first], kept);
    }
done:
    return rc;
}

static int make_curves(reader_t *reader, mdl_curve_table_t *table, mdl_error_t *err)
{
    row_t *rows = reader->rows;
    const int64_t n = reader->n_row;
    int64_t n_curve = 0;
    int rc;
    qsort(rows, (size_t)n, sizeof *rows, compare_rows);
    for (int64_t i = 0; i < n; i++)
        n_curve += i == 0 || !same_curve(&rows[i - 1], &rows[i]);
    MDL_TRY(mdl_alloc(&table->curves, (size_t)n_curve, sizeof *table->curves, "curves", err));
    MDL_TRY(
        mdl_alloc(&table->first, (size_t)reader->tasks.n + 1, sizeof *table->first, "tasks", err));
    for (int64_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && same_curve(&rows[first], &rows[end]);)
            end++;
        if (first == 0 || rows[first].task != rows[first - 1].task)
            table->first[table->n_task++] = table->n_curve;
        mdl_curve_t *curve = &table->curves[table->n_curve++];
        MDL_TRY(make_curve(reader, &rows[first], end - first, curve, err));
    }
    table->first[table->n_task] = table->n_curve;
done:
    return rc;
}

static int check_columns(const reader_t *reader, mdl_error_t *err)
{
    const int *at = reader->at;
    const char *missing = at[ERR] < 0 ? "err" : NULL;
    if (at[FRACTION] < 0 && at[RATIO] < 0)
        missing = "fraction (or ratio)";
    if (at[MODEL] < 0 && (at[VE] < 0 || at[LLM] < 0))
        missing = "model (or ve and llm)";
    return missing == NULL ? MDL_OK
                           : mdl_csv_refuse(&reader->csv, err, "the header has no column", missing);
}

int mdl_curve_table_read(const char *path, mdl_curve_table_t *table, mdl_error_t *err)
{
    reader_t *reader = NULL;
    int rc;
    *table = (mdl_curve_table_t){0};
    MDL_TRY(mdl_alloc(&reader, 1, sizeof *reader, "curves", err));
    MDL_TRY(mdl_csv_open(&reader->csv, path, "--curves names it", column_names, N_COLUMN,
                         reader->at, err));
    MDL_TRY(check_columns(reader, err));
    MDL_TRY(read_rows(reader, err));
    if (reader->n_row == 0)
        MDL_TRY(mdl_fail(err, MDL_E_INPUT, "%s: has no row that can be used", path));
    rc = make_curves(reader, table, err);
done:
    if (reader != NULL) {
        mdl_csv_close(&reader->csv);
        free_names(&reader->tasks);
        free_names(&reader->models);
        free_names(&reader->ves);
        free_names(&reader->llms);
        free_names(&reader->seeds);
        free(reader->rows);
    }
    free(reader);
    if (rc != MDL_OK)
        mdl_curve_table_free(table);
    return rc;
}

void mdl_curve_table_free(mdl_curve_table_t *table)
{
    for (int64_t i = 0; i < table->n_curve; i++) {
        free(table->curves[i].task);
        free(table->curves[i].model);
        free(table->curves[i].ve);
        free(table->curves[i].llm);
        free(table->curves[i].points);
    }
    free(table->curves);
    free(table->first);
    *table = (mdl_curve_table_t){0};
}

int mdl_curve_count(const mdl_curve_t *curve, double at)
{
    int n = 0;
    while (n < curve->n_point && curve->points[n].ratio <= at * (1 + 1e-6))
        n++;
    return n;
}

const mdl_point_t *mdl_curve_find(const mdl_curve_t *curve, double ratio)
{
    for (int i = 0; i < curve->n_point; i++)
        if (fabs(curve->points[i].ratio - ratio) <= 0.01 * ratio)
            return &curve->points[i];
    return NULL;
}
