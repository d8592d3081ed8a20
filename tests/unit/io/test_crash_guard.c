#include "io/crash_guard.h"

#include "core/exit.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* How a child ends that crashes by number while the guard is on, and what it says. */
static int crash(int number, int guarded, char *said, size_t n_said)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(number, SIG_DFL);
        mdl_crash_guard_begin("some.h5");
        if (!guarded)
            mdl_crash_guard_end();
        raise(number);
        _exit(0);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], said, n_said - 1);
    said[n > 0 ? n : 0] = '\0';
    close(ends[0]);
    waitpid(child, &status, 0);
    return status;
}

static void crashes_become_sentences(void **state)
{
    (void)state;
    const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
    char said[256];
    for (int i = 0; i < 4; i++) {
        int status = crash(numbers[i], 1, said, sizeof said);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == MDL_E_INPUT);
        assert_non_null(strstr(said, "some.h5: HDF5 crashed on it"));
        status = crash(numbers[i], 0, said, sizeof said);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == numbers[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(crashes_become_sentences)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
