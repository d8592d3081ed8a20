#include "io/score_file.h"

#include "core/text.h"
#include "io/csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int write_datasets(hid_t file, const mdl_scores_t *scores, mdl_error_t *err)
{
    const int64_t n = scores->n_model;
    int rc;
    MDL_TRY(mdl_h5_write_text(file, "/model", n, (const char *const *)scores->model, err));
    MDL_TRY(mdl_h5_write_double(file, "/score", 1, &n, scores->score, err));
    MDL_TRY(mdl_h5_set_text(file, "method", scores->method, err));
    MDL_TRY(mdl_h5_set_int(file, "n_sample", scores->n_sample, err));
    rc = mdl_h5_set_int(file, "n_class", scores->n_class, err);
done:
    return rc;
}

int mdl_scores_write(const char *path, const mdl_provenance_t *provenance,
                     const mdl_scores_t *scores, mdl_error_t *err)
{
    mdl_result_t result;
    int rc = mdl_result_create(&result, path, provenance, err);
    if (rc != MDL_OK)
        return rc;
    return mdl_result_close(&result, write_datasets(result.file, scores, err), err);
}

static int read_result(const char *path, mdl_scores_t *scores, mdl_error_t *err)
{
    hid_t file;
    int rc = mdl_result_open(path, MDL_SCORE_SCHEMA, MDL_SCORE_VERSION, "run mordal-score first",
                             &file, err);
    if (rc != MDL_OK)
        return rc;
    scores->n_model = -1;
    MDL_TRY(mdl_h5_read_text(file, "/model", &scores->n_model, &scores->model, err));
    MDL_TRY(mdl_h5_read_double(file, "/score", 1, &scores->n_model, &scores->score, err));
    MDL_TRY(mdl_h5_get_text(file, "method", &scores->method, err));
    MDL_TRY(mdl_h5_get_int(file, "n_sample", &scores->n_sample, err));
    rc = mdl_h5_get_int(file, "n_class", &scores->n_class, err);
done:
    if (rc != MDL_OK)
        mdl_error_prefix(err, "%s", path);
    mdl_h5_close(file);
    return rc;
}

enum { MODEL, VE, LLM, TASK, SCORE, N_COLUMN };
static const char *const column_names[N_COLUMN] = {"model", "ve", "llm", "task", "score"};

/* The rows of a CSV while they are read. */
typedef struct {
    mdl_csv_t csv;
    int at[N_COLUMN];
    char **model, **task; /* [n] single strings */
    double *score;
    int64_t n, n_room[3];
} reader_t;

static int read_row(reader_t *r, mdl_error_t *err)
{
    char *const *fields = r->csv.fields;
    double score;
    int rc;
    MDL_TRY(mdl_csv_make_room(&r->csv, &r->model, sizeof *r->model, r->n, &r->n_room[0], err));
    MDL_TRY(mdl_csv_make_room(&r->csv, &r->task, sizeof *r->task, r->n, &r->n_room[1], err));
    MDL_TRY(mdl_csv_make_room(&r->csv, &r->score, sizeof *r->score, r->n, &r->n_room[2], err));
    if (mdl_text_to_double(fields[r->at[SCORE]], "", &score, NULL) != MDL_OK)
        return mdl_csv_refuse(&r->csv, err, "score must be a finite number, not",
                              fields[r->at[SCORE]]);
    r->score[r->n] = score;
    r->model[r->n] = r->at[MODEL] >= 0 ? mdl_text("%s", fields[r->at[MODEL]])
                                       : mdl_text("%s+%s", fields[r->at[VE]], fields[r->at[LLM]]);
    r->task[r->n] = mdl_text("%s", r->at[TASK] >= 0 ? fields[r->at[TASK]] : "");
    r->n++;
    if (r->model[r->n - 1] == NULL || r->task[r->n - 1] == NULL)
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory: reading %s", r->csv.path);
done:
    return rc;
}

static int read_rows(reader_t *r, const char *path, mdl_error_t *err)
{
    int end, rc;
    MDL_TRY(mdl_csv_open(&r->csv, path, "make it with mordal-score", column_names, N_COLUMN, r->at,
                         err));
    if (r->at[SCORE] < 0 || (r->at[MODEL] < 0 && (r->at[VE] < 0 || r->at[LLM] < 0)))
        MDL_TRY(mdl_fail(err, MDL_E_INPUT, "%s: needs the columns model (or ve and llm) and score",
                         path));
    for (;;) {
        MDL_TRY(mdl_csv_next(&r->csv, &end, err));
        if (end)
            break;
        MDL_TRY(read_row(r, err));
    }
done:
    return rc;
}

static int read_csv(const char *path, mdl_scores_t *scores, mdl_error_t *err)
{
    reader_t r = {.csv.file = NULL};
    int rc;
    MDL_TRY(read_rows(&r, path, err));
    scores->n_model = r.n;
    scores->score = r.score;
    r.score = NULL;
    scores->model = mdl_text_block((const char *const *)r.model, r.n);
    if (r.at[TASK] >= 0)
        scores->task = mdl_text_block((const char *const *)r.task, r.n);
    if (scores->model == NULL || (r.at[TASK] >= 0 && scores->task == NULL))
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory: reading %s", path);
done:
    mdl_csv_close(&r.csv);
    for (int64_t i = 0; i < r.n; i++) {
        free(r.model[i]);
        free(r.task[i]);
    }
    free(r.model);
    free(r.task);
    free(r.score);
    return rc;
}

/* Two scores of one model are looked for one by one. */
enum { MAX_SCORE = 20000 };

static int check(const char *path, const mdl_scores_t *scores, mdl_error_t *err)
{
    if (scores->n_model < 1)
        return mdl_fail(err, MDL_E_INPUT, "%s: holds no scores", path);
    if (scores->n_model > MAX_SCORE)
        return mdl_fail(err, MDL_E_INPUT, "%s: holds more than %d scores", path, MAX_SCORE);
    for (int64_t i = 0; i < scores->n_model; i++) {
        const char *task = scores->task != NULL ? scores->task[i] : "";
        if (scores->model[i][0] == '\0' || !isfinite(scores->score[i]))
            return mdl_fail(err, MDL_E_INPUT, "%s: the score of '%.80s' is %g", path,
                            scores->model[i], scores->score[i]);
        if (mdl_scores_find(scores, task, scores->model[i]) != i)
            return mdl_fail(err, MDL_E_INPUT, "%s: two scores of %.80s", path, scores->model[i]);
    }
    return MDL_OK;
}

int mdl_scores_read(const char *path, mdl_scores_t *scores, mdl_error_t *err)
{
    size_t length = strlen(path);
    int is_csv = length > 4 && strcmp(path + length - 4, ".csv") == 0;
    *scores = (mdl_scores_t){0};
    int rc = is_csv ? read_csv(path, scores, err) : read_result(path, scores, err);
    if (rc == MDL_OK)
        rc = check(path, scores, err);
    if (rc != MDL_OK)
        mdl_scores_free(scores);
    return rc;
}

void mdl_scores_free(mdl_scores_t *scores)
{
    free(scores->model);
    free(scores->task);
    free(scores->score);
    free(scores->method);
    *scores = (mdl_scores_t){0};
}

int64_t mdl_scores_find(const mdl_scores_t *scores, const char *task, const char *model)
{
    for (int64_t i = 0; i < scores->n_model; i++)
        if (strcmp(scores->model[i], model) == 0 &&
            (scores->task == NULL || strcmp(scores->task[i], task) == 0))
            return i;
    return -1;
}
