#include "io/json_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Doesn't wait for the writer of a named pipe, which is refused. */
static int open_file(const char *path, FILE **file, mdl_error_t *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc;
    if (fd < 0)
        return mdl_fail(err, errno == ENOENT ? MDL_E_MISSING : MDL_E_IO, "cannot open %s: %s", path,
                        strerror(errno));
    if (fstat(fd, &status) == 0 && !S_ISREG(status.st_mode))
        rc = mdl_fail(err, MDL_E_INPUT, "%s is not a regular file", path);
    else if ((*file = fdopen(fd, "rb")) == NULL)
        rc = mdl_fail(err, MDL_E_IO, "cannot open %s: %s", path, strerror(errno));
    else
        return MDL_OK;
    close(fd);
    return rc;
}

static int read_bytes(const char *path, size_t max_byte, char **bytes, size_t *n_byte,
                      mdl_error_t *err)
{
    size_t n_read = 0, n_room = 65536;
    char *text = NULL;
    FILE *file = NULL;
    int rc = open_file(path, &file, err);
    if (rc != MDL_OK)
        return rc;
    MDL_TRY(mdl_alloc(&text, n_room, 1, "a JSON file", err));
    for (;;) {
        n_read += fread(text + n_read, 1, n_room - n_read, file);
        if (n_read < n_room || n_read > max_byte)
            break;
        char *more = realloc(text, 2 * n_room);
        if (more == NULL)
            MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory: reading %s", path));
        text = more;
        n_room *= 2;
    }
    if (ferror(file))
        MDL_TRY(mdl_fail(err, MDL_E_IO, "cannot read %s: %s", path, strerror(errno)));
    if (n_read > max_byte)
        MDL_TRY(mdl_fail(err, MDL_E_INPUT, "%s is longer than %zu bytes; this is not such a file",
                         path, max_byte));
    *bytes = text;
    *n_byte = n_read;
    text = NULL;
done:
    free(text);
    fclose(file);
    return rc;
}

int mdl_json_read(const char *path, size_t max_byte, json_t **json, mdl_error_t *err)
{
    char *bytes = NULL;
    size_t n_byte = 0;
    json_error_t where;
    *json = NULL;
    int rc = read_bytes(path, max_byte, &bytes, &n_byte, err);
    if (rc != MDL_OK)
        return rc;
    json_t *root = json_loadb(bytes, n_byte, JSON_REJECT_DUPLICATES, &where);
    free(bytes);
    if (root == NULL)
        return mdl_fail(err, MDL_E_INPUT, "%s is not valid JSON: line %d, column %d: %s", path,
                        where.line, where.column, where.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return mdl_fail(err, MDL_E_INPUT, "%s holds no JSON object; write one in {}", path);
    }
    *json = root;
    return MDL_OK;
}
