#include "io/row_journal.h"

#include "core/text.h"
#include "io/path.h"
#include "mpi/agree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char MAGIC[16] = "mordal-rows 1\n";

typedef struct {
    char magic[16], key[32];
    int64_t n_row, n_row_byte;
} head_t;

typedef struct {
    int64_t row;
    uint64_t digest;
} mark_t;

/* Where a row lies: its file's number and its record's, in one number that MPI can compare. */
enum { RECORD_BITS = 36 };

struct mdl_row_journal {
    MPI_Comm comm;
    int rank, n_rank;
    char *path;
    head_t head;
    int64_t n_record_byte;
    int64_t *place;   /* [n_row], 1 + number of the file << RECORD_BITS | record; 0: not there */
    int64_t *files;   /* [n_file], their numbers, ascending */
    int64_t n_file;   /* found at the opening */
    int64_t n_record; /* in this rank's file */
    int own;          /* this rank's file while it adds, else -1 */
    int reading;      /* the file of number reading_file, else -1 */
    int64_t reading_file;
};

static char *file_name(const mdl_row_journal_t *journal, int64_t number)
{
    return mdl_text("%s.rows-%lld", journal->path, (long long)number);
}

static int64_t record_start(const mdl_row_journal_t *journal, int64_t record)
{
    return (int64_t)sizeof(head_t) + record * journal->n_record_byte;
}

static int fail_io(const mdl_row_journal_t *journal, int64_t number, const char *what,
                   mdl_error_t *err)
{
    return mdl_fail(err, MDL_E_IO, "%s.rows-%lld cannot be %s: %s", journal->path,
                    (long long)number, what, strerror(errno));
}

