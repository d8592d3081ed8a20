#include "regress/table.h"

#include "core/text.h"
#include "regress/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum { PREDICTED, FAILED, DROPPED } state_t;

typedef struct {
    state_t state;
    int64_t dropped_in;
    const char *name;
    int64_t index;                    /* in the zoo */
    const mdl_sweep_result_t *result; /* NULL for a dropped one */
    int is_choice;                    /* of the rounds */
    int is_trained;
    mdl_fit_t fit;
    double error, loss; /* at R, or of the last rung; NaN when never measured */
    double ratio, seconds;
} row_t;

/* NaN comes last. */
static int compare(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (isnan(a) != 0) - (isnan(b) != 0);
    return (a > b) - (a < b);
}

static int compare_rows(const void *left, const void *right)
{
    const row_t *a = left, *b = right;
    if (a->is_choice != b->is_choice)
        return b->is_choice - a->is_choice;
    if (a->state != b->state)
        return a->state < b->state ? -1 : 1;
    if (a->dropped_in != b->dropped_in)
        return a->dropped_in > b->dropped_in ? -1 : 1;
    int order = compare(a->fit.predicted, b->fit.predicted);
    if (order == 0)
        order = compare(a->error, b->error);
    if (order == 0)
        order = compare(a->loss, b->loss);
    return order != 0 ? order : strcmp(a->name, b->name);
}

/* The row of a candidate in rung, -1 when it didn't take part. */
static int64_t find_in_rung(const mdl_rung_t *rung, const char *name)
{
    for (int64_t i = 0; i < rung->n_candidate; i++)
        if (strcmp(rung->candidate[i], name) == 0)
            return i;
    return -1;
}

/* What the rungs measured last of a candidate. */
static void take_last_rung(const mdl_survivors_t *survivors, row_t *row)
{
    for (int64_t k = 0; k < survivors->n_rung; k++) {
        const mdl_rung_t *rung = &survivors->rungs[k];
        int64_t i = find_in_rung(rung, row->name);
        if (i < 0 || isnan(rung->error[i]))
            continue;
        row->error = rung->error[i];
        row->loss = rung->loss[i];
        row->ratio = rung->ratio[i];
        row->seconds = rung->train_seconds[i];
    }
}

/* After halving, log-linear's line goes through just the points that the sweep measured for it. */
static int has_lines(const mdl_table_input_t *input)
{
    return input->predict.method == MDL_METHOD_LOG_LINEAR && input->rounds == NULL;
}

static row_t make_row(const mdl_table_input_t *input, int64_t index)
{
    const mdl_survivors_t *survivors = input->survivors;
    row_t row = {.state = DROPPED,
                 .dropped_in = survivors->dropped_in[survivors->zoo.cluster[index]],
                 .name = survivors->zoo.candidate[index],
                 .index = index,
                 .fit = {.slope = NAN, .intercept = NAN, .predicted = NAN, .low = NAN, .high = NAN},
                 .error = NAN,
                 .loss = NAN};
    take_last_rung(survivors, &row);
    for (int64_t i = 0; i < input->n_result; i++)
        if (input->index[i] == index)
            row.result = &input->results[i];
    if (row.result == NULL)
        return row;
    row.is_choice = input->rounds != NULL && input->rounds->choice == index;
    row.is_trained = row.result->n_point > 0;
    if (input->rounds != NULL && !row.is_trained && !row.result->failed) {
        const double score = input->rounds->score[index];
        row.state = PREDICTED;
        row.fit.predicted = isfinite(score) ? exp(score) : NAN;
        return row;
    }
    row.state = row.result->failed || row.result->n_point == 0 ? FAILED : PREDICTED;
    if (row.state == FAILED)
        return row;
    if (has_lines(input))
        row.fit = mdl_fit_line(row.result->points, row.result->n_point, input->predict.confidence);
    row.error = row.result->points[0].error;
    row.loss = row.result->points[0].loss;
    row.ratio = row.result->points[0].ratio;
    row.seconds = row.result->points[0].train_seconds;
    return row;
}

