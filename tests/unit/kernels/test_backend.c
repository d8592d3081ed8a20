/* The memory of the backends, and what the strict one notices. */
#include "../backends.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { N = 24 };

static float *on_backend(const mdl_backend_t *backend, const float *values)
{
    mdl_error_t err;
    float *memory;
    assert_int_equal(backend->alloc(&memory, N * sizeof *memory, "numbers", &err), MDL_OK);
    assert_int_equal(backend->upload(memory, values, N * sizeof *memory, &err), MDL_OK);
    return memory;
}

static void assert_holds(const mdl_backend_t *backend, const float *memory, const float *expected)
{
    mdl_error_t err;
    float values[N];
    assert_int_equal(backend->download(values, memory, sizeof values, &err), MDL_OK);
    assert_memory_equal(values, expected, sizeof values);
}

static void memory_keeps_what_is_put_there(void **state)
{
    (void)state;
    const mdl_backend_t *backends[MAX_BACKEND];
    int n_backend = find_backends(backends);
    float numbers[N], zeros[N] = {0}, some[N];
    for (int i = 0; i < N; i++)
        some[i] = numbers[i] = (float)i + 0.5f;
    memset(some + 4, 0, 8 * sizeof *some);
    for (int b = 0; b < n_backend; b++) {
        const mdl_backend_t *be = backends[b];
        mdl_error_t err;
        float *a = on_backend(be, numbers), *copy;
        assert_int_equal(be->alloc(&copy, N * sizeof *copy, "numbers", &err), MDL_OK);
        assert_holds(be, copy, zeros);
        be->copy(copy, a, N * sizeof *copy);
        be->zero(a + 4, 8 * sizeof *a);
        assert_holds(be, copy, numbers);
        assert_holds(be, a, some);
        be->release(copy);
        be->release(a);
        be->release(NULL);
    }
}

static void memory_that_is_not_there_is_refused(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* it ends a program that asks for so much */
#endif
    const mdl_backend_t *backends[MAX_BACKEND];
    int n_backend = find_backends(backends);
    for (int b = 0; b < n_backend; b++) {
        mdl_error_t err;
        void *memory;
        assert_int_equal(backends[b]->alloc(&memory, (size_t)1 << 60, "a workspace", &err),
                         MDL_E_MEMORY);
        assert_non_null(strstr(err.text, "a workspace"));
    }
}

/* What the host does with an address a of the strict backend, and with memory of its own. */
static float read_it(float *a)
{
    return a[0];
}

static float write_it(float *a)
{
    a[3] = 1;
    return 0;
}

static float give_own_memory(float *a)
{
    float own[N] = {0};
    mdl_backend_strict()->rows_set(a, own, 1, N);
    return 0;
}

static float give_too_little(float *a)
{
    mdl_backend_strict()->zero(a + 1, N * sizeof *a);
    return 0;
}

static float give_released(float *a)
{
    mdl_backend_strict()->release(a);
    mdl_backend_strict()->zero(a, sizeof *a);
    return 0;
}

static int signal_of(float (*mistake)(float *a), float *a)
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        volatile float seen = mistake(a);
        (void)seen;
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void strict_backend_notices(void **state)
{
    (void)state;
    static const struct {
        float (*mistake)(float *a);
        int signal;
    } cases[] = {{read_it, SIGSEGV},
                 {write_it, SIGSEGV},
                 {give_own_memory, SIGABRT},
                 {give_too_little, SIGABRT},
                 {give_released, SIGABRT}};
    static const float zeros[N];
    float *a = on_backend(mdl_backend_strict(), zeros);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int got = signal_of(cases[i].mistake, a);
#ifdef __SANITIZE_ADDRESS__
        assert_int_not_equal(got, 0); /* it reports a bad access and leaves with a code */
#else
        assert_int_equal(got, cases[i].signal);
#endif
    }
    mdl_backend_strict()->release(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_keeps_what_is_put_there),
        cmocka_unit_test(memory_that_is_not_there_is_refused),
        cmocka_unit_test(strict_backend_notices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
