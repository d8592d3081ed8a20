/* Sweeps with the replay trainer: results, failures, stops and errors on any number of ranks. */
#include "models/sweep.h"
#include "mpi/stop.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { N = 12 };

static int rank, n_rank;
static char folder[] = "/tmp/mordal-sweep-XXXXXX";
static char curves[64];
static char names[N][8];
static mdl_candidate_t candidates[N];
static const double marks[] = {.25, .125, .0625};
static mdl_error_t err;

static mdl_study_t study = {
    .folder = folder,
    .search = {.start_ratio = .125, .eta = 2, .max_ratio = .25, .keep = 1},
    .regress = {.divisor = 2, .points = 2, .max_points = 3, .confidence = .9},
    .trainer = {.kind = MDL_TRAINER_REPLAY, .curves = curves},
};

static void shell(const char *format)
{
    char command[160];
    MPI_Barrier(MPI_COMM_WORLD);
    snprintf(command, sizeof command, format, folder);
    if (rank == 0)
        assert_int_equal(system(command), 0);
    MPI_Barrier(MPI_COMM_WORLD);
}

/* Candidate i has error .1 + i / 100 at ratio .25, twice that at .0625; v5 isn't in the table. */
static int setup(void **state)
{
    (void)state;
    FILE *file = rank == 0 ? fopen(curves, "w") : NULL;
    if (file != NULL)
        fprintf(file, "ve,llm,ratio,err,seconds\n");
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "v%d", i);
        candidates[i] = (mdl_candidate_t){names[i], "m"};
        if (file != NULL && i != 5)
            fprintf(file, "v%d,m,.0625,%g,%d\nv%d,m,.25,%g,%d\n", i, .2 + i / 50., i + 1, i,
                    .1 + i / 100., 4 * (i + 1));
    }
    if (file != NULL)
        fclose(file);
    MPI_Barrier(MPI_COMM_WORLD);
    return 0;
}

static int run(const mdl_sweep_t *sweep, mdl_sweep_result_t *results)
{
    mdl_trainer_t *trainer;
    assert_int_equal(mdl_trainer_open(MPI_COMM_WORLD, &study, 0, &trainer, &err), MDL_OK);
    int rc = mdl_sweep_run(MPI_COMM_WORLD, trainer, sweep, candidates, N, results, &err);
    mdl_trainer_free(trainer);
    return rc;
}

static int two_are_enough(const void *context, const mdl_point_t *points, int n_point)
{
    (void)context;
    (void)points;
    return n_point == 2;
}

static void check(const mdl_sweep_result_t *results, int n_point)
{
    for (int i = 0; i < N; i++) {
        assert_true(results[i].finished);
        if (i == 5) {
            assert_true(results[i].failed);
            assert_non_null(strstr(results[i].reason, "has no rows for v5+m"));
            continue;
        }
        assert_false(results[i].failed);
        assert_int_equal(results[i].n_point, n_point);
        assert_true(fabs(results[i].points[0].error - (.1 + i / 100.)) < 1e-12);
        assert_true(fabs(results[i].points[1].error - sqrt(2) * (.1 + i / 100.)) < 1e-12);
        assert_true(fabs(results[i].points[0].train_seconds - 4 * (i + 1)) < 1e-9);
    }
}

/* Groups of one, and of two with a rank left over where there are three. */
static void all_results_on_all_ranks(void **state)
{
    (void)state;
    static mdl_sweep_result_t results[N];
    for (int size = 0; size <= 2; size += 2) {
        mdl_sweep_t sweep = {.ratio = .25, .marks = marks, .n_mark = 3, .batch = 4};
        sweep.ranks_per_candidate = size;
        assert_int_equal(run(&sweep, results), MDL_OK);
        check(results, 3);
        sweep.enough = two_are_enough;
        assert_int_equal(run(&sweep, results), MDL_OK);
        check(results, 2);
        shell("rm -r %s/candidates");
    }
}

/* An error that isn't about a candidate alone is everyone's, and nobody hangs. */
static void another_error_ends_all(void **state)
{
    (void)state;
    static mdl_sweep_result_t results[N];
    const mdl_sweep_t sweep = {.ratio = .25, .marks = marks, .n_mark = 1, .batch = 4};
    shell("mkdir -p %s/candidates/v7+m");
    shell("echo nonsense > %s/candidates/v7+m/history.h5");
    assert_int_equal(run(&sweep, results), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "history.h5"));
    shell("rm -r %s/candidates");
}

/* The last: the signal stays. One rank alone gets it. */
static void a_stop_of_one_rank_stops_all(void **state)
{
    (void)state;
    static mdl_sweep_result_t results[N];
    const mdl_sweep_t sweep = {
        .ratio = .25, .marks = marks, .n_mark = 1, .batch = 4, .ranks_per_candidate = n_rank};
    mdl_stop_setup(0);
    if (rank == n_rank - 1)
        raise(SIGUSR1);
    assert_int_equal(run(&sweep, results), MDL_E_AGAIN);
    assert_non_null(strstr(err.text, "(0 of 12)"));
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_rank);
    if (rank == 0 && mkdtemp(folder) == NULL)
        MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Bcast(folder, sizeof folder, MPI_CHAR, 0, MPI_COMM_WORLD);
    snprintf(curves, sizeof curves, "%s/curves.csv", folder);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_results_on_all_ranks),
        cmocka_unit_test(another_error_ends_all),
        cmocka_unit_test(a_stop_of_one_rank_stops_all),
    };
    int failed = cmocka_run_group_tests(tests, setup, NULL);
    shell("rm -r %s");
    MPI_Finalize();
    return failed;
}
