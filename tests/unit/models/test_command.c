/* What a script's answer may hold, and the child process that runs it. */
#include "io/child.h"
#include "models/command_answer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/mordal-command-XXXXXX";
static char path[64], log_path[64];
static mdl_error_t err;

static void write_text(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void reads_answers(void **state)
{
    (void)state;
    mdl_command_answer_t answer;
    write_text("{\"error\": 0.25, \"error_stderr\": 0.5e-1, \"loss\": 2, \"train_seconds\": 30}");
    assert_int_equal(mdl_command_answer_read(path, &answer, &err), MDL_OK);
    assert_true(answer.error == .25 && answer.error_stderr == .05 && answer.loss == 2 &&
                answer.train_seconds == 30);
    write_text("{\"error\": 1}");
    assert_int_equal(mdl_command_answer_read(path, &answer, &err), MDL_OK);
    assert_true(answer.error == 1 && isnan(answer.error_stderr) && isnan(answer.loss) &&
                isnan(answer.train_seconds));
    answer.loss = 0.1;
    assert_int_equal(mdl_command_answer_write(path, &answer, &err), MDL_OK);
    assert_int_equal(mdl_command_answer_read(path, &answer, &err), MDL_OK);
    assert_true(answer.error == 1 && answer.loss == 0.1 && isnan(answer.error_stderr));
}

static void refuses_nonsense(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "0.5",
        "[0.5]",
        "{}",
        "{\"error\": -0.1}",
        "{\"error\": 1.1}",
        "{\"error\": 1e999}",
        "{\"error\": NaN}",
        "{\"error\": null}",
        "{\"error\": \"0.1\"}",
        "{\"error\": [0.1]}",
        "{\"error\": 0.1, \"error\": 0.2}",
        "{\"error\": 0.1, \"accuracy\": 0.9}",
        "{\"error\": 0.1, \"train_seconds\": -3}",
        "{\"error\": 0.1} trailing",
    };
    mdl_command_answer_t answer;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_text(texts[i]);
        if (mdl_command_answer_read(path, &answer, &err) != MDL_E_INPUT)
            fail_msg("'%s' is read", texts[i]);
    }
    write_text("{\"error\": 0.1, \"los\": 3}");
    assert_int_equal(mdl_command_answer_read(path, &answer, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "unknown key 'los'; did you mean 'loss'?"));
    unlink(path);
    assert_int_equal(mdl_command_answer_read(path, &answer, &err), MDL_E_MISSING);
}

static int finish(mdl_child_t *child)
{
    while (!mdl_child_ended(child))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return mdl_child_close(child);
}

static void a_child_has_its_variables_and_its_folder(void **state)
{
    (void)state;
    mdl_child_t child;
    char *variables[] = {"MORDAL_TEST=a b'c"};
    char line[128] = "";
    setenv("OMPI_COMM_WORLD_RANK", "3", 1);
    assert_int_equal(mdl_child_start("echo \"$MORDAL_TEST;$OMPI_COMM_WORLD_RANK;$PWD\" >&2; exit 7",
                                     folder, log_path, variables, 1, &child, &err),
                     MDL_OK);
    int status = finish(&child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    FILE *file = fopen(log_path, "r");
    assert_non_null(fgets(line, sizeof line, file));
    fclose(file);
    line[strcspn(line, "\n")] = '\0';
    assert_true(strncmp(line, "a b'c;;", 7) == 0);
    assert_string_equal(line + 7, folder);
}

/* Waits until the command has made its file ready: its traps are set. */
static void wait_until_ready(void)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    char ready[300];
    snprintf(ready, sizeof ready, "%s/ready", folder);
    for (int i = 0; i < 1000 && access(ready, F_OK) != 0; i++)
        nanosleep(&pause, NULL);
    assert_int_equal(unlink(ready), 0);
}

/* A command that saves on SIGTERM has its time; one that ignores it is killed. */
static void a_child_is_ended(void **state)
{
    (void)state;
    mdl_child_t child;
    assert_int_equal(
        mdl_child_start(
            "(trap 'sleep 0.2; touch saved; exit 75' TERM; touch ready; sleep 50 & wait)", folder,
            log_path, NULL, 0, &child, &err),
        MDL_OK);
    wait_until_ready();
    assert_false(mdl_child_ended(&child));
    mdl_child_end(&child, 20);
    int status = mdl_child_close(&child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 75);
    snprintf(path, sizeof path, "%s/saved", folder);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(mdl_child_start("(trap '' TERM; touch ready; sleep 50)", folder, log_path,
                                     NULL, 0, &child, &err),
                     MDL_OK);
    wait_until_ready();
    mdl_child_end(&child, 0.1);
    status = mdl_child_close(&child);
    assert_true(WIFSIGNALED(status));
}

int main(void)
{
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/answer.json", folder);
    snprintf(log_path, sizeof log_path, "%s/command.log", folder);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_answers),
        cmocka_unit_test(refuses_nonsense),
        cmocka_unit_test(a_child_has_its_variables_and_its_folder),
        cmocka_unit_test(a_child_is_ended),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return failed | system(command);
}
