#include "io/model_digest.h"

#include "core/text.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int is_weights(const struct dirent *entry)
{
    static const char END[] = ".safetensors";
    size_t length = strlen(entry->d_name), n_end = sizeof END - 1;
    return length > n_end && strcmp(entry->d_name + length - n_end, END) == 0;
}

static int add_file(mdl_digest_t *digest, const char *folder, const char *name, mdl_error_t *err)
{
    char digits[MDL_DIGEST_SIZE];
    char *path = mdl_text("%s/%s", folder, name);
    if (path == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    int rc = mdl_digest_of_file(path, digits, err);
    if (rc == MDL_OK) {
        mdl_digest_add_text(digest, name);
        mdl_digest_add_text(digest, digits);
    }
    free(path);
    return rc;
}

int mdl_model_digest(const char *folder, char digits[MDL_DIGEST_SIZE], mdl_error_t *err)
{
    mdl_digest_t *digest;
    struct dirent **entries = NULL;
    int rc = mdl_digest_start(&digest, err);
    if (rc != MDL_OK)
        return rc;
    int n_entry = scandir(folder, &entries, is_weights, alphasort);
    if (n_entry < 0)
        rc = mdl_fail(err, errno == ENOENT ? MDL_E_MISSING : MDL_E_IO,
                      "%s: can't be listed: %s; it has to be a folder with config.json and "
                      "model.safetensors",
                      folder, strerror(errno));
    if (rc == MDL_OK)
        rc = add_file(digest, folder, "config.json", err);
    for (int i = 0; i < n_entry; i++) {
        if (rc == MDL_OK)
            rc = add_file(digest, folder, entries[i]->d_name, err);
        free(entries[i]);
    }
    free(entries);
    char sum[MDL_DIGEST_SIZE];
    mdl_digest_finish(digest, sum);
    if (rc == MDL_OK)
        memcpy(digits, sum, sizeof sum);
    return rc;
}
