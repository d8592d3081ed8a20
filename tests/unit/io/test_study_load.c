/* mdl_study_load: every rank gets the same study, or the same error. */
#include "io/study.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int rank;

static void write_study(const char *path, const char *text)
{
    if (rank == 0) {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        fputs(text, file);
        fclose(file);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

static void test_same_on_all_ranks(void **state)
{
    (void)state;
    char path[64] = "/tmp/mordal-load-XXXXXX", text[512];
    if (rank == 0)
        close(mkstemp(path));
    MPI_Bcast(path, sizeof path, MPI_CHAR, 0, MPI_COMM_WORLD);
    snprintf(text, sizeof text,
             "seed: 7\nzoo:\n  vision: [{name: a, activations: %s}]\n"
             "  language: [{name: lm, checkpoint: /tmp, corpus: %s}]\n  sample_ids: %s\n",
             path, path, path);
    write_study(path, text);
    mdl_study_t *study;
    mdl_error_t err = {0};
    assert_int_equal(mdl_study_load(MPI_COMM_WORLD, path, &study, &err), MDL_OK);
    assert_int_equal(study->seed, 7);
    assert_string_equal(study->folder, "/tmp");
    mdl_study_free(study);

    write_study(path, "zooo: 1\n");
    assert_int_equal(mdl_study_load(MPI_COMM_WORLD, path, &study, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "did you mean zoo?"));
    assert_null(study);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0)
        remove(path);
    MPI_Barrier(MPI_COMM_WORLD);
    assert_int_equal(mdl_study_load(MPI_COMM_WORLD, path, &study, &err), MDL_E_MISSING);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_on_all_ranks)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
