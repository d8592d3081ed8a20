/* mordal-archive export: an archive file as .npy, and its sample ids as text. */
#include "archive/archive.h"
#include "core/log.h"
#include "core/text.h"
#include "io/npy.h"
#include "io/path.h"
#include "mpi/agree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Rows are copied in pieces of so many values. */
enum { PIECE_VALUES = 1 << 20 };

static const mdl_option_t table[] = {
    {"output", 'o', MDL_OPTION_TEXT, "OUT.npy", "the array's file (required)",
     offsetof(mdl_archive_options_t, out)},
    {"rows", 0, MDL_OPTION_TEXT, "OUT.txt", "also write the sample ids, one a line",
     offsetof(mdl_archive_options_t, rows)},
    {"encoding", 0, MDL_OPTION_CHOICE, "keep|float16|float32|float64",
     "type of the array (default: keep; bfloat16, which NumPy lacks, becomes float32)",
     offsetof(mdl_archive_options_t, encoding)},
};

static mdl_encoding_t choose_encoding(const char *name, mdl_encoding_t stored)
{
    mdl_encoding_t encoding = stored == MDL_BFLOAT16 ? MDL_FLOAT32 : stored;
    mdl_encoding_find(name, &encoding);
    return encoding;
}

static int copy_rows(mdl_archive_t *archive, mdl_npy_t *npy, mdl_error_t *err)
{
    int64_t n_value = mdl_archive_row_size(archive);
    int64_t n_piece = n_value < PIECE_VALUES ? PIECE_VALUES / n_value : 1;
    void *values;
    int rc = mdl_alloc(&values, (size_t)(n_piece * n_value), mdl_encoding_size(npy->encoding),
                       "rows", err);
    for (int64_t row = 0; rc == MDL_OK && row < archive->n_sample; row += n_piece) {
        int64_t n = archive->n_sample - row < n_piece ? archive->n_sample - row : n_piece;
        rc = mdl_archive_read(archive, row, n, npy->encoding, values, err);
        if (rc == MDL_OK)
            rc = mdl_npy_append(npy, n, values, err);
    }
    free(values);
    return rc;
}

static int write_array(mdl_archive_t *archive, mdl_encoding_t encoding, const char *path,
                       mdl_error_t *err)
{
    int64_t dims[3] = {archive->n_sample, archive->n_token, archive->n_feat};
    int n_dim = archive->n_token > 0 ? 3 : 2;
    dims[n_dim - 1] = archive->n_feat;
    mdl_npy_t npy = {0};
    int rc = mdl_npy_create(path, encoding, n_dim, dims, &npy, err);
    if (rc == MDL_OK)
        rc = copy_rows(archive, &npy, err);
    int closed = mdl_npy_close(&npy, rc == MDL_OK ? err : NULL);
    return rc == MDL_OK ? closed : rc;
}

static int write_ids(const mdl_archive_t *archive, const char *path, mdl_error_t *err)
{
    FILE *file = fopen(path, "w");
    int failed = file == NULL;
    for (int64_t i = 0; !failed && i < archive->n_sample; i++)
        failed = fprintf(file, "%s\n", archive->sample_ids[i]) < 0;
    if (file != NULL && fclose(file) != 0)
        failed = 1;
    if (failed)
        return mdl_fail(err, MDL_E_IO, "%s: cannot be written: %s", path, strerror(errno));
    return MDL_OK;
}

static int export_file(const char *path, const mdl_archive_options_t *options, mdl_error_t *err)
{
    mdl_archive_t *archive = NULL;
    char *array = mdl_path_temporary(options->out), *ids = NULL;
    char bytes[32];
    int rc;
    if (options->rows != NULL)
        ids = mdl_path_temporary(options->rows);
    if (array == NULL || (options->rows != NULL && ids == NULL))
        MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory for a path"));
    MDL_TRY(mdl_archive_open(path, &archive, err));
    mdl_encoding_t encoding = choose_encoding(options->encoding, archive->encoding);
    MDL_TRY(mdl_path_make_parent(options->out, err));
    mdl_path_sweep(options->out);
    MDL_TRY(write_array(archive, encoding, array, err));
    if (ids != NULL)
        MDL_TRY(write_ids(archive, ids, err));
    MDL_TRY(mdl_path_commit(array, options->out, err));
    if (ids != NULL)
        MDL_TRY(mdl_path_commit(ids, options->rows, err));
    double n_value = (double)archive->n_sample * (double)mdl_archive_row_size(archive);
    mdl_log(MDL_LOG_INFO, "wrote %s: %" PRId64 " rows, %s, %s", options->out, archive->n_sample,
            mdl_encoding_name(encoding),
            mdl_text_bytes(n_value * (double)mdl_encoding_size(encoding), bytes));
done:
    if (rc != MDL_OK && array != NULL)
        unlink(array);
    if (rc != MDL_OK && ids != NULL)
        unlink(ids);
    free(array);
    free(ids);
    mdl_archive_close(archive);
    return rc;
}

static int run(mdl_stage_t *stage, const mdl_archive_options_t *options, mdl_error_t *err)
{
    if (stage->n_argument != 1 || options->out == NULL)
        return mdl_fail(err, MDL_E_USAGE, "export wants one archive file and -o OUT.npy");
    return mdl_on_root(stage->comm, stage->rank, export_file(stage->arguments[0], options, err),
                       err);
}

const mdl_archive_command_t mdl_archive_export = {
    .name = "export",
    .command = {.program = "mordal-archive export",
                .usage = "FILE -o OUT.npy [OPTION...]",
                .summary = "Writes the rows of one archive file as a NumPy array.",
                .options = table,
                .n_option = sizeof table / sizeof table[0]},
    .run = run};
