/* Errors: a code to act on and a sentence for the person, carried by a caller-owned struct. */
#ifndef MDL_CORE_ERROR_H
#define MDL_CORE_ERROR_H

#include "core/exit.h"

#include <stddef.h>

typedef struct {
    int code;       /* one of core/exit.h; MDL_OK while nothing went wrong */
    int rank;       /* the rank of all that reported, -1 before ranks agreed */
    char text[768]; /* what, where, why, what to do */
} mdl_error_t;

/* Fills err with code and a printf-style sentence and returns code. err may be NULL.
 * Not collective. */
int mdl_fail(mdl_error_t *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the sentence in err and returns err->code. Not collective. */
int mdl_error_prefix(mdl_error_t *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Allocates count x size zeroed bytes (never NULL on MDL_OK, freed by the caller with free).
 * what names the thing in the message. Returns MDL_E_MEMORY, also on overflow. Not collective. */
int mdl_alloc(void *pointer_to_pointer, size_t count, size_t size, const char *what,
              mdl_error_t *err);

/* As mdl_alloc, but what is in it is undefined, it begins with a page, and from 2 MiB on the system
 * is asked for large pages. For what files are read into, above all: on some processors the kernel
 * copies 4 to 6 times slower where target and source differ by a page and a few bytes, and large
 * blocks of malloc begin 16 bytes into a page. Not collective. */
int mdl_alloc_aligned(void *pointer_to_pointer, size_t count, size_t size, const char *what,
                      mdl_error_t *err);

/* Leaves the function through its label done: with rc set when call fails. */
#define MDL_TRY(call)                                                                              \
    do {                                                                                           \
        rc = (call);                                                                               \
        if (rc != MDL_OK)                                                                          \
            goto done;                                                                             \
    } while (0)

#endif
