/* The table of curves as a hostile file, and the replay trainer on it. */
#include "io/curves_csv.h"
#include "models/trainer_replay.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/mordal-replay-XXXXXX";
static char path[64];
static mdl_error_t err;

static void write_text(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void refuses_bad_tables(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "is empty"},
        {"ve,llm,ratio\na,b,1\n", "has no column 'err'"},
        {"ve,llm,ratio,err,err\n", "twice: 'err'"},
        {"ve,llm,ratio,err\n", "no rows"},
        {"ve,llm,ratio,err\na,b,0.5\n", "line 2: 3 fields, the header has 4"},
        {"ve,llm,ratio,err\n# c\n\na,b,0.5,.1\na,b,x,.1\n", "line 5: ratio must be a number"},
        {"ve,llm,ratio,err\na,b,0,.1\n", "ratio must be a number from 1e-09 to 1, not '0'"},
        {"ve,llm,ratio,err\na,b,1.5,.1\n", "ratio must be"},
        {"ve,llm,ratio,err\na,b,.5,nan\n", "err must be a number from 0 to 1, not 'nan'"},
        {"ve,llm,ratio,err\na,b,.5,\n", "err must be"},
        {"ve,llm,ratio,err\na,b,.5,1.01\n", "err must be"},
        {"ve,llm,ratio,err,loss\na,b,.5,.1,inf\n", "loss must be"},
        {"ve,llm,ratio,err,seconds\na,b,.5,.1,-1\n", "seconds must be"},
        {"ve,llm,ratio,err\n../x,b,.5,.1\n", "a model's name is made of"},
        {"ve,llm,ratio,err\n,b,.5,.1\n", "a model's name has 1 to 63"},
        {"ve,llm,ratio,err\n\"a,b\",c,.5,.1\n", "a model's name is made of"},
        {"ve,llm,ratio,err\n\"a,b,.5,.1\n", "line 2: a quoted field doesn't end in its line"},
        {"ve,llm,ratio,err\n\"a\"x,b,.5,.1\n", "text behind a quoted field: 'x'"},
        {"ve,llm,ratio,err\na\"x\",b,.5,.1\n", "a field with a quote in it stands in quotes"},
        {"ve,llm,ratio,err\na,b,.5,.1\rc,d,.5,.1\n", "line 2: has a carriage return inside"},
        {"ve,llm,ratio,err\na,b,.5,.1\nc,b,.5,.1\na,b,.5,.2\n", "lines 2 and 4 are both for a+b"},
        {"ve,llm,ratio,err,seed\na,b,.5,.1,0\na,b,.5,.1,0\n", "lines 2 and 3 are both"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mdl_curves_t curves;
        write_text(cases[i].text);
        assert_int_equal(mdl_curves_read(path, &curves, &err), MDL_E_INPUT);
        if (strstr(err.text, cases[i].message) == NULL)
            fail_msg("case %zu: '%s' is not in '%s'", i, cases[i].message, err.text);
    }
}

static void refuses_a_line_without_end(void **state)
{
    (void)state;
    mdl_curves_t curves;
    FILE *file = fopen(path, "w");
    fputs("ve,llm,ratio,err\n", file);
    for (int i = 0; i < 10000; i++)
        fputc('x', file);
    fclose(file);
    assert_int_equal(mdl_curves_read(path, &curves, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "line 2: longer than"));
    assert_int_equal(mdl_curves_read("/nowhere/c.csv", &curves, &err), MDL_E_MISSING);
}

