/* Small text helpers. */
#ifndef MDL_CORE_TEXT_H
#define MDL_CORE_TEXT_H

#include "core/error.h"

#include <stdint.h>

/* Formats into a new string, freed by the caller; NULL only when memory is out. */
char *mdl_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The last part of path, without slashes behind it, as a new string, freed by the caller; NULL only
 * when memory is out. */
char *mdl_text_base_name(const char *path);

/* Copies n texts into one block: an array of n pointers followed by the characters, freed by one
 * free; NULL only when memory is out. */
char **mdl_text_block(const char *const *texts, int64_t n);

/* Reads the whole of text as a number; MDL_E_USAGE names what when it is none or not finite. */
int mdl_text_to_double(const char *text, const char *what, double *value, mdl_error_t *err);
int mdl_text_to_int(const char *text, const char *what, int64_t *value, mdl_error_t *err);

/* The entry of names (n of them) with the smallest edit distance to word, or NULL when none is
 * near enough (more than half of the letters differ) to be what was meant. */
const char *mdl_text_nearest(const char *word, const char *const *names, int n);

/* Writes seconds as "42 s", "3 min 20 s" or "5 h 12 min" into buffer and returns it. */
const char *mdl_text_duration(double seconds, char buffer[32]);

/* Writes bytes as "12.3 MB" into buffer and returns it. */
const char *mdl_text_bytes(double bytes, char buffer[32]);

#endif
