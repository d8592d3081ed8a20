#include "io/result.h"

#include "core/log.h"
#include "core/text.h"
#include "core/version.h"
#include "io/guard.h"
#include "io/lease.h"
#include "io/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_provenance(hid_t file, const mdl_provenance_t *from, mdl_error_t *err)
{
    char digits[MDL_DIGEST_SIZE];
    mdl_digest_t *digest;
    int rc;
    MDL_TRY(mdl_digest_start(&digest, err));
    mdl_digest_add_text(digest, from->configuration);
    mdl_digest_finish(digest, digits);
    MDL_TRY(mdl_h5_set_text(file, "schema", from->schema, err));
    MDL_TRY(mdl_h5_set_int(file, "schema_version", from->version, err));
    MDL_TRY(mdl_h5_set_text(file, "tool_version", MDL_VERSION, err));
    MDL_TRY(mdl_h5_set_text(file, "configuration", from->configuration, err));
    MDL_TRY(mdl_h5_set_text(file, "configuration_digest", digits, err));
    MDL_TRY(mdl_h5_set_text(file, "inputs_digest", from->inputs_digest, err));
done:
    return rc;
}

static void release(mdl_result_t *result)
{
    free(result->path);
    free(result->temporary);
    *result = (mdl_result_t){.file = -1};
}

int mdl_result_check_place(const char *path, const char *schema, mdl_error_t *err)
{
    mdl_error_t ignored = {.rank = -1};
    struct stat info;
    hid_t file = -1;
    char *found = NULL;
    int rc = MDL_OK;
    if (stat(path, &info) != 0)
        return MDL_OK;
    if (!S_ISREG(info.st_mode))
        return mdl_fail(err, MDL_E_USAGE,
                        "%s: is not a regular file and isn't replaced; give another output", path);
    if (mdl_guard_check(path, &ignored) == MDL_OK &&
        mdl_h5_open(path, "", &file, &ignored) == MDL_OK &&
        mdl_h5_get_text(file, "schema", &found, &ignored) == MDL_OK && strcmp(found, schema) != 0)
        rc = mdl_fail(err, MDL_E_USAGE,
                      "%s: holds a %s, which a %s doesn't replace; give another output, or remove "
                      "the file first",
                      path, found, schema);
    free(found);
    mdl_h5_close(file);
    return rc;
}

int mdl_result_create(mdl_result_t *result, const char *path, const mdl_provenance_t *provenance,
                      mdl_error_t *err)
{
    *result = (mdl_result_t){.file = -1};
    int rc;
    MDL_TRY(mdl_result_check_place(path, provenance->schema, err));
    MDL_TRY(mdl_path_make_parent(path, err));
    mdl_path_sweep(path);
    result->path = mdl_text("%s", path);
    result->temporary = mdl_path_temporary(path);
    if (result->path == NULL || result->temporary == NULL) {
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for the path %s", path);
        goto done;
    }
    result->file = mdl_h5_create(result->temporary, err);
    if (result->file < 0) {
        rc = err->code;
        goto done;
    }
    rc = write_provenance(result->file, provenance, err);
done:
    if (rc != MDL_OK)
        mdl_result_close(result, rc, err);
    return rc;
}

/* The content digest as the file itself asks for it (attribute digested_by_row). */
static int digest_content(hid_t file, char digits[MDL_DIGEST_SIZE], mdl_error_t *err)
{
    char *by_row = NULL;
    int rc = MDL_OK;
    if (H5Aexists(file, "digested_by_row") > 0)
        rc = mdl_h5_get_text(file, "digested_by_row", &by_row, err);
    if (rc == MDL_OK)
        rc = mdl_result_content_digest(file, (const char *const *)&by_row, by_row != NULL, digits,
                                       err);
    free(by_row);
    return rc;
}

/* The bytes of the dataset that digested_by_row names, which the guard leaves out. */
static int find_rows(hid_t file, int64_t *offset, int64_t *length, mdl_error_t *err)
{
    char *name = NULL;
    *offset = *length = 0;
    if (H5Aexists(file, "digested_by_row") <= 0)
        return MDL_OK;
    int rc = mdl_h5_get_text(file, "digested_by_row", &name, err);
    hid_t dataset = rc == MDL_OK ? H5Dopen2(file, name, H5P_DEFAULT) : -1;
    if (dataset >= 0) {
        *offset = (int64_t)H5Dget_offset(dataset);
        *length = (int64_t)H5Dget_storage_size(dataset);
        H5Dclose(dataset);
    } else if (rc == MDL_OK) {
        rc = mdl_h5_fail(file, "has no dataset as digested_by_row tells", MDL_E_INTERNAL, err);
    }
    free(name);
    return rc;
}

static int is_in_memory(hid_t file)
{
    hid_t access = H5Fget_access_plist(file);
    int is = H5Pget_driver(access) == H5FD_CORE;
    H5Pclose(access);
    return is;
}

