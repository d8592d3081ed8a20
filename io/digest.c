#include "io/digest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h> /* the same by the widest vectors that the processor has */
#endif

struct mdl_digest {
    XXH3_state_t *state;
};

int mdl_digest_start(mdl_digest_t **digest, mdl_error_t *err)
{
    int rc = mdl_alloc(digest, 1, sizeof **digest, "a digest", err);
    if (rc != MDL_OK)
        return rc;
    (*digest)->state = XXH3_createState();
    if ((*digest)->state == NULL) {
        free(*digest);
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a digest");
    }
    XXH3_128bits_reset((*digest)->state);
    return MDL_OK;
}

void mdl_digest_add(mdl_digest_t *digest, const void *bytes, size_t n_byte)
{
    XXH3_128bits_update(digest->state, bytes, n_byte);
}

void mdl_digest_add_text(mdl_digest_t *digest, const char *text)
{
    uint64_t length = strlen(text);
    mdl_digest_add(digest, &length, sizeof length);
    mdl_digest_add(digest, text, length);
}

void mdl_digest_finish(mdl_digest_t *digest, char digits[MDL_DIGEST_SIZE])
{
    XXH128_hash_t hash = XXH3_128bits_digest(digest->state);
    snprintf(digits, MDL_DIGEST_SIZE, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
    XXH3_freeState(digest->state);
    free(digest);
}

int mdl_digest_of_file(const char *path, char digits[MDL_DIGEST_SIZE], mdl_error_t *err)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return mdl_fail(err, errno == ENOENT ? MDL_E_MISSING : MDL_E_IO, "%s: cannot be read: %s",
                        path, strerror(errno));
    mdl_digest_t *digest = NULL;
    char *buffer = NULL;
    int rc;
    const size_t n_buffer = 1 << 20;
    MDL_TRY(mdl_alloc(&buffer, n_buffer, 1, "a read buffer", err));
    MDL_TRY(mdl_digest_start(&digest, err));
    size_t n;
    while ((n = fread(buffer, 1, n_buffer, file)) > 0)
        mdl_digest_add(digest, buffer, n);
    mdl_digest_finish(digest, digits);
    if (ferror(file))
        rc = mdl_fail(err, MDL_E_IO, "%s: reading failed: %s", path, strerror(errno));
done:
    free(buffer);
    fclose(file);
    return rc;
}

uint64_t mdl_digest_row(const void *bytes, size_t n_byte)
{
    return XXH3_64bits(bytes, n_byte);
}
