#include "io/sample_ids.h"

#include "io/digest.h"
#include "mpi/agree.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct mdl_id_table {
    const char *const *ids;
    size_t mask;    /* slots - 1; a power of two of slots, at most half of them taken */
    int64_t slot[]; /* row + 1, 0 = free */
};

/* The slot that holds id, or the free one where it would go. */
static size_t find_slot(const mdl_id_table_t *table, const char *id)
{
    size_t slot = (size_t)mdl_digest_row(id, strlen(id)) & table->mask;
    while (table->slot[slot] != 0 && strcmp(table->ids[table->slot[slot] - 1], id) != 0)
        slot = (slot + 1) & table->mask;
    return slot;
}

static int check_id(const char *id, int64_t row, const char *what, mdl_error_t *err)
{
    size_t length = strnlen(id, MDL_MAX_SAMPLE_ID + 1);
    if (length == 0)
        return mdl_fail(err, MDL_E_INPUT, "%s: the sample id of row %" PRId64 " is empty", what,
                        row);
    if (length > MDL_MAX_SAMPLE_ID)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: the sample id of row %" PRId64 " has over %d bytes: %.40s...", what,
                        row, MDL_MAX_SAMPLE_ID, id);
    return MDL_OK;
}

int mdl_id_table_new(const char *const *ids, int64_t n, const char *what, mdl_id_table_t **table,
                     mdl_error_t *err)
{
    size_t n_slot = 2;
    while (n_slot < 2 * (size_t)n)
        n_slot *= 2;
    mdl_id_table_t *made;
    int rc = mdl_alloc(&made, sizeof *made + n_slot * sizeof made->slot[0], 1, "sample ids", err);
    if (rc != MDL_OK)
        return rc;
    made->ids = ids;
    made->mask = n_slot - 1;
    for (int64_t row = 0; row < n; row++) {
        MDL_TRY(check_id(ids[row], row, what, err));
        size_t slot = find_slot(made, ids[row]);
        if (made->slot[slot] != 0) {
            rc = mdl_fail(err, MDL_E_INPUT,
                          "%s: rows %" PRId64 " and %" PRId64
                          " have the same sample id '%s'; ids must be unique",
                          what, made->slot[slot] - 1, row, ids[row]);
            goto done;
        }
        made->slot[slot] = row + 1;
    }
    *table = made;
    made = NULL;
done:
    free(made);
    return rc;
}

/* Whether every id is good and longer than the one before, or as long and greater, as counted
 * numbers and sorted names of one form are: then they are unique, and no table is needed. */
static int ascend(const char *const *ids, int64_t n)
{
    size_t before = 1;
    for (int64_t row = 0; row < n; row++) {
        size_t length = strnlen(ids[row], MDL_MAX_SAMPLE_ID + 1);
        if (length < before || length > MDL_MAX_SAMPLE_ID ||
            (row > 0 && length == before && strcmp(ids[row - 1], ids[row]) >= 0))
            return 0;
        before = length;
    }
    return 1;
}

int mdl_sample_ids_check(const char *const *ids, int64_t n, const char *what, mdl_error_t *err)
{
    mdl_id_table_t *table = NULL;
    int rc = ascend(ids, n) ? MDL_OK : mdl_id_table_new(ids, n, what, &table, err);
    free(table);
    return rc;
}

int64_t mdl_id_table_find(const mdl_id_table_t *table, const char *id)
{
    return table->slot[find_slot(table, id)] - 1;
}