/* Closes the file with its digests in it, whole at result->temporary. */
static int seal(mdl_result_t *result, mdl_error_t *err)
{
    char digits[MDL_DIGEST_SIZE];
    int64_t offset, length;
    int rc;
    MDL_TRY(digest_content(result->file, digits, err));
    MDL_TRY(mdl_h5_set_text(result->file, "content_digest", digits, err));
    MDL_TRY(find_rows(result->file, &offset, &length, err));
    hid_t file = result->file;
    result->file = -1;
    if (is_in_memory(file)) {
        MDL_TRY(mdl_h5_save(file, result->temporary, err));
    } else if (H5Fclose(file) < 0) {
        mdl_h5_fail(-1, "cannot be closed; is the disk full?", MDL_E_IO, err);
        rc = mdl_error_prefix(err, "%s", result->path);
        goto done;
    }
    rc = mdl_guard_write(result->temporary, offset, length, err);
done:
    return rc;
}

int mdl_result_close(mdl_result_t *result, int rc, mdl_error_t *err)
{
    if (rc == MDL_OK)
        rc = seal(result, err);
    mdl_h5_close(result->file);
    if (rc == MDL_OK)
        rc = mdl_lease_check(err);
    if (rc == MDL_OK)
        rc = mdl_path_commit(result->temporary, result->path, err);
    if (rc != MDL_OK && result->temporary != NULL)
        unlink(result->temporary);
    release(result);
    return rc;
}

static int check_text(hid_t file, const char *path, const char *name, const char *expected,
                      mdl_error_t *err)
{
    char *found = NULL;
    int rc = mdl_h5_get_text(file, name, &found, err);
    if (rc == MDL_OK && strcmp(found, expected) != 0)
        rc = mdl_fail(err, MDL_E_INPUT, "%s: its %s is '%s', expected '%s'; is it the right file?",
                      path, name, found, expected);
    free(found);
    return rc;
}

int mdl_result_open(const char *path, const char *schema, int version, const char *advice,
                    hid_t *file, mdl_error_t *err)
{
    int64_t stored_version;
    int rc;
    *file = -1;
    MDL_TRY(mdl_path_check_readable(path, advice, 0, err));
    MDL_TRY(mdl_guard_check(path, err));
    MDL_TRY(mdl_h5_open(path, advice, file, err));
    MDL_TRY(check_text(*file, path, "schema", schema, err));
    MDL_TRY(mdl_h5_get_int(*file, "schema_version", &stored_version, err));
    if (stored_version != version) {
        rc = mdl_fail(err, MDL_E_INPUT,
                      "%s: schema version %lld, this program reads %d; make it again with this "
                      "version of Mordal",
                      path, (long long)stored_version, version);
    }
done:
    if (rc != MDL_OK) {
        mdl_h5_close(*file);
        *file = -1;
    }
    return rc;
}

/* The first "key=value" line of now that isn't a line of before. */
static void first_difference(const char *before, const char *now, char why[256])
{
    snprintf(why, 256, "a setting was removed");
    for (const char *line = now; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        const char *found = before;
        while (found != NULL && !(strncmp(found, line, length) == 0 &&
                                  (found[length] == '\n' || found[length] == '\0'))) {
            found = strchr(found, '\n');
            found = found == NULL ? NULL : found + 1;
        }
        if (found == NULL) {
            snprintf(why, 256, "settings changed, now %.*s", (int)length, line);
            return;
        }
        line += length + (line[length] == '\n');
    }
}

int mdl_result_is_current(const char *path, const mdl_provenance_t *provenance, char why[256])
{
    mdl_error_t err = {0};
    hid_t file;
    char *configuration = NULL, *inputs = NULL;
    if (access(path, F_OK) != 0) {
        snprintf(why, 256, "there is no result yet");
        return 0;
    }
    int rc = mdl_result_open(path, provenance->schema, provenance->version, "", &file, &err);
    if (rc == MDL_OK)
        rc = mdl_h5_get_text(file, "configuration", &configuration, &err);
    if (rc == MDL_OK)
        rc = mdl_h5_get_text(file, "inputs_digest", &inputs, &err);
    int current = 0;
    if (rc != MDL_OK)
        snprintf(why, 256, "%.250s", err.text);
    else if (strcmp(configuration, provenance->configuration) != 0)
        first_difference(configuration, provenance->configuration, why);
    else if (strcmp(inputs, provenance->inputs_digest) != 0)
        snprintf(why, 256, "its inputs changed");
    else
        current = 1;
    free(configuration);
    free(inputs);
    mdl_h5_close(file);
    return current;
}

int mdl_result_inputs_digest(const char *const *paths, int n, char digits[MDL_DIGEST_SIZE],
                             mdl_error_t *err)
{
    mdl_digest_t *digest;
    int rc = mdl_digest_start(&digest, err);
    if (rc != MDL_OK)
        return rc;
    for (int i = 0; rc == MDL_OK && i < n; i++) {
        hid_t file;
        char *content = NULL;
        rc = mdl_guard_check(paths[i], err);
        file = -1;
        if (rc == MDL_OK)
            rc = mdl_h5_open(paths[i], "run the stage that makes it", &file, err);
        if (rc == MDL_OK)
            rc = mdl_h5_get_text(file, "content_digest", &content, err);
        if (rc == MDL_OK)
            mdl_digest_add_text(digest, content);
        free(content);
        mdl_h5_close(file);
    }
    mdl_digest_finish(digest, digits);
    return rc;
}
