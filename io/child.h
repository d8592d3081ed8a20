/* A child process that runs a shell command in a process group of its own, with its output in a
 * log file. Whatever ends this process, even SIGKILL, ends the child's whole group too. */
#ifndef MDL_IO_CHILD_H
#define MDL_IO_CHILD_H

#include "core/error.h"

#include <sys/types.h>

typedef struct {
    pid_t pid;     /* of the child, and its process group */
    pid_t guard;   /* ends the group when this process is gone */
    int guard_end; /* our end of the pipe that the guard reads */
} mdl_child_t;

/* Starts `sh -c command` in folder with output appended to log_path. variables: [n_variable]
 * "NAME=value", added to this process's environment without what an MPI launcher put there, so that
 * the command can start MPI programs itself. Not collective. Returns MDL_E_IO or MDL_E_MEMORY. */
int mdl_child_start(const char *command, const char *folder, const char *log_path,
                    char *const *variables, int n_variable, mdl_child_t *child, mdl_error_t *err);

/* 1 once the child itself ended (it still has to be closed). Not collective. */
int mdl_child_ended(const mdl_child_t *child);

/* SIGTERM to the group, and SIGKILL when the child is still there after grace seconds.
 * Not collective. */
void mdl_child_end(const mdl_child_t *child, double grace);

/* Ends what is left of the group and returns the child's wait status. Not collective. */
int mdl_child_close(mdl_child_t *child);

#endif
