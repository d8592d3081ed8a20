/* The choice of the strategy cross where its column meets its row, on a matrix of pairs whose
 * predictions are written down by hand. */
#include "regress/rounds.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { N_VE = 3, N_LLM = 2, N = N_VE * N_LLM, N_MARK = 3 };

static const double marks[N_MARK] = {0.25, 0.5, 1};
static const int64_t ve[N] = {0, 1, 2, 0, 1, 2}, llm[N] = {0, 0, 0, 1, 1, 1};
static const double work[N] = {1, 1, 1, 2, 2, 2}; /* language model 0 is the column */

/* Error that is predicted at ratio 1, of the pairs in order, from points up to each mark. */
typedef struct {
    double predicted[N_MARK][N];
    double last_mark;  /* the search ends here */
    int fails[N];      /* in training */
    double reached[N]; /* what the search trained them to */
} plan_t;

static int train(void *context, const int64_t *index, int64_t n, double ratio, mdl_error_t *err)
{
    plan_t *plan = context;
    (void)err;
    for (int64_t k = 0; k < n; k++)
        plan->reached[index[k]] = ratio;
    return MDL_OK;
}

static int mark_of(double ratio)
{
    int mark = 0;
    while (mark + 1 < N_MARK && marks[mark] < ratio * (1 - 1e-9))
        mark++;
    return mark;
}

/* The measured errors are those that are predicted. */
static int list(void *context, int64_t candidate, double ratio, mdl_point_t *points)
{
    const plan_t *plan = context;
    const int n = plan->fails[candidate] ? 0 : mark_of(ratio) + 1;
    for (int k = 0; k < n; k++)
        points[k] = (mdl_point_t){.ratio = marks[k], .error = plan->predicted[k][candidate]};
    return n;
}

/* Known to 1 % at each mark, so that whoever isn't the best is cut. */
static int foresee(void *context, const int64_t *index, const double *ratio,
                   const mdl_predict_curve_t *curves, int64_t n, mdl_prediction_t *predictions,
                   mdl_error_t *err)
{
    const plan_t *plan = context;
    (void)curves;
    (void)err;
    for (int64_t k = 0; k < n; k++) {
        const int64_t i = index[k];
        predictions[k] = (mdl_prediction_t){
            .predicted = plan->predicted[mark_of(ratio[i])][i], .sigma = 0.01, .sigma_own = 0.01};
    }
    return MDL_OK;
}

static int64_t choose(plan_t *plan, double score[N])
{
    mdl_error_t err;
    mdl_rounds_space_t *space;
    int64_t choice = -1;
    const mdl_rounds_t rounds = {
        .n = N,
        .n_ve = N_VE,
        .n_llm = N_LLM,
        .ve = ve,
        .llm = llm,
        .work = work,
        .interval = {.marks = marks, .n_mark = mark_of(plan->last_mark) + 1, .confidence = 0.9},
        .context = plan,
        .train = train,
        .list = list,
        .foresee = foresee};
    assert_int_equal(mdl_rounds_space_new(N, &space, &err), MDL_OK);
    assert_int_equal(mdl_rounds_cross(&rounds, space, score, &choice, &err), MDL_OK);
    mdl_rounds_space_free(space);
    return choice;
}

/* Encoders 0 and 1 can't be told apart before ratio 1, where 0 is the better one of the column at
 * .30. In its row the other language model looks better at 1/4 (.35 against .40), so the corner is
 * cut by its points up to there and the other stays, with .35. */
static const plan_t corner_cut = {.predicted = {{0.40, 0.40, 0.90, 0.35, 0.50, 0.90},
                                                {0.35, 0.35, 0.90, 0.35, 0.50, 0.90},
                                                {0.30, 0.31, 0.90, 0.35, 0.50, 0.90}},
                                  .last_mark = 1};

static void keeps_a_corner_that_was_measured(void **state)
{
    (void)state;
    double score[N];
    plan_t plan = corner_cut;
    assert_int_equal(choose(&plan, score), 0);
    assert_true(plan.reached[0] == 1 && plan.reached[3] == 0.25);
    assert_true(plan.reached[4] == 0 && plan.reached[5] == 0);
    for (int i = 1; i < N; i++)
        assert_true(score[0] < score[i]);
    assert_true(fabs(score[0] - log(0.30)) < 1e-12 && fabs(score[3] - log(0.35)) < 1e-12);
    /* .31 .35 / .30 for the pair of the second encoder that was never trained. */
    assert_true(fabs(score[4] - log(0.31 * 0.35 / 0.30)) < 1e-12);
}

/* The same, but what the row has left is expected below what the corner has: .25. */
static void prefers_a_row_that_is_better(void **state)
{
    (void)state;
    double score[N];
    plan_t plan = corner_cut;
    for (int k = 0; k < N_MARK; k++)
        plan.predicted[k][3] = 0.25;
    assert_int_equal(choose(&plan, score), 3);
    assert_true(plan.reached[0] == 1 && plan.reached[3] == 0.25);
}

/* The column is decided at 1/4 already: the corner was never measured at the last mark, and being
 * cut from the row by as many points as it has is final. */
static void gives_up_a_corner_that_was_not_measured(void **state)
{
    (void)state;
    double score[N];
    plan_t plan = corner_cut;
    for (int k = 0; k < N_MARK; k++)
        plan.predicted[k][1] = 0.60;
    assert_int_equal(choose(&plan, score), 3);
    assert_true(plan.reached[0] == 0.25);
    for (int i = 0; i < N; i++)
        assert_true(i == 3 || score[3] < score[i]);
}

/* Nothing trains with language model 0: the other one becomes the column. */
static void goes_on_behind_a_column_that_fails(void **state)
{
    (void)state;
    double score[N];
    plan_t plan = corner_cut;
    for (int i = 0; i < N_VE; i++)
        plan.fails[i] = 1;
    assert_int_equal(choose(&plan, score), N_VE);
    for (int i = 0; i < N_VE; i++)
        assert_true(isinf(score[i]) && plan.reached[N_VE + i] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_a_corner_that_was_measured),
        cmocka_unit_test(prefers_a_row_that_is_better),
        cmocka_unit_test(gives_up_a_corner_that_was_not_measured),
        cmocka_unit_test(goes_on_behind_a_column_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
