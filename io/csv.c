#include "io/csv.h"

#include "core/log.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int mdl_csv_refuse(const mdl_csv_t *csv, mdl_error_t *err, const char *what, const char *value)
{
    return mdl_fail(err, MDL_E_INPUT, "%s, line %lld: %s '%.80s'", csv->path, (long long)csv->line,
                    what, value);
}

/* Reads the next line that is neither empty nor a comment. */
static int next_line(mdl_csv_t *csv, int *end, mdl_error_t *err)
{
    *end = 0;
    while (fgets(csv->text, sizeof csv->text, csv->file) != NULL) {
        csv->line++;
        size_t length = strlen(csv->text);
        if (length == 0 || (csv->text[length - 1] != '\n' && !feof(csv->file)))
            return mdl_fail(err, MDL_E_INPUT,
                            "%s, line %lld: longer than %d characters or not text; is this a CSV?",
                            csv->path, (long long)csv->line, MDL_CSV_MAX_LINE - 2);
        char *line_end = csv->text + strcspn(csv->text, "\r\n");
        if (line_end[0] == '\r' && line_end[1] != '\n' && line_end[1] != '\0')
            return mdl_fail(
                err, MDL_E_INPUT,
                "%s, line %lld: has a carriage return inside; end lines by a line feed, "
                "with or without one before it",
                csv->path, (long long)csv->line);
        *line_end = '\0';
        if (csv->line == 1 && memcmp(csv->text, "\xef\xbb\xbf", 3) == 0)
            memmove(csv->text, csv->text + 3, length - 2);
        if (csv->text[0] != '\0' && csv->text[0] != '#')
            return MDL_OK;
    }
    *end = 1;
    if (ferror(csv->file))
        return mdl_fail(err, MDL_E_IO, "%s: cannot be read: %s", csv->path, strerror(errno));
    return MDL_OK;
}

/* Takes the quotes off the field at start, in place; *after: what follows it. */
static int unquote(const mdl_csv_t *csv, char *start, char **after, mdl_error_t *err)
{
    char *to = start;
    for (char *from = start + 1; *from != '\0'; from++) {
        if (*from == '"' && *++from != '"') {
            *to = '\0';
            *after = from;
            return MDL_OK;
        }
        *to++ = *from;
    }
    *to = '\0';
    return mdl_csv_refuse(csv, err, "a quoted field doesn't end in its line:", start);
}

/* Ends the field at *at and moves on to the next one, NULL behind the last. */
static int take_field(mdl_csv_t *csv, char **at, mdl_error_t *err)
{
    char *field = *at + strspn(*at, " \t"), *after = field;
    const int is_quoted = *field == '"';
    if (is_quoted) {
        int rc = unquote(csv, field, &after, err);
        if (rc != MDL_OK)
            return rc;
    }
    char *comma = strchr(after, ',');
    if (comma != NULL)
        *comma = '\0';
    for (size_t n = strlen(after); n > 0 && isspace((unsigned char)after[n - 1]); n--)
        after[n - 1] = '\0';
    if (is_quoted && *after != '\0')
        return mdl_csv_refuse(csv, err, "text behind a quoted field:", after);
    if (!is_quoted && strchr(field, '"') != NULL)
        return mdl_csv_refuse(csv, err, "a field with a quote in it stands in quotes, not", field);
    csv->fields[csv->n_field++] = field;
    *at = comma == NULL ? NULL : comma + 1;
    return MDL_OK;
}

static int split(mdl_csv_t *csv, mdl_error_t *err)
{
    csv->n_field = 0;
    for (char *at = csv->text; at != NULL;) {
        if (csv->n_field == MDL_CSV_MAX_FIELD)
            return mdl_csv_refuse(csv, err, "too many fields before", at);
        int rc = take_field(csv, &at, err);
        if (rc != MDL_OK)
            return rc;
    }
    return MDL_OK;
}

void mdl_csv_put(FILE *file, const char *text)
{
    const int is_plain = strpbrk(text, ",\"#") == NULL && !isspace((unsigned char)*text) &&
                         (*text == '\0' || !isspace((unsigned char)text[strlen(text) - 1]));
    if (!is_plain)
        fputc('"', file);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', file);
        fputc(*text, file);
    }
    if (!is_plain)
        fputc('"', file);
}

int mdl_csv_next(mdl_csv_t *csv, int *end, mdl_error_t *err)
{
    int rc = next_line(csv, end, err);
    if (rc != MDL_OK || *end)
        return rc;
    rc = split(csv, err);
    if (rc == MDL_OK && csv->n_field != csv->n_header_field)
        rc = mdl_fail(err, MDL_E_INPUT, "%s, line %lld: %d fields, the header has %d", csv->path,
                      (long long)csv->line, csv->n_field, csv->n_header_field);
    return rc;
}

static int read_header(mdl_csv_t *csv, const char *const *names, int n, int *at, mdl_error_t *err)
{
    int end, rc;
    for (int column = 0; column < n; column++)
        at[column] = -1;
    MDL_TRY(next_line(csv, &end, err));
    if (end)
        return mdl_fail(err, MDL_E_INPUT, "%s: is empty; expected a header", csv->path);
    MDL_TRY(split(csv, err));
    csv->n_header_field = csv->n_field;
    for (int i = 0; i < csv->n_field; i++) {
        int column = 0;
        while (column < n && strcmp(csv->fields[i], names[column]) != 0)
            column++;
        if (column == n)
            mdl_log(MDL_LOG_INFO, "%s: column '%s' is passed over", csv->path, csv->fields[i]);
        else if (at[column] >= 0)
            return mdl_csv_refuse(csv, err, "column is there twice:", csv->fields[i]);
        else
            at[column] = i;
    }
done:
    return rc;
}

int mdl_csv_open(mdl_csv_t *csv, const char *path, const char *advice, const char *const *names,
                 int n, int *at, mdl_error_t *err)
{
    csv->path = path;
    csv->line = 0;
    csv->file = fopen(path, "r");
    if (csv->file == NULL)
        return mdl_fail(err, errno == ENOENT ? MDL_E_MISSING : MDL_E_IO,
                        "%s: cannot be opened: %s; %s", path, strerror(errno), advice);
    return read_header(csv, names, n, at, err);
}

void mdl_csv_close(mdl_csv_t *csv)
{
    if (csv->file != NULL)
        fclose(csv->file);
    csv->file = NULL;
}

int mdl_csv_make_room(const mdl_csv_t *csv, void *pointer_to_rows, size_t row_size, int64_t n_row,
                      int64_t *n_room, mdl_error_t *err)
{
    void *rows;
    if (n_row == MDL_CSV_MAX_ROW)
        return mdl_fail(err, MDL_E_INPUT, "%s: has more than %d rows", csv->path, MDL_CSV_MAX_ROW);
    if (n_row < *n_room)
        return MDL_OK;
    int64_t n_new = *n_room > 0 ? 2 * *n_room : 256;
    memcpy(&rows, pointer_to_rows, sizeof rows);
    rows = realloc(rows, (size_t)n_new * row_size);
    if (rows == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory: reading %s", csv->path);
    memcpy(pointer_to_rows, &rows, sizeof rows);
    *n_room = n_new;
    return MDL_OK;
}
