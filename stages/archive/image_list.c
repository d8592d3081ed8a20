#include "archive/image_list.h"

#include "mpi/agree.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Bytes of all names in a folder that one message carries. */
enum { MAX_TEXT = 1 << 28 };

static int is_image(const char *name)
{
    const char *ending = strrchr(name, '.');
    return ending != NULL && ending != name &&
           (strcasecmp(ending, ".png") == 0 || strcasecmp(ending, ".jpg") == 0 ||
            strcasecmp(ending, ".jpeg") == 0);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Appends name with its closing zero. */
static int append(char **text, int64_t *n_byte, int64_t *n_room, const char *name, mdl_error_t *err)
{
    int64_t n = (int64_t)strlen(name) + 1;
    if (*n_byte + n > MAX_TEXT)
        return mdl_fail(err, MDL_E_INPUT, "too many images in one folder");
    if (*n_byte + n > *n_room) {
        *n_room = 2 * (*n_byte + n) + 4096;
        char *grown = realloc(*text, (size_t)*n_room);
        if (grown == NULL)
            return mdl_fail(err, MDL_E_MEMORY, "out of memory for the names of images");
        *text = grown;
    }
    memcpy(*text + *n_byte, name, (size_t)n);
    *n_byte += n;
    return MDL_OK;
}

/* Rank 0: the names one after the other, as the folder has them. */
static int scan(const char *folder, char **text, int64_t *n_byte, mdl_error_t *err)
{
    int64_t n_room = 0;
    int rc = MDL_OK;
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return mdl_fail(err, MDL_E_MISSING, "cannot open %s: %s", folder, strerror(errno));
    for (struct dirent *entry = readdir(dir); entry != NULL && rc == MDL_OK; entry = readdir(dir))
        if (is_image(entry->d_name))
            rc = append(text, n_byte, &n_room, entry->d_name, err);
    closedir(dir);
    if (rc == MDL_OK && *n_byte == 0)
        rc = mdl_fail(err, MDL_E_MISSING, "%s has no .png, .jpg or .jpeg files", folder);
    return rc;
}

/* From text, which holds the names twice, to sorted names and ids. */
static int take_apart(mdl_image_list_t *list, int64_t n_byte, mdl_error_t *err)
{
    int rc;
    for (int64_t i = 0; i < n_byte; i++)
        list->n += list->text[i] == '\0';
    MDL_TRY(mdl_alloc(&list->name, (size_t)list->n, sizeof *list->name, "names", err));
    MDL_TRY(mdl_alloc(&list->id, (size_t)list->n, sizeof *list->id, "ids", err));
    char *next = list->text;
    for (int64_t i = 0; i < list->n; i++) {
        list->name[i] = next;
        next += strlen(next) + 1;
    }
    qsort(list->name, (size_t)list->n, sizeof *list->name, compare);
    for (int64_t i = 0; i < list->n; i++) {
        list->id[i] = list->name[i] + n_byte;
        *strrchr(list->id[i], '.') = '\0';
    }
done:
    return rc;
}

int mdl_image_list_read(MPI_Comm comm, const char *folder, mdl_image_list_t *list, mdl_error_t *err)
{
    int rank, rc;
    int64_t n_byte = 0;
    char *text = NULL;
    memset(list, 0, sizeof *list);
    MPI_Comm_rank(comm, &rank);
    MDL_TRY(mdl_on_root(comm, rank, scan(folder, &text, &n_byte, err), err));
    MPI_Bcast(&n_byte, 1, MPI_INT64_T, 0, comm);
    rc = mdl_alloc(&list->text, (size_t)n_byte, 2, "the names of images", err);
    MDL_TRY(mdl_agree(comm, rc, err));
    if (rank == 0)
        memcpy(list->text, text, (size_t)n_byte);
    MPI_Bcast(list->text, (int)n_byte, MPI_BYTE, 0, comm);
    memcpy(list->text + n_byte, list->text, (size_t)n_byte);
    rc = mdl_agree(comm, take_apart(list, n_byte, err), err);
done:
    free(text);
    return rc;
}

void mdl_image_list_free(mdl_image_list_t *list)
{
    free(list->name);
    free(list->id);
    free(list->text);
}