/* The curves of the predicted rows, ascending in ratio, their points in room; *n of them. */
static void list_curves(const row_t *rows, int64_t n_row, mdl_predict_curve_t *curves,
                        mdl_point_t *room, int64_t *n)
{
    *n = 0;
    for (int64_t i = 0; i < n_row; i++) {
        if (rows[i].state != PREDICTED || !rows[i].is_trained)
            continue;
        const int n_point = rows[i].result->n_point;
        for (int k = 0; k < n_point; k++)
            room[k] = rows[i].result->points[n_point - 1 - k];
        curves[(*n)++] = (mdl_predict_curve_t){room, n_point, MDL_CURVE_CHECKPOINT};
        room += n_point;
    }
}

/* Predicts all rows that have points as one pool; the slope is that of the line from the last point
 * to the prediction. */
static int predict_rows(const mdl_table_input_t *input, row_t *rows, int64_t n_row,
                        mdl_error_t *err)
{
    const size_t n_room = (size_t)input->n_result + 1;
    mdl_predict_curve_t *curves = NULL;
    mdl_prediction_t *predictions = NULL;
    mdl_point_t *room = NULL;
    int64_t n;
    int rc;
    MDL_TRY(mdl_alloc(&curves, n_room, sizeof *curves, "curves", err));
    MDL_TRY(mdl_alloc(&predictions, n_room, sizeof *predictions, "predictions", err));
    MDL_TRY(mdl_alloc(&room, n_room * MDL_SWEEP_MAX_POINT, sizeof *room, "points", err));
    list_curves(rows, n_row, curves, room, &n);
    MDL_TRY(mdl_predict(&input->predict, curves, n, predictions, err));
    for (int64_t i = 0, k = 0; i < n_row; i++) {
        if (rows[i].state != PREDICTED || !rows[i].is_trained)
            continue;
        const mdl_prediction_t *prediction = &predictions[k++];
        rows[i].fit = (mdl_fit_t){.n_point = prediction->n_point,
                                  .slope = prediction->slope,
                                  .intercept = prediction->intercept,
                                  .predicted = prediction->predicted,
                                  .low = fmin(1, prediction->low),
                                  .high = fmin(1, prediction->high)};
    }
done:
    free(curves);
    free(predictions);
    free(room);
    return rc;
}

static char *status_of(const row_t *row)
{
    if (row->state == DROPPED)
        return mdl_text("dropped in rung %lld", (long long)row->dropped_in);
    if (row->state == FAILED)
        return mdl_text("failed");
    if (!row->is_trained)
        return mdl_text(isnan(row->fit.predicted) ? "not tried" : "estimated");
    if (row->ratio >= 1)
        return mdl_text("measured");
    return mdl_text(isnan(row->fit.slope) ? "predicted without a fit" : "predicted");
}

static int make_columns(mdl_regress_t *regress, mdl_error_t *err)
{
    size_t n = (size_t)regress->n_candidate;
    double **const columns[] = {
        &regress->predicted, &regress->low,           &regress->high,         &regress->slope,
        &regress->intercept, &regress->ratio_trained, &regress->train_seconds};
    int rc = mdl_alloc(&regress->cluster, n, sizeof *regress->cluster, "a ranking", err);
    for (size_t i = 0; rc == MDL_OK && i < sizeof columns / sizeof columns[0]; i++)
        rc = mdl_alloc(columns[i], n, sizeof **columns[i], "a ranking", err);
    return rc;
}

static int fill_texts(const mdl_table_input_t *input, const row_t *rows, mdl_regress_t *regress,
                      mdl_error_t *err)
{
    const mdl_candidates_t *zoo = &input->survivors->zoo;
    const int64_t n = zoo->n_candidate;
    const char **texts = NULL;
    char **status = NULL;
    int rc;
    MDL_TRY(mdl_alloc(&texts, 3 * (size_t)n, sizeof *texts, "a ranking", err));
    MDL_TRY(mdl_alloc(&status, (size_t)n, sizeof *status, "a ranking", err));
    int bad = 0;
    for (int64_t i = 0; i < n; i++) {
        texts[i] = rows[i].name;
        texts[n + i] = zoo->ve[rows[i].index];
        texts[2 * n + i] = zoo->lm[rows[i].index];
        status[i] = status_of(&rows[i]);
        bad |= status[i] == NULL;
    }
    if (!bad) {
        regress->candidate = mdl_text_block(texts, n);
        regress->ve = mdl_text_block(texts + n, n);
        regress->lm = mdl_text_block(texts + 2 * n, n);
        regress->status = mdl_text_block((const char *const *)status, n);
        regress->choice = mdl_text("%s", rows[0].name);
    }
    if (regress->candidate == NULL || regress->ve == NULL || regress->lm == NULL ||
        regress->status == NULL || regress->choice == NULL)
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for a ranking");
done:
    for (int64_t i = 0; status != NULL && i < n; i++)
        free(status[i]);
    free(status);
    free(texts);
    return rc;
}

