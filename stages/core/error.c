#define _DEFAULT_SOURCE /* madvise */
#include "core/error.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int mdl_fail(mdl_error_t *err, int code, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        err->code = code;
        err->rank = -1;
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
    }
    return code;
}

/* As much of text as fits. */
static void append(mdl_error_t *err, const char *text)
{
    size_t used = strlen(err->text), room = sizeof err->text - used - 1, n = strlen(text);
    n = n < room ? n : room;
    memcpy(err->text + used, text, n);
    err->text[used + n] = '\0';
}

int mdl_error_prefix(mdl_error_t *err, const char *format, ...)
{
    char old[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    append(err, ": ");
    append(err, old);
    return err->code;
}

static int out_of_memory(const char *what, size_t count, size_t size, mdl_error_t *err)
{
    return mdl_fail(err, MDL_E_MEMORY,
                    "out of memory: %s needs %zu x %zu bytes; use more nodes or fewer ranks a node",
                    what, count, size);
}

int mdl_alloc(void *pointer_to_pointer, size_t count, size_t size, const char *what,
              mdl_error_t *err)
{
    void *memory = NULL;
    if (size == 0 || count <= SIZE_MAX / size)
        memory = calloc(count > 0 ? count : 1, size > 0 ? size : 1);
    memcpy(pointer_to_pointer, &memory, sizeof memory);
    return memory != NULL ? MDL_OK : out_of_memory(what, count, size, err);
}

int mdl_alloc_aligned(void *pointer_to_pointer, size_t count, size_t size, const char *what,
                      mdl_error_t *err)
{
    enum { PAGE = 4096, LARGE_PAGE = 2 << 20 };
    void *memory = NULL;
    if (size == 0 || count <= (SIZE_MAX - LARGE_PAGE) / size) {
        size_t unit = count * size < LARGE_PAGE ? PAGE : LARGE_PAGE;
        size_t n_byte = (count * size / unit + 1) * unit;
        memory = aligned_alloc(unit, n_byte);
#ifdef MADV_HUGEPAGE
        if (memory != NULL && unit == LARGE_PAGE)
            (void)madvise(memory, n_byte, MADV_HUGEPAGE); /* a wish: small pages do as well */
#endif
    }
    memcpy(pointer_to_pointer, &memory, sizeof memory);
    return memory != NULL ? MDL_OK : out_of_memory(what, count, size, err);
}