/* Columns in any order, Windows line ends, a byte order mark, seeds averaged. */
static void reads_a_table(void **state)
{
    (void)state;
    mdl_curves_t curves;
    int64_t n;
    write_text("\xef\xbb\xbfratio,seed, err ,llm,ve,kind,seconds\r\n"
               "1,0,.30,b,a,fresh,8\r\n"
               "0.5,0,.50,b,a,fresh,4\r\n"
               "0.5,1,.40,b,a,fresh,6\r\n"
               "0.5,1,.20,b,c,fresh,\r\n");
    assert_int_equal(mdl_curves_read(path, &curves, &err), MDL_OK);
    assert_int_equal(curves.n_point, 3);
    const mdl_curve_point_t *curve = mdl_curves_find(&curves, "a", "b", &n);
    assert_int_equal(n, 2);
    assert_true(curve[0].ratio == 0.5 && curve[1].ratio == 1);
    assert_true(fabs(curve[0].error - .45) < 1e-12);
    assert_true(fabs(curve[0].error_stderr - .05) < 1e-12); /* sqrt(.005 / 2) */
    assert_true(fabs(curve[0].seconds - 5) < 1e-12);
    assert_int_equal(curve[0].n_row, 2);
    assert_true(isnan(curve[1].error_stderr) && isnan(curve[1].loss));
    curve = mdl_curves_find(&curves, "c", "b", &n);
    assert_true(n == 1 && isnan(curve[0].seconds));
    assert_null(mdl_curves_find(&curves, "a", "c", &n));
    mdl_curves_free(&curves);
}

static mdl_study_t study = {
    .folder = folder,
    .search = {.start_ratio = .125, .eta = 2, .max_ratio = .25, .keep = 1},
    .regress = {.divisor = 2, .points = 2, .max_points = 3, .confidence = .9},
    .trainer = {.kind = MDL_TRAINER_REPLAY, .curves = path},
};

static void answers_and_interpolates(void **state)
{
    (void)state;
    const mdl_candidate_t candidate = {"a", "b"}, unknown = {"a", "z"};
    mdl_trainer_t *trainer;
    mdl_point_t point;
    write_text("ve,llm,ratio,err,err_stderr,loss,seconds\n"
               "a,b,0.1,.4,.02,3,10\na,b,0.4,.1,.01,2,40\na,b,1,.05,.01,1,100\n");
    assert_int_equal(mdl_trainer_open(MPI_COMM_SELF, &study, 0, &trainer, &err), MDL_OK);
    assert_true(fabs(mdl_trainer_seconds(trainer, &candidate) - 100) < 1e-9);
    assert_int_equal(mdl_trainer_train(trainer, MPI_COMM_SELF, &candidate, .25, &err), MDL_OK);
    assert_int_equal(mdl_trainer_measure(trainer, MPI_COMM_SELF, &candidate, .25, &point, &err),
                     MDL_OK);
    /* Slope log(.1/.4) / log(4) = -1: error = .04 / ratio. Seconds are linear in the ratio. */
    assert_true(fabs(point.error - .16) < 1e-12);
    assert_true(fabs(point.train_seconds - 25) < 1e-9);
    assert_int_equal(mdl_trainer_train(trainer, MPI_COMM_SELF, &candidate, 1, &err), MDL_OK);
    assert_int_equal(mdl_trainer_measure(trainer, MPI_COMM_SELF, &candidate, 1, &point, &err),
                     MDL_OK);
    assert_true(point.error == .05 && fabs(point.train_seconds - 100) < 1e-9);
    assert_int_equal(mdl_trainer_measure(trainer, MPI_COMM_SELF, &candidate, .0625, &point, &err),
                     MDL_E_TRAINER);
    assert_non_null(strstr(err.text, "holds ratios 0.1 to 1 for a+b, but 0.0625 is asked for"));
    assert_int_equal(mdl_trainer_train(trainer, MPI_COMM_SELF, &unknown, .25, &err), MDL_E_TRAINER);
    assert_non_null(strstr(err.text, "has no rows for a+z"));
    mdl_trainer_free(trainer);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/curves.csv", folder);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_bad_tables),
        cmocka_unit_test(refuses_a_line_without_end),
        cmocka_unit_test(reads_a_table),
        cmocka_unit_test(answers_and_interpolates),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", folder);
    failed |= system(command);
    MPI_Finalize();
    return failed;
}