static int fill_columns(const mdl_table_input_t *input, const row_t *rows, mdl_regress_t *regress,
                        mdl_error_t *err)
{
    int rc = make_columns(regress, err);
    for (int64_t i = 0; rc == MDL_OK && i < regress->n_candidate; i++) {
        regress->cluster[i] = input->survivors->zoo.cluster[rows[i].index];
        regress->predicted[i] = rows[i].fit.predicted;
        regress->low[i] = rows[i].fit.low;
        regress->high[i] = rows[i].fit.high;
        regress->slope[i] = rows[i].fit.slope;
        regress->intercept[i] = rows[i].fit.intercept;
        regress->ratio_trained[i] = rows[i].ratio;
        regress->train_seconds[i] = rows[i].seconds;
    }
    return rc;
}

static void add_point(mdl_regress_t *regress, int64_t row, double ratio, double error,
                      double error_stderr, int used)
{
    int64_t n = regress->n_point++;
    regress->point_candidate[n] = (int32_t)row;
    regress->point_ratio[n] = ratio;
    regress->point_error[n] = error;
    regress->point_stderr[n] = error_stderr;
    regress->point_used[n] = (uint8_t)used;
}

static int was_measured(const mdl_sweep_result_t *result, double ratio)
{
    for (int i = 0; result != NULL && i < result->n_point; i++)
        if (fabs(result->points[i].ratio - ratio) <= 1e-9)
            return 1;
    return 0;
}

/* The points of a row: those of the sweep, and of the rungs at other ratios. */
static void add_points(const mdl_table_input_t *input, const row_t *row, int64_t at,
                       mdl_regress_t *regress)
{
    const mdl_survivors_t *survivors = input->survivors;
    for (int i = 0; row->result != NULL && i < row->result->n_point; i++) {
        const mdl_point_t *point = &row->result->points[i];
        add_point(regress, at, point->ratio, point->error, point->error_stderr,
                  row->state == PREDICTED);
    }
    for (int64_t k = 0; k < survivors->n_rung; k++) {
        const mdl_rung_t *rung = &survivors->rungs[k];
        int64_t i = find_in_rung(rung, row->name);
        if (i >= 0 && isfinite(rung->error[i]) && !was_measured(row->result, rung->ratio[i]))
            add_point(regress, at, rung->ratio[i], rung->error[i], rung->error_stderr[i], 0);
    }
}

static int fill_points(const mdl_table_input_t *input, const row_t *rows, mdl_regress_t *regress,
                       mdl_error_t *err)
{
    size_t n = (size_t)input->n_result * MDL_SWEEP_MAX_POINT;
    int rc;
    for (int64_t k = 0; k < input->survivors->n_rung; k++)
        n += (size_t)input->survivors->rungs[k].n_candidate;
    MDL_TRY(
        mdl_alloc(&regress->point_candidate, n, sizeof *regress->point_candidate, "points", err));
    MDL_TRY(mdl_alloc(&regress->point_ratio, n, sizeof *regress->point_ratio, "points", err));
    MDL_TRY(mdl_alloc(&regress->point_error, n, sizeof *regress->point_error, "points", err));
    MDL_TRY(mdl_alloc(&regress->point_stderr, n, sizeof *regress->point_stderr, "points", err));
    MDL_TRY(mdl_alloc(&regress->point_used, n, sizeof *regress->point_used, "points", err));
    for (int64_t i = 0; i < regress->n_candidate; i++)
        add_points(input, &rows[i], i, regress);
done:
    return rc;
}

