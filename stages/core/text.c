#include "core/text.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *mdl_text(const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *text = n < 0 ? NULL : malloc((size_t)n + 1);
    if (text != NULL)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

char *mdl_text_base_name(const char *path)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    return mdl_text("%.*s", (int)(end - start), path + start);
}

char **mdl_text_block(const char *const *texts, int64_t n)
{
    size_t n_byte = (size_t)n * sizeof(char *) + 1;
    for (int64_t i = 0; i < n; i++)
        n_byte += strlen(texts[i]) + 1;
    char **block = malloc(n_byte);
    if (block == NULL)
        return NULL;
    char *next = (char *)(block + n);
    for (int64_t i = 0; i < n; i++) {
        size_t size = strlen(texts[i]) + 1;
        block[i] = memcpy(next, texts[i], size);
        next += size;
    }
    return block;
}

int mdl_text_to_double(const char *text, const char *what, double *value, mdl_error_t *err)
{
    char *end;
    errno = 0;
    *value = strtod(text, &end);
    if (end == text || *end != '\0' || errno == ERANGE || !isfinite(*value))
        return mdl_fail(err, MDL_E_USAGE, "%s: '%s' is not a finite number", what, text);
    return MDL_OK;
}

int mdl_text_to_int(const char *text, const char *what, int64_t *value, mdl_error_t *err)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno == ERANGE)
        return mdl_fail(err, MDL_E_USAGE, "%s: '%s' is not a whole number", what, text);
    *value = number;
    return MDL_OK;
}

static int smallest(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein distance; words of 63 letters and more count as far from everything. */
static int edit_distance(const char *a, const char *b)
{
    int n = (int)strlen(a), m = (int)strlen(b), row[64];
    if (n >= 64 || m >= 64)
        return 64;
    for (int j = 0; j <= m; j++)
        row[j] = j;
    for (int i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[m];
}

const char *mdl_text_nearest(const char *word, const char *const *names, int n)
{
    const char *best = NULL;
    int best_distance = (int)(strlen(word) + 1) / 2 + 1;
    for (int i = 0; i < n; i++) {
        int distance = edit_distance(word, names[i]);
        if (distance < best_distance) {
            best_distance = distance;
            best = names[i];
        }
    }
    return best;
}

const char *mdl_text_duration(double seconds, char buffer[32])
{
    if (seconds < 99.5)
        snprintf(buffer, 32, "%.*f s", seconds < 9.95 ? 1 : 0, seconds);
    else if (seconds < 3600)
        snprintf(buffer, 32, "%d min %02d s", (int)seconds / 60, (int)seconds % 60);
    else
        snprintf(buffer, 32, "%.0f h %02d min", floor(seconds / 3600), (int)fmod(seconds / 60, 60));
    return buffer;
}

const char *mdl_text_bytes(double bytes, char buffer[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    int unit = 0;
    while (bytes >= 999.5 && unit < 5) {
        bytes /= 1000;
        unit++;
    }
    snprintf(buffer, 32, "%.*f %s", unit > 0 && bytes < 99.5 ? 1 : 0, bytes, units[unit]);
    return buffer;
}