static int read_file(const char *path, char **text, int64_t *n_byte, mdl_error_t *err)
{
    struct stat info;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return mdl_fail(err, errno == ENOENT ? MDL_E_MISSING : MDL_E_IO,
                        "%s: cannot be read: %s; --rows wants a text file with one sample id a "
                        "line",
                        path, strerror(errno));
    int rc = MDL_OK;
    if (fstat(fileno(file), &info) != 0 || !S_ISREG(info.st_mode))
        rc = mdl_fail(err, MDL_E_INPUT, "%s: is not a regular file of sample ids", path);
    else if (info.st_size > INT_MAX)
        rc = mdl_fail(err, MDL_E_INPUT, "%s: has over 2 GB, too much for sample ids", path);
    else
        rc = mdl_alloc(text, (size_t)info.st_size + 1, 1, "sample ids", err);
    if (rc == MDL_OK) {
        *n_byte = (int64_t)fread(*text, 1, (size_t)info.st_size, file);
        if (*n_byte != info.st_size)
            rc = mdl_fail(err, MDL_E_IO, "%s: reading failed: %s", path, strerror(errno));
    }
    fclose(file);
    return rc;
}

static int64_t count_lines(const char *text, int64_t n_byte)
{
    int64_t n_line = 0;
    for (int64_t i = 0; i < n_byte; i++)
        n_line += text[i] == '\n';
    return n_line + (n_byte > 0 && text[n_byte - 1] != '\n');
}

/* Lines end in "\n" or "\r\n". */
static int ids_from_text(const char *path, const char *text, int64_t n_byte, int64_t n_row,
                         char ***ids, mdl_error_t *err)
{
    int64_t n_line = count_lines(text, n_byte);
    if (memchr(text, '\0', (size_t)n_byte) != NULL)
        return mdl_fail(err, MDL_E_INPUT, "%s: holds a zero byte, it is not a text file", path);
    if (n_line != n_row)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: has %" PRId64 " lines but the array has %" PRId64
                        " rows; give one sample id a row",
                        path, n_line, n_row);
    int rc =
        mdl_alloc(ids, (size_t)n_row * sizeof(char *) + (size_t)n_byte + 1, 1, "sample ids", err);
    if (rc != MDL_OK)
        return rc;
    char *line = memcpy(*ids + n_row, text, (size_t)n_byte + 1);
    for (int64_t row = 0; row < n_row; row++) {
        char *end = line + strcspn(line, "\n");
        *end = '\0';
        if (end > line && end[-1] == '\r')
            end[-1] = '\0';
        (*ids)[row] = line;
        line = end + 1;
    }
    return MDL_OK;
}

static int ids_from_numbers(int64_t n_row, char ***ids, mdl_error_t *err)
{
    enum { WIDTH = 21 };
    int rc = mdl_alloc(ids, (size_t)n_row, sizeof(char *) + WIDTH, "sample ids", err);
    if (rc != MDL_OK)
        return rc;
    char *characters = (char *)(*ids + n_row);
    for (int64_t row = 0; row < n_row; row++) {
        (*ids)[row] = characters + row * WIDTH;
        snprintf((*ids)[row], WIDTH, "%" PRId64, row);
    }
    return MDL_OK;
}

int mdl_sample_ids_read(MPI_Comm comm, const char *path, int64_t n_row, char ***ids,
                        mdl_error_t *err)
{
    char *text = NULL;
    int64_t n_byte = 0;
    int rank, rc;
    *ids = NULL;
    if (path == NULL)
        return mdl_agree(comm, ids_from_numbers(n_row, ids, err), err);
    MPI_Comm_rank(comm, &rank);
    MDL_TRY(mdl_on_root(comm, rank, read_file(path, &text, &n_byte, err), err));
    MPI_Bcast(&n_byte, 1, MPI_INT64_T, 0, comm);
    if (rank > 0)
        rc = mdl_alloc(&text, (size_t)n_byte + 1, 1, "sample ids", err);
    MDL_TRY(mdl_agree(comm, rc, err));
    MPI_Bcast(text, (int)n_byte, MPI_CHAR, 0, comm);
    rc = ids_from_text(path, text, n_byte, n_row, ids, err);
    if (rc == MDL_OK && rank == 0)
        rc = mdl_sample_ids_check((const char *const *)*ids, n_row, path, err);
    rc = mdl_agree(comm, rc, err);
done:
    free(text);
    if (rc != MDL_OK) {
        free(*ids);
        *ids = NULL;
    }
    return rc;
}