static const char *const kept_because[] = {[MDL_KEEP_NOT] = "",
                                           [MDL_KEEP_LEADER] = "leader",
                                           [MDL_KEEP_VALUE] = "lowest error so far",
                                           [MDL_KEEP_REACH] = "in reach",
                                           [MDL_KEEP_SLOW] = "slow starter"};

static int alloc_rounds(mdl_regress_t *regress, size_t n, mdl_error_t *err)
{
    double **const columns[] = {&regress->round_mark, &regress->round_ratio, &regress->round_error,
                                &regress->round_predicted, &regress->round_sigma};
    int rc;
    MDL_TRY(mdl_alloc(&regress->round, n, sizeof *regress->round, "rounds", err));
    MDL_TRY(
        mdl_alloc(&regress->round_candidate, n, sizeof *regress->round_candidate, "rounds", err));
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        MDL_TRY(mdl_alloc(columns[i], n, sizeof **columns[i], "rounds", err));
done:
    return rc;
}

/* The decisions of the rounds, with the rows that their candidates have come to. */
static int fill_rounds(const mdl_table_input_t *input, const row_t *rows, mdl_regress_t *regress,
                       mdl_error_t *err)
{
    const int64_t n = input->rounds != NULL ? input->rounds->n_decision : 0;
    const char **kept = NULL;
    int32_t *row_of = NULL;
    int rc = MDL_OK;
    if (n == 0)
        return MDL_OK;
    MDL_TRY(alloc_rounds(regress, (size_t)n, err));
    MDL_TRY(mdl_alloc(&kept, (size_t)n, sizeof *kept, "rounds", err));
    MDL_TRY(mdl_alloc(&row_of, (size_t)regress->n_candidate, sizeof *row_of, "rounds", err));
    for (int64_t i = 0; i < regress->n_candidate; i++)
        row_of[rows[i].index] = (int32_t)i;
    for (int64_t k = 0; k < n; k++) {
        const mdl_decision_t *decision = &input->rounds->decisions[k];
        regress->round[k] = decision->round;
        regress->round_candidate[k] = row_of[decision->candidate];
        regress->round_mark[k] = decision->mark;
        regress->round_ratio[k] = decision->belief.ratio;
        regress->round_error[k] = decision->belief.ratio > 0 ? decision->belief.error : NAN;
        regress->round_predicted[k] = exp(decision->belief.log_error);
        regress->round_sigma[k] = decision->belief.sigma;
        kept[k] = kept_because[decision->keep];
    }
    regress->n_round = n;
    regress->round_kept = mdl_text_block(kept, n);
    if (regress->round_kept == NULL)
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for rounds");
done:
    free(kept);
    free(row_of);
    return rc;
}

int mdl_table_make(const mdl_table_input_t *input, mdl_regress_t *regress, mdl_error_t *err)
{
    const int64_t n = input->survivors->zoo.n_candidate;
    row_t *rows = NULL;
    int rc;
    *regress = (mdl_regress_t){.n_candidate = n,
                               .confidence = input->predict.confidence,
                               .lost_seconds = input->lost_seconds};
    MDL_TRY(mdl_alloc(&rows, (size_t)n, sizeof *rows, "a ranking", err));
    for (int64_t i = 0; i < n; i++)
        rows[i] = make_row(input, i);
    if (!has_lines(input))
        MDL_TRY(predict_rows(input, rows, n, err));
    qsort(rows, (size_t)n, sizeof *rows, compare_rows);
    if (rows[0].state != PREDICTED)
        MDL_TRY(mdl_fail(err, MDL_E_TRAINER,
                         "all %lld candidates of the clusters left failed; %s: "
                         "%s",
                         (long long)input->n_result, rows[0].name,
                         rows[0].result != NULL ? rows[0].result->reason : ""));
    MDL_TRY(fill_texts(input, rows, regress, err));
    MDL_TRY(fill_columns(input, rows, regress, err));
    MDL_TRY(fill_points(input, rows, regress, err));
    rc = fill_rounds(input, rows, regress, err);
done:
    free(rows);
    if (rc != MDL_OK)
        mdl_regress_free(regress);
    return rc;
}
