#include "io/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* Names by which an MPI program knows that it is a rank of a running job. */
static const char *const launcher_names[] = {"PMIX_",
                                             "PMI_",
                                             "OMPI_COMM_WORLD_",
                                             "OMPI_UNIVERSE_SIZE",
                                             "OMPI_APP_CTX_",
                                             "OMPI_NUM_APP_CTX",
                                             "OMPI_FIRST_RANKS",
                                             "OMPI_FILE_LOCATION",
                                             "OMPI_MCA_orte_",
                                             "OMPI_MCA_ess",
                                             "OMPI_MCA_pmix"};

static int is_launchers(const char *variable)
{
    for (size_t i = 0; i < sizeof launcher_names / sizeof launcher_names[0]; i++)
        if (strncmp(variable, launcher_names[i], strlen(launcher_names[i])) == 0)
            return 1;
    return 0;
}

static int make_environment(char *const *variables, int n_variable, char ***environment,
                            mdl_error_t *err)
{
    size_t n = 0, n_kept = 0;
    while (environ[n] != NULL)
        n++;
    int rc = mdl_alloc(environment, n + (size_t)n_variable + 1, sizeof **environment,
                       "an environment", err);
    if (rc != MDL_OK)
        return rc;
    for (int i = 0; i < n_variable; i++)
        (*environment)[n_kept++] = variables[i];
    for (size_t i = 0; i < n; i++)
        if (!is_launchers(environ[i]))
            (*environment)[n_kept++] = environ[i];
    return MDL_OK;
}

/* Runs sh -c script word in a new process group; stdin and output as given by the actions. */
static int spawn_shell(const char *script, const char *const words[2], char *const *environment,
                       const posix_spawn_file_actions_t *actions, pid_t *pid, mdl_error_t *err)
{
    posix_spawnattr_t attributes;
    sigset_t none;
    char *arguments[] = {"sh", "-c", (char *)script, (char *)words[0], (char *)words[1], NULL};
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    int failed = posix_spawn(pid, "/bin/sh", actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    if (failed != 0)
        return mdl_fail(err, MDL_E_IO, "cannot start /bin/sh: %s", strerror(failed));
    return MDL_OK;
}

/* The shell itself outlives SIGTERM (its commands don't inherit that), so that it waits for a
 * command that saves its state first. */
static int start_command(const char *command, const char *folder, const char *log_path,
                         char *const *environment, pid_t *pid, mdl_error_t *err)
{
    const char *const words[] = {folder, command};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, log_path, O_WRONLY | O_CREAT | O_APPEND, 0666);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    const char *script = "trap : TERM; cd \"$0\" && eval \"$1\"";
    int rc = spawn_shell(script, words, environment, &actions, pid, err);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

/* The guard waits for the end of a pipe that this process holds open, then ends the group. */
static int start_guard(pid_t pid, pid_t *guard, int *our_end, mdl_error_t *err)
{
    char number[32];
    const char *const words[] = {number, NULL};
    posix_spawn_file_actions_t actions;
    int ends[2];
    if (pipe(ends) != 0)
        return mdl_fail(err, MDL_E_IO, "cannot make a pipe: %s", strerror(errno));
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    snprintf(number, sizeof number, "%ld", (long)pid);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[0], 0);
    int rc = spawn_shell("read line; kill -s KILL -- \"-$0\" 2>/dev/null", words, environ, &actions,
                         guard, err);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[0]);
    if (rc == MDL_OK)
        *our_end = ends[1];
    else
        close(ends[1]);
    return rc;
}

int mdl_child_start(const char *command, const char *folder, const char *log_path,
                    char *const *variables, int n_variable, mdl_child_t *child, mdl_error_t *err)
{
    char **environment = NULL;
    int rc;
    MDL_TRY(make_environment(variables, n_variable, &environment, err));
    MDL_TRY(start_command(command, folder, log_path, environment, &child->pid, err));
    rc = start_guard(child->pid, &child->guard, &child->guard_end, err);
    if (rc != MDL_OK) {
        kill(-child->pid, SIGKILL);
        waitpid(child->pid, NULL, 0);
    }
done:
    free(environment);
    return rc;
}

int mdl_child_ended(const mdl_child_t *child)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == child->pid;
}

void mdl_child_end(const mdl_child_t *child, double grace)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    kill(-child->pid, SIGTERM);
    for (double waited = 0; waited < grace && !mdl_child_ended(child); waited += 0.02)
        nanosleep(&pause, NULL);
    kill(-child->pid, SIGKILL);
}

int mdl_child_close(mdl_child_t *child)
{
    int status = 0;
    close(child->guard_end);
    while (waitpid(child->guard, NULL, 0) < 0 && errno == EINTR)
        ;
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}