/* Opens file number; *file is -1 when the name is too long for memory. */
static int open_number(const mdl_row_journal_t *journal, int64_t number, int flags, int *file,
                       mdl_error_t *err)
{
    char *name = file_name(journal, number);
    *file = name != NULL ? open(name, flags, 0666) : -1;
    free(name);
    return *file >= 0 ? MDL_OK : fail_io(journal, number, "opened", err);
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* The number at the end of a name of the journal's files, or -1. */
static int64_t number_of(const char *name, const char *base)
{
    size_t n_base = strlen(base);
    int64_t number;
    if (strncmp(name, base, n_base) != 0 || strncmp(name + n_base, ".rows-", 6) != 0)
        return -1;
    if (mdl_text_to_int(name + n_base + 6, "number", &number, NULL) != MDL_OK)
        return -1;
    return number >= 0 && number < 1 << 20 ? number : -1;
}

/* The numbers of the files that are there. */
static int list_files(mdl_row_journal_t *journal, mdl_error_t *err)
{
    const char *slash = strrchr(journal->path, '/');
    const char *base = slash != NULL ? slash + 1 : journal->path;
    char *folder = slash == NULL
                       ? mdl_text(".")
                       : mdl_text("%.*s", (int)(slash - journal->path + 1), journal->path);
    DIR *dir = folder != NULL ? opendir(folder) : NULL;
    int rc = MDL_OK;
    free(folder);
    if (dir == NULL)
        return errno == ENOENT ? MDL_OK : fail_io(journal, 0, "looked for", err);
    for (struct dirent *entry = readdir(dir); entry != NULL && rc == MDL_OK; entry = readdir(dir)) {
        int64_t number = number_of(entry->d_name, base);
        if (number < 0)
            continue;
        int64_t *grown = realloc(journal->files, (size_t)(journal->n_file + 1) * sizeof *grown);
        if (grown == NULL) {
            rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for the names of files");
        } else {
            journal->files = grown;
            journal->files[journal->n_file++] = number;
        }
    }
    closedir(dir);
    if (journal->n_file > 0)
        qsort(journal->files, (size_t)journal->n_file, sizeof *journal->files, compare);
    return rc;
}

static int share_files(mdl_row_journal_t *journal, mdl_error_t *err)
{
    int rc = journal->rank == 0 ? mdl_path_make_parent(journal->path, err) : MDL_OK;
    if (rc == MDL_OK && journal->rank == 0)
        rc = list_files(journal, err);
    MDL_TRY(mdl_agree(journal->comm, rc, err));
    MPI_Bcast(&journal->n_file, 1, MPI_INT64_T, 0, journal->comm);
    rc = journal->rank == 0 ? MDL_OK
                            : mdl_alloc(&journal->files, (size_t)journal->n_file,
                                        sizeof *journal->files, "numbers of files", err);
    MDL_TRY(mdl_agree(journal->comm, rc, err));
    MPI_Bcast(journal->files, (int)journal->n_file, MPI_INT64_T, 0, journal->comm);
done:
    return rc;
}

/* Takes in the records of an open file; returns how many are whole. */
static int64_t scan_records(mdl_row_journal_t *journal, FILE *file, int64_t number, char *bytes)
{
    size_t n_row_byte = (size_t)journal->head.n_row_byte;
    int64_t n_record = 0;
    mark_t mark;
    while (fread(&mark, sizeof mark, 1, file) == 1 && mark.row >= 0 &&
           mark.row < journal->head.n_row && fread(bytes, 1, n_row_byte, file) == n_row_byte &&
           mdl_digest_row(bytes, n_row_byte) == mark.digest) {
        journal->place[mark.row] = 1 + (number << RECORD_BITS | n_record);
        n_record++;
    }
    return n_record;
}

/* A file of this journal is cut behind its last whole record, another one removed. */
static int scan_file(mdl_row_journal_t *journal, int64_t number, char *bytes, mdl_error_t *err)
{
    head_t head;
    char *name = file_name(journal, number);
    FILE *file = name != NULL ? fopen(name, "r+b") : NULL;
    int rc = MDL_OK;
    if (file == NULL) {
        rc = fail_io(journal, number, "opened", err);
    } else if (fread(&head, sizeof head, 1, file) != 1 ||
               memcmp(&head, &journal->head, sizeof head) != 0) {
        if (unlink(name) != 0)
            rc = fail_io(journal, number, "removed", err);
    } else {
        int64_t n_record = scan_records(journal, file, number, bytes);
        if (ftruncate(fileno(file), (off_t)record_start(journal, n_record)) != 0)
            rc = fail_io(journal, number, "cut", err);
    }
    if (file != NULL)
        fclose(file);
    free(name);
    return rc;
}

/* The files are dealt over the ranks. */
static int scan_files(mdl_row_journal_t *journal, mdl_error_t *err)
{
    char *bytes = NULL;
    int rc = mdl_alloc(&bytes, (size_t)journal->head.n_row_byte, 1, "a row", err);
    for (int64_t i = journal->rank; i < journal->n_file && rc == MDL_OK; i += journal->n_rank)
        rc = scan_file(journal, journal->files[i], bytes, err);
    free(bytes);
    rc = mdl_agree(journal->comm, rc, err);
    if (rc == MDL_OK)
        MPI_Allreduce(MPI_IN_PLACE, journal->place, (int)journal->head.n_row, MPI_INT64_T, MPI_MAX,
                      journal->comm);
    return rc;
}

static int write_all(int file, const void *bytes, size_t n_byte)
{
    const char *next = bytes;
    while (n_byte > 0) {
        ssize_t n = write(file, next, n_byte);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        next += n;
        n_byte -= (size_t)n;
    }
    return 0;
}

/* This rank's file, with a head and room for records behind those that are there. */
static int open_own(mdl_row_journal_t *journal, mdl_error_t *err)
{
    struct stat info;
    int rc = open_number(journal, journal->rank, O_WRONLY | O_CREAT | O_APPEND, &journal->own, err);
    if (rc != MDL_OK)
        return rc;
    if (fstat(journal->own, &info) != 0)
        return fail_io(journal, journal->rank, "examined", err);
    if (info.st_size == 0 && write_all(journal->own, &journal->head, sizeof journal->head) != 0)
        return fail_io(journal, journal->rank, "written", err);
    if (info.st_size > 0)
        journal->n_record = (info.st_size - (int64_t)sizeof(head_t)) / journal->n_record_byte;
    return MDL_OK;
}

int mdl_row_journal_open(MPI_Comm comm, const char *path, const char key[MDL_DIGEST_SIZE],
                         int64_t n_row, size_t n_row_byte, mdl_row_journal_t **journal,
                         mdl_error_t *err)
{
    mdl_row_journal_t *made = NULL;
    int rc = mdl_alloc(&made, 1, sizeof *made, "a journal", err);
    if (mdl_agree(comm, rc, err) != MDL_OK) {
        free(made);
        return err->code;
    }
    *made = (mdl_row_journal_t){.comm = comm, .own = -1, .reading = -1};
    MPI_Comm_rank(comm, &made->rank);
    MPI_Comm_size(comm, &made->n_rank);
    memcpy(made->head.magic, MAGIC, sizeof MAGIC);
    memcpy(made->head.key, key, sizeof made->head.key);
    made->head.n_row = n_row;
    made->head.n_row_byte = (int64_t)n_row_byte;
    made->n_record_byte = (int64_t)(sizeof(mark_t) + n_row_byte);
    made->path = mdl_text("%s", path);
    rc = made->path == NULL ? mdl_fail(err, MDL_E_MEMORY, "out of memory for a path")
         : n_row > INT_MAX
             ? mdl_fail(err, MDL_E_INPUT, "%s: %lld rows are too many", path, (long long)n_row)
             : mdl_alloc(&made->place, (size_t)n_row, sizeof *made->place, "places of rows", err);
    MDL_TRY(mdl_agree(comm, rc, err));
    MDL_TRY(share_files(made, err));
    MDL_TRY(scan_files(made, err));
    MDL_TRY(mdl_agree(comm, open_own(made, err), err));
    *journal = made;
    made = NULL;
done:
    mdl_row_journal_close(made);
    return rc;
}

int mdl_row_journal_has(const mdl_row_journal_t *journal, int64_t row)
{
    return journal->place[row] > 0;
}

int mdl_row_journal_add(mdl_row_journal_t *journal, int64_t row, const void *bytes,
                        mdl_error_t *err)
{
    size_t n_row_byte = (size_t)journal->head.n_row_byte;
    const mark_t mark = {row, mdl_digest_row(bytes, n_row_byte)};
    if (write_all(journal->own, &mark, sizeof mark) != 0 ||
        write_all(journal->own, bytes, n_row_byte) != 0)
        return fail_io(journal, journal->rank, "written", err);
    journal->place[row] = 1 + ((int64_t)journal->rank << RECORD_BITS | journal->n_record);
    journal->n_record++;
    return MDL_OK;
}

/* Closed, and so seen by the other ranks on filesystems where closing decides that. */
int mdl_row_journal_finish(mdl_row_journal_t *journal, mdl_error_t *err)
{
    int rc = MDL_OK;
    if (close(journal->own) != 0)
        rc = fail_io(journal, journal->rank, "closed", err);
    journal->own = -1;
    rc = mdl_agree(journal->comm, rc, err);
    if (rc == MDL_OK)
        MPI_Allreduce(MPI_IN_PLACE, journal->place, (int)journal->head.n_row, MPI_INT64_T, MPI_MAX,
                      journal->comm);
    return rc;
}

int mdl_row_journal_read(mdl_row_journal_t *journal, int64_t row, void *bytes, mdl_error_t *err)
{
    int64_t place = journal->place[row] - 1, number = place >> RECORD_BITS;
    int64_t start = record_start(journal, place & (((int64_t)1 << RECORD_BITS) - 1));
    size_t n_done = 0, n_row_byte = (size_t)journal->head.n_row_byte;
    mark_t mark = {-1, 0};
    if (journal->reading < 0 || journal->reading_file != number) {
        if (journal->reading >= 0)
            close(journal->reading);
        int rc = open_number(journal, number, O_RDONLY, &journal->reading, err);
        if (rc != MDL_OK)
            return rc;
        journal->reading_file = number;
    }
    ssize_t n = pread(journal->reading, &mark, sizeof mark, (off_t)start);
    while (n > 0 && n_done < n_row_byte) {
        n = pread(journal->reading, (char *)bytes + n_done, n_row_byte - n_done,
                  (off_t)start + (off_t)sizeof mark + (off_t)n_done);
        n_done += n > 0 ? (size_t)n : 0;
    }
    if (n < 0)
        return fail_io(journal, number, "read", err);
    if (mark.row != row || n_done < n_row_byte || mdl_digest_row(bytes, n_row_byte) != mark.digest)
        return mdl_fail(err, MDL_E_IO, "%s.rows-%lld is damaged at row %lld; run again",
                        journal->path, (long long)number, (long long)row);
    return MDL_OK;
}

void mdl_row_journal_close(mdl_row_journal_t *journal)
{
    if (journal == NULL)
        return;
    if (journal->own >= 0)
        close(journal->own);
    if (journal->reading >= 0)
        close(journal->reading);
    free(journal->path);
    free(journal->place);
    free(journal->files);
    free(journal);
}

void mdl_row_journal_remove(const char *path)
{
    mdl_row_journal_t there = {.path = mdl_text("%s", path)};
    if (there.path != NULL && list_files(&there, NULL) == MDL_OK)
        for (int64_t i = 0; i < there.n_file; i++) {
            char *name = file_name(&there, there.files[i]);
            if (name != NULL)
                unlink(name);
            free(name);
        }
    free(there.files);
    free(there.path);
}
