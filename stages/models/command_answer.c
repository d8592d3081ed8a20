#include "models/command_answer.h"

#include "core/text.h"
#include "io/json_file.h"
#include "io/path.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTE = 65536 };

static int read_key(const json_t *json, const char *path, const char *key, double high,
                    double *value, mdl_error_t *err)
{
    const json_t *member = json_object_get(json, key);
    *value = NAN;
    if (member == NULL)
        return MDL_OK;
    if (!json_is_number(member))
        return mdl_fail(err, MDL_E_INPUT, "%s: '%s' must be a number", path, key);
    *value = json_number_value(member);
    if (!(*value >= 0 && *value <= high))
        return mdl_fail(err, MDL_E_INPUT, "%s: '%s' is %g, but must be from 0 to %g", path, key,
                        *value, high);
    return MDL_OK;
}

static int check_keys(json_t *json, const char *path, mdl_error_t *err)
{
    static const char *const known[] = {"error", "error_stderr", "loss", "train_seconds"};
    enum { N_KNOWN = sizeof known / sizeof known[0] };
    const char *key;
    json_t *member;
    json_object_foreach(json, key, member)
    {
        int i = 0;
        while (i < N_KNOWN && strcmp(key, known[i]) != 0)
            i++;
        if (i < N_KNOWN)
            continue;
        const char *nearest = mdl_text_nearest(key, known, N_KNOWN);
        return mdl_fail(err, MDL_E_INPUT, "%s: unknown key '%.60s'%s%s%s", path, key,
                        nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                        nearest != NULL ? "'?" : "");
    }
    return MDL_OK;
}

int mdl_command_answer_read(const char *path, mdl_command_answer_t *answer, mdl_error_t *err)
{
    json_t *json;
    int rc = mdl_json_read(path, MAX_BYTE, &json, err);
    if (rc != MDL_OK)
        return rc;
    MDL_TRY(check_keys(json, path, err));
    MDL_TRY(read_key(json, path, "error", 1, &answer->error, err));
    MDL_TRY(read_key(json, path, "error_stderr", 1, &answer->error_stderr, err));
    MDL_TRY(read_key(json, path, "loss", 1e6, &answer->loss, err));
    MDL_TRY(read_key(json, path, "train_seconds", 1e12, &answer->train_seconds, err));
    if (isnan(answer->error))
        rc = mdl_fail(err, MDL_E_INPUT, "%s: has no key 'error'", path);
done:
    json_decref(json);
    return rc;
}

int mdl_command_answer_write(const char *path, const mdl_command_answer_t *answer, mdl_error_t *err)
{
    const struct {
        const char *key;
        double value;
    } members[] = {{"error", answer->error},
                   {"error_stderr", answer->error_stderr},
                   {"loss", answer->loss},
                   {"train_seconds", answer->train_seconds}};
    json_t *json = json_object();
    char *temporary = mdl_path_temporary(path);
    int rc = MDL_OK, bad = json == NULL || temporary == NULL;
    for (size_t i = 0; !bad && i < sizeof members / sizeof members[0]; i++)
        if (!isnan(members[i].value))
            bad = json_object_set_new(json, members[i].key, json_real(members[i].value)) != 0;
    if (bad)
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for an answer");
    else if (json_dump_file(json, temporary, JSON_INDENT(1)) != 0)
        rc = mdl_fail(err, MDL_E_IO, "%s: cannot be written; is the disk full?", path);
    else
        rc = mdl_path_commit(temporary, path, err);
    json_decref(json);
    free(temporary);
    return rc;
}
