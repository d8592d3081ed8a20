#include "io/guard.h"

#include "io/digest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int io_failed(const char *path, mdl_error_t *err)
{
    return mdl_fail(err, errno == ENOENT ? MDL_E_MISSING : MDL_E_IO, "%s: %s", path,
                    strerror(errno));
}

/* Adds the bytes [offset, end) to the digest; end -1 = to the end of the file. */
static int add_bytes(FILE *file, const char *path, int64_t offset, int64_t end,
                     mdl_digest_t *digest, mdl_error_t *err)
{
    static char buffer[1 << 16];
    if (fseeko(file, (off_t)offset, SEEK_SET) != 0)
        return io_failed(path, err);
    while (end < 0 || offset < end) {
        size_t wanted = sizeof buffer;
        if (end >= 0 && end - offset < (int64_t)wanted)
            wanted = (size_t)(end - offset);
        size_t n = fread(buffer, 1, wanted, file);
        mdl_digest_add(digest, buffer, n);
        offset += (int64_t)n;
        if (n < wanted)
            break;
    }
    return ferror(file) ? io_failed(path, err) : MDL_OK;
}

static int digest_around(FILE *file, const char *path, int64_t skip_offset, int64_t skip_length,
                         char digits[MDL_DIGEST_SIZE], mdl_error_t *err)
{
    mdl_digest_t *digest;
    int rc = mdl_digest_start(&digest, err);
    if (rc != MDL_OK)
        return rc;
    int64_t next = MDL_GUARD_SIZE;
    if (skip_length > 0) {
        rc = add_bytes(file, path, next, skip_offset, digest, err);
        next = skip_offset + skip_length;
    }
    if (rc == MDL_OK)
        rc = add_bytes(file, path, next, -1, digest, err);
    mdl_digest_finish(digest, digits);
    return rc;
}

static void format_guard(char block[MDL_GUARD_SIZE], int64_t skip_offset, int64_t skip_length,
                         const char *digits)
{
    memset(block, 0, MDL_GUARD_SIZE);
    snprintf(block, MDL_GUARD_SIZE, "mordal-guard 1 %lld %lld %s\n", (long long)skip_offset,
             (long long)skip_length, digits);
}

int mdl_guard_write(const char *path, int64_t skip_offset, int64_t skip_length, mdl_error_t *err)
{
    char block[MDL_GUARD_SIZE], digits[MDL_DIGEST_SIZE];
    FILE *file = fopen(path, "r+b");
    if (file == NULL)
        return io_failed(path, err);
    int rc = digest_around(file, path, skip_offset, skip_length, digits, err);
    format_guard(block, skip_offset, skip_length, digits);
    if (rc == MDL_OK && (fseeko(file, 0, SEEK_SET) != 0 ||
                         fwrite(block, 1, MDL_GUARD_SIZE, file) != MDL_GUARD_SIZE))
        rc = io_failed(path, err);
    if (fclose(file) != 0 && rc == MDL_OK)
        rc = io_failed(path, err);
    return rc;
}

static int damaged(const char *path, const char *how, mdl_error_t *err)
{
    return mdl_fail(err, MDL_E_INPUT,
                    "%s: %s; remove it and run the stage that makes it again (a file of the stages "
                    "before may serve as it is)",
                    path, how);
}

int mdl_guard_check(const char *path, mdl_error_t *err)
{
    char block[MDL_GUARD_SIZE] = "", expected[MDL_GUARD_SIZE], digits[MDL_DIGEST_SIZE];
    long long skip_offset, skip_length;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return io_failed(path, err);
    size_t n = fread(block, 1, MDL_GUARD_SIZE, file);
    int rc;
    if (n < MDL_GUARD_SIZE || memchr(block, 0, MDL_GUARD_SIZE) == NULL ||
        sscanf(block, "mordal-guard 1 %lld %lld", &skip_offset, &skip_length) != 2 ||
        skip_length < 0 || (skip_length > 0 && skip_offset < MDL_GUARD_SIZE) ||
        skip_offset > INT64_MAX - skip_length) {
        rc = damaged(path, "it doesn't start as a file of Mordal does", err);
    } else {
        rc = digest_around(file, path, skip_offset, skip_length, digits, err);
        format_guard(expected, skip_offset, skip_length, digits);
        if (rc == MDL_OK && memcmp(block, expected, MDL_GUARD_SIZE) != 0)
            rc = damaged(path, "it is damaged or cut short (its digest doesn't match)", err);
    }
    fclose(file);
    return rc;
}
