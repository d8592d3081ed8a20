#include "models/halving.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX = 16 };

typedef struct {
    const char *what;
    double start, eta, max;
    int64_t keep, number, n;
    double error[MAX];    /* NaN: failed */
    double loss[MAX];     /* 0: none */
    const char *promoted; /* a letter for each row: y or n */
    int finished;
    const char *note;
} case_t;

static const case_t cases[] = {
    {"half go on",
     .03,
     2,
     .125,
     1,
     1,
     4,
     {.4, .2, .3, .1},
     {0},
     "nyny",
     0,
     "clusters that go on: 2, to ratio 0.06"},
    {"half of an odd number is rounded up",
     .03,
     2,
     .125,
     1,
     1,
     5,
     {.5, .1, .2, .3, .4},
     {0},
     "nyyyn",
     0,
     "clusters that go on: 3, to ratio 0.06"},
    {"never fewer than K",
     .03,
     2,
     .125,
     3,
     1,
     4,
     {.4, .2, .3, .1},
     {0},
     "nyyy",
     1,
     "clusters left: 3, no more than K = 3"},
    {"K is reached",
     .03,
     2,
     .125,
     2,
     1,
     4,
     {.4, .2, .3, .1},
     {0},
     "nyny",
     1,
     "clusters left: 2, no more than K = 2"},
    {"the next ratio would pass R: K alone go on",
     .03,
     2,
     .125,
     1,
     3,
     4,
     {.4, .2, .3, .1},
     {0},
     "nnny",
     1,
     "clusters left: 1, no more than K = 1"},
    {"the next ratio is R",
     .03125,
     2,
     .125,
     1,
     2,
     4,
     {.4, .2, .3, .1},
     {0},
     "nyny",
     0,
     "clusters that go on: 2, to ratio 0.125"},
    {"a third goes on",
     .01,
     3,
     .125,
     1,
     1,
     7,
     {.7, .6, .5, .4, .3, .2, .1},
     {0},
     "nnnnyyy",
     0,
     "clusters that go on: 3, to ratio 0.03"},
    {"ties are broken by loss, then by name",
     .03,
     2,
     .125,
     1,
     1,
     4,
     {.2, .2, .2, .2},
     {3, 1, 2, 2},
     "nyyn",
     0,
     "clusters that go on: 2, to ratio 0.06"},
    {"without losses by name",
     .03,
     2,
     .125,
     1,
     1,
     4,
     {.2, .2, .2, .2},
     {0},
     "yynn",
     0,
     "clusters that go on: 2, to ratio 0.06"},
    {"a failed one is not promoted",
     .03,
     2,
     .125,
     1,
     1,
     4,
     {NAN, .9, NAN, NAN},
     {0},
     "nynn",
     1,
     "clusters left: 1, no more than K = 1"},
    {"one cluster",
     .03,
     2,
     .125,
     1,
     2,
     1,
     {.9},
     {0},
     "y",
     1,
     "clusters left: 1, no more than K = 1"},
};

static mdl_rung_t make(const case_t *from)
{
    static char *names[MAX] = {"a+x", "b+x", "c+x", "d+x", "e+x", "f+x", "g+x", "h+x"};
    static char *reasons[MAX] = {"it hung"};
    static double error[MAX], loss[MAX];
    static uint8_t promoted[MAX], failed[MAX];
    mdl_rung_t rung = {.rung = from->number,
                       .n_candidate = from->n,
                       .candidate = names,
                       .reason = reasons,
                       .error = error,
                       .loss = loss,
                       .promoted = promoted,
                       .failed = failed};
    for (int64_t i = 0; i < from->n; i++) {
        error[i] = from->error[i];
        loss[i] = from->loss[i] > 0 ? from->loss[i] : NAN;
        failed[i] = isnan(from->error[i]);
        promoted[i] = 1;
    }
    return rung;
}

static void promotion(void **state)
{
    (void)state;
    mdl_error_t err = {0};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const case_t *c = &cases[k];
        const mdl_halving_t halving = {c->start, c->eta, c->max, c->keep};
        mdl_rung_t rung = make(c);
        assert_int_equal(mdl_halving_promote(&halving, &rung, &err), MDL_OK);
        for (int64_t i = 0; i < c->n; i++)
            if (rung.promoted[i] != (c->promoted[i] == 'y'))
                fail_msg("%s: row %d", c->what, (int)i);
        if (rung.finished != c->finished || strcmp(rung.note, c->note) != 0)
            fail_msg("%s: finished %d, %s", c->what, rung.finished, rung.note);
        free(rung.note);
    }
}

static void all_failed(void **state)
{
    (void)state;
    mdl_error_t err = {0};
    const case_t none = {.number = 1, .n = 3, .error = {NAN, NAN, NAN}};
    const mdl_halving_t halving = {.03, 2, .125, 1};
    mdl_rung_t rung = make(&none);
    assert_int_equal(mdl_halving_promote(&halving, &rung, &err), MDL_E_TRAINER);
    assert_string_equal(err.text, "all 3 candidates of rung 1 failed; a+x: it hung");
}

static void few_clusters_all_pass(void **state)
{
    (void)state;
    mdl_error_t err = {0};
    const case_t few = {.number = 1, .n = 2, .error = {NAN, NAN}};
    const mdl_halving_t halving = {.03, 2, .125, 3};
    mdl_rung_t rung = make(&few);
    assert_int_equal(mdl_halving_pass_all(&halving, &rung, &err), MDL_OK);
    assert_int_equal(rung.promoted[0] + rung.promoted[1], 2);
    assert_int_equal(rung.finished, 1);
    assert_string_equal(rung.note, "clusters: 2, no more than K = 3: nothing to halve");
    free(rung.note);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(promotion),
        cmocka_unit_test(all_failed),
        cmocka_unit_test(few_clusters_all_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
