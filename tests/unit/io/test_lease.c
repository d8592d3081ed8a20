#include "io/lease.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char nonce[MDL_LEASE_NONCE];

/* Takes the lease in a child process that holds it until it is told to end. */
static pid_t start_holder(int *tell)
{
    int ready[2], end[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(end), 0);
    pid_t child = fork();
    if (child == 0) {
        mdl_error_t err;
        char byte = mdl_lease_take(".", nonce, &err) == MDL_OK ? 'y' : 'n';
        if (write(ready[1], &byte, 1) != 1 || read(end[0], &byte, 1) != 1)
            _exit(1);
        mdl_lease_give_back();
        _exit(0);
    }
    char byte = 0;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    *tell = end[1];
    return child;
}

static void a_second_run_is_refused(void **state)
{
    (void)state;
    mdl_error_t err;
    int tell;
    pid_t child = start_holder(&tell);
    assert_int_equal(mdl_lease_take(".", nonce, &err), MDL_E_LOCKED);
    char expected[64];
    snprintf(expected, sizeof expected, "process %ld", (long)child);
    assert_non_null(strstr(err.text, expected));
    assert_int_equal(write(tell, "x", 1), 1);
    waitpid(child, NULL, 0);
    assert_int_equal(mdl_lease_take(".", nonce, &err), MDL_OK);
    assert_int_equal(mdl_lease_check(&err), MDL_OK);
    mdl_lease_give_back();
    assert_int_not_equal(access(".lease", F_OK), 0);
}

static void a_killed_holder_is_followed(void **state)
{
    (void)state;
    mdl_error_t err;
    int tell;
    pid_t child = start_holder(&tell);
    kill(child, 9);
    waitpid(child, NULL, 0);
    assert_int_equal(access(".lease", F_OK), 0);
    assert_int_equal(mdl_lease_take(".", nonce, &err), MDL_OK);
    mdl_lease_give_back();
}

static unsigned long long start_in_lease(void)
{
    unsigned long long start = 0;
    FILE *file = fopen(".lease", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*s %*s %*s %*s %llu", &start), 1);
    fclose(file);
    return start;
}

/* A later process got the holder's pid: this one. */
static void a_pid_that_is_used_again_is_no_holder(void **state)
{
    (void)state;
    mdl_error_t err;
    char host[64] = "";
    assert_int_equal(mdl_lease_take(".", nonce, &err), MDL_OK);
    const unsigned long long start = start_in_lease();
    mdl_lease_give_back();
    gethostname(host, sizeof host - 1);
    for (int earlier = 0; earlier < 2; earlier++) {
        FILE *file = fopen(".lease", "w");
        fprintf(file, "%s %ld - another-nonce %llu\n", host, (long)getpid(), start - earlier);
        fclose(file);
        assert_int_equal(mdl_lease_take(".", nonce, &err), earlier ? MDL_OK : MDL_E_LOCKED);
    }
    assert_int_equal(start_in_lease(), start);
    mdl_lease_give_back();
}

/* As on a rank that isn't the first: the child holds the lease, this process goes by it. */
static void followers_are_fenced_too(void **state)
{
    (void)state;
    mdl_error_t err;
    int tell;
    pid_t child = start_holder(&tell);
    FILE *file = fopen(".lease", "r");
    assert_int_equal(fscanf(file, "%*s %*s %*s %47s", nonce), 1);
    fclose(file);
    assert_int_equal(mdl_lease_follow(".", nonce, &err), MDL_OK);
    assert_int_equal(mdl_lease_check(&err), MDL_OK);
    assert_int_equal(write(tell, "x", 1), 1);
    waitpid(child, NULL, 0);
    assert_int_equal(mdl_lease_check(&err), MDL_E_LOCKED);
    mdl_lease_give_back();
    assert_int_equal(mdl_lease_check(&err), MDL_OK);
}

static void a_lost_lease_fences(void **state)
{
    (void)state;
    mdl_error_t err;
    assert_int_equal(mdl_lease_take(".", nonce, &err), MDL_OK);
    FILE *file = fopen(".lease", "w");
    fputs("elsewhere 1 77 another-nonce\n", file);
    fclose(file);
    assert_int_equal(mdl_lease_check(&err), MDL_E_LOCKED);
    mdl_lease_give_back();
    assert_int_equal(access(".lease", F_OK), 0);
    unlink(".lease");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_run_is_refused),
        cmocka_unit_test(a_killed_holder_is_followed),
        cmocka_unit_test(a_pid_that_is_used_again_is_no_holder),
        cmocka_unit_test(followers_are_fenced_too),
        cmocka_unit_test(a_lost_lease_fences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
