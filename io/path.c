#include "io/path.h"

#include "core/text.h"
#include "io/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int mdl_path_make_folder(const char *path, mdl_error_t *err)
{
    char *copy = mdl_text("%s", path);
    if (copy == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    int rc = MDL_OK;
    for (char *slash = copy + 1; rc == MDL_OK; slash++) {
        slash += strcspn(slash, "/");
        int last = *slash == '\0';
        *slash = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            rc = mdl_fail(err, MDL_E_IO, "folder %s: cannot be made: %s", copy, strerror(errno));
        if (last)
            break;
        *slash = '/';
    }
    struct stat info;
    if (rc == MDL_OK && (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)))
        rc = mdl_fail(err, MDL_E_IO, "%s: exists and is not a folder; move it away", path);
    free(copy);
    return rc;
}

int mdl_path_make_parent(const char *path, mdl_error_t *err)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return MDL_OK;
    char *folder = mdl_text("%.*s", (int)(slash - path), path);
    if (folder == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    int rc = mdl_path_make_folder(folder, err);
    free(folder);
    return rc;
}

int mdl_path_check_readable(const char *path, const char *advice, int wait, mdl_error_t *err)
{
    const struct timespec pause = {0, 250000000};
    for (int attempt = 0; attempt < (wait ? 20 : 1); attempt++) {
        int file = open(path, O_RDONLY | O_NONBLOCK); /* a pipe would wait for its writer */
        if (file >= 0) {
            struct stat info;
            int regular = fstat(file, &info) == 0 && S_ISREG(info.st_mode);
            close(file);
            return regular
                       ? MDL_OK
                       : mdl_fail(err, MDL_E_INPUT, "%s: is not a regular file; %s", path, advice);
        }
        if (errno != ENOENT)
            return mdl_fail(err, MDL_E_IO, "%s: cannot be read: %s; %s", path, strerror(errno),
                            advice);
        if (wait)
            nanosleep(&pause, NULL);
    }
    return mdl_fail(err, MDL_E_MISSING, "%s: not there; %s", path, advice);
}

char *mdl_path_temporary(const char *path)
{
    char host[64] = "host";
    gethostname(host, sizeof host - 1);
    return mdl_text("%s.tmp.%s.%ld", path, host, (long)getpid());
}

static int sync_path(const char *path, int is_folder, mdl_error_t *err)
{
    int file = open(path, is_folder ? O_RDONLY | O_DIRECTORY : O_RDONLY), rc = MDL_OK;
    /* Some filesystems can't flush folders, and say so by these codes. */
    if (file < 0 || (fsync(file) != 0 &&
                     !(is_folder && (errno == EINVAL || errno == EBADF || errno == ENOTSUP))))
        rc = mdl_fail(err, MDL_E_IO, "%s: cannot be flushed to disk: %s", path, strerror(errno));
    if (file >= 0)
        close(file);
    return rc;
}

/* A new string: the folder that path lies in, with the slash behind it; NULL without memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? mdl_text("./") : mdl_text("%.*s", (int)(slash - path + 1), path);
}

int mdl_path_commit(const char *temporary, const char *path, mdl_error_t *err)
{
    int rc = sync_path(temporary, 0, err);
    if (rc != MDL_OK)
        return rc;
    if (rename(temporary, path) != 0)
        return mdl_fail(err, MDL_E_IO, "%s: cannot be put in place: %s", path, strerror(errno));
    char *folder = folder_of(path);
    if (folder == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    rc = sync_path(folder, 1, err);
    free(folder);
    return rc;
}

/* Whether a process of this host, not this one, is writing the temporary of that name. */
static int is_alive(const char *temporary)
{
    char host[64] = "host", *end;
    gethostname(host, sizeof host - 1);
    const char *dot = strrchr(temporary, '.');
    size_t length = strlen(host);
    if (dot == NULL || dot - temporary < (ptrdiff_t)length + 5 ||
        strncmp(dot - length - 5, ".tmp.", 5) != 0 || strncmp(dot - length, host, length) != 0)
        return 0;
    long pid = strtol(dot + 1, &end, 10);
    return *end == '\0' && pid != (long)getpid() && mdl_process_lives(pid, 0);
}

/* Removes the temporaries of path, or those of all paths that begin so. */
static void sweep(const char *path, int begins)
{
    char *folder = folder_of(path);
    const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path;
    DIR *dir = folder != NULL ? opendir(folder) : NULL;
    for (struct dirent *entry = dir != NULL ? readdir(dir) : NULL; entry != NULL;
         entry = readdir(dir)) {
        const char *name = entry->d_name, *rest = name + strlen(base);
        if (strncmp(name, base, strlen(base)) != 0 || is_alive(name))
            continue;
        if (begins ? strstr(rest, ".tmp.") != NULL : strncmp(rest, ".tmp.", 5) == 0)
            unlinkat(dirfd(dir), name, 0);
    }
    if (dir != NULL)
        closedir(dir);
    free(folder);
}

void mdl_path_sweep(const char *path)
{
    sweep(path, 0);
}

void mdl_path_sweep_all(const char *start)
{
    sweep(start, 1);
}
