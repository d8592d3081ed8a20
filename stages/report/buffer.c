#include "report/buffer.h"

#include "io/lease.h"
#include "io/path.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int reserve(mdl_buffer_t *buffer, size_t n_more)
{
    size_t needed = buffer->n_byte + n_more + 1;
    if (buffer->failed || needed <= buffer->capacity)
        return !buffer->failed;
    size_t capacity = buffer->capacity < 4096 ? 4096 : 2 * buffer->capacity;
    if (capacity < needed)
        capacity = needed;
    char *bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL) {
        buffer->failed = 1;
        return 0;
    }
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return 1;
}

void mdl_buffer_add(mdl_buffer_t *buffer, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n >= 0 && reserve(buffer, (size_t)n)) {
        vsnprintf(buffer->bytes + buffer->n_byte, (size_t)n + 1, format, again);
        buffer->n_byte += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void mdl_buffer_add_bytes(mdl_buffer_t *buffer, const char *bytes, size_t n_byte)
{
    if (!reserve(buffer, n_byte))
        return;
    memcpy(buffer->bytes + buffer->n_byte, bytes, n_byte);
    buffer->n_byte += n_byte;
    buffer->bytes[buffer->n_byte] = '\0';
}

static int write_file(const mdl_buffer_t *buffer, const char *path, mdl_error_t *err)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        return mdl_fail(err, MDL_E_IO, "%s: cannot be made: %s; is the folder writable?", path,
                        strerror(errno));
    size_t n = fwrite(buffer->bytes, 1, buffer->n_byte, file);
    if (fclose(file) != 0 || n != buffer->n_byte)
        return mdl_fail(err, MDL_E_IO, "%s: cannot be written: %s; is the disk full?", path,
                        strerror(errno));
    return MDL_OK;
}

int mdl_buffer_write(const mdl_buffer_t *buffer, const char *path, mdl_error_t *err)
{
    if (buffer->failed || buffer->bytes == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for %s, after %zu bytes", path,
                        buffer->n_byte);
    char *temporary = NULL;
    int rc;
    MDL_TRY(mdl_path_make_parent(path, err));
    mdl_path_sweep(path);
    temporary = mdl_path_temporary(path);
    if (temporary == NULL) {
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for the path %s", path);
        goto done;
    }
    MDL_TRY(write_file(buffer, temporary, err));
    MDL_TRY(mdl_lease_check(err));
    MDL_TRY(mdl_path_commit(temporary, path, err));
done:
    if (rc != MDL_OK && temporary != NULL)
        unlink(temporary);
    free(temporary);
    return rc;
}

void mdl_buffer_free(mdl_buffer_t *buffer)
{
    free(buffer->bytes);
    *buffer = (mdl_buffer_t){0};
}
