#include "io/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void this_one_lives(void **state)
{
    (void)state;
    const unsigned long long start = mdl_process_start((long)getpid());
    assert_true(mdl_process_lives((long)getpid(), 0));
    assert_true(mdl_process_lives((long)getpid(), start));
    assert_false(start != 0 && mdl_process_lives((long)getpid(), start + 1));
}

/* Before its parent asks and after that. */
static void one_that_ended_does_not(void **state)
{
    (void)state;
    siginfo_t ended;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    assert_int_equal(waitid(P_PID, (id_t)child, &ended, WEXITED | WNOWAIT), 0);
    assert_false(mdl_process_start((long)getpid()) != 0 && mdl_process_lives((long)child, 0));
    waitpid(child, NULL, 0);
    assert_false(mdl_process_lives((long)child, 0));
    assert_false(mdl_process_lives(0, 0));
    assert_false(mdl_process_lives(-1, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_one_lives),
        cmocka_unit_test(one_that_ended_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
