#include "io/json_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_bytes(const char *path, size_t max_byte, char **bytes, size_t *n_byte,
                      mdl_error_t *err)
{
    int rc = MDL_OK;
    size_t n_read = 0, n_room = 65536;
    char *text = NULL;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return mdl_fail(err, errno == ENOENT ? MDL_E_MISSING : MDL_E_IO, "cannot open %s: %s", path,
                        strerror(errno));
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
        MDL_TRY(mdl_fail(err, MDL_E_INPUT, "%s is longer than %zu bytes; this is no such file",
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
        return mdl_fail(err, MDL_E_INPUT, "%s is no valid JSON: line %d, column %d: %s", path,
                        where.line, where.column, where.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return mdl_fail(err, MDL_E_INPUT, "%s holds no JSON object; write one in {}", path);
    }
    *json = root;
    return MDL_OK;
}
