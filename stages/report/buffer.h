/* A growing text that is written to its file whole or not at all. */
#ifndef MDL_REPORT_BUFFER_H
#define MDL_REPORT_BUFFER_H

#include "core/error.h"

#include <stddef.h>

typedef struct {
    char *bytes; /* closed by a zero; NULL while empty */
    size_t n_byte, capacity;
    int failed; /* 1 once memory ran out; later additions do nothing */
} mdl_buffer_t;

/* Appends printf-style text as it is. Not collective. */
void mdl_buffer_add(mdl_buffer_t *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends n_byte bytes. Not collective. */
void mdl_buffer_add_bytes(mdl_buffer_t *buffer, const char *bytes, size_t n_byte);

/* Replaces path by the buffer's text, making its folder. One rank only. Returns MDL_E_MEMORY when
 * an addition failed, MDL_E_LOCKED when the study's lease was lost, or MDL_E_IO. */
int mdl_buffer_write(const mdl_buffer_t *buffer, const char *path, mdl_error_t *err);

void mdl_buffer_free(mdl_buffer_t *buffer);

#endif
