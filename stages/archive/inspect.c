/* mordal-archive ls and verify: what archive files hold, and whether they are whole. */
#include "archive/archive.h"
#include "core/log.h"
#include "core/text.h"
#include "mpi/agree.h"
#include "mpi/block.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Rows are verified in pieces of so many values. */
enum { PIECE_VALUES = 1 << 20 };

static int need_files(const mdl_stage_t *stage, mdl_error_t *err)
{
    if (stage->n_argument > 0)
        return MDL_OK;
    return mdl_fail(err, MDL_E_USAGE, "give the archive files, as in %s archive/vision/*.h5",
                    stage->program);
}

static int print_row(const char *path, mdl_error_t *err)
{
    mdl_archive_t *archive = NULL;
    char size[32], tokens[24] = "-";
    struct stat info = {0};
    int rc;
    MDL_TRY(mdl_archive_open(path, &archive, err));
    stat(path, &info);
    if (archive->n_token > 0)
        snprintf(tokens, sizeof tokens, "%" PRId64, archive->n_token);
    printf("%-20s %-8s %9" PRId64 " %6s %8" PRId64 " %-8s %9s  %s; %s", archive->model,
           archive->side, archive->n_sample, tokens, archive->n_feat,
           mdl_encoding_name(archive->encoding), mdl_text_bytes((double)info.st_size, size),
           archive->label, archive->source);
    if (archive->stop.state != MDL_ARCHIVE_WHOLE)
        printf("; %" PRId64 " of %" PRId64 " samples: %s", archive->n_sample,
               archive->stop.n_available, mdl_archive_state_name(archive->stop.state));
    putchar('\n');
done:
    mdl_archive_close(archive);
    return rc;
}

static int list_files(const mdl_stage_t *stage, mdl_error_t *err)
{
    int rc = MDL_OK;
    printf("%-20s %-8s %9s %6s %8s %-8s %9s  %s\n", "MODEL", "SIDE", "ROWS", "TOKENS", "FEATURES",
           "ENCODING", "SIZE", "LABEL; SOURCE");
    for (int i = 0; rc == MDL_OK && i < stage->n_argument; i++)
        rc = print_row(stage->arguments[i], err);
    return rc;
}

static int run_ls(mdl_stage_t *stage, const mdl_archive_options_t *options, mdl_error_t *err)
{
    (void)options;
    int rc = need_files(stage, err);
    if (rc == MDL_OK)
        rc = mdl_on_root(stage->comm, stage->rank, list_files(stage, err), err);
    return rc;
}

/* Blocks are in the order of ranks and each rank stops at its first damaged row, so the error that
 * mdl_agree picks (of the lowest rank) names the first damaged row of the file. */
static int verify_rows(const mdl_stage_t *stage, mdl_archive_t *archive, mdl_error_t *err)
{
    int64_t first, end, n_value = mdl_archive_row_size(archive);
    int64_t n_piece = n_value < PIECE_VALUES ? PIECE_VALUES / n_value : 1;
    double *values;
    int rc = mdl_alloc(&values, (size_t)(n_piece * n_value), sizeof *values, "rows", err);
    mdl_block_range(archive->n_sample, stage->n_rank, stage->rank, &first, &end);
    for (int64_t row = first; rc == MDL_OK && row < end; row += n_piece)
        rc = mdl_archive_read_double(archive, row, end - row < n_piece ? end - row : n_piece,
                                     values, err);
    free(values);
    return rc;
}

static int verify_file(const mdl_stage_t *stage, const char *path, mdl_error_t *err)
{
    mdl_archive_t *archive = NULL;
    int rc = mdl_archive_open(path, &archive, err);
    if (rc == MDL_OK)
        rc = verify_rows(stage, archive, err);
    rc = mdl_agree(stage->comm, rc, err);
    if (rc == MDL_OK && stage->rank == 0)
        printf("%s: ok, %" PRId64 " rows\n", path, archive->n_sample);
    mdl_archive_close(archive);
    return rc;
}

/* Goes through all files, so that one call tells of all that are damaged. */
static int run_verify(mdl_stage_t *stage, const mdl_archive_options_t *options, mdl_error_t *err)
{
    (void)options;
    int first_rc = need_files(stage, err), n_bad = 0;
    mdl_error_t first_err = {0};
    for (int i = 0; i < stage->n_argument; i++) {
        int rc = verify_file(stage, stage->arguments[i], err);
        if (rc == MDL_OK)
            continue;
        if (n_bad++ == 0) {
            first_rc = rc;
            first_err = *err;
        } else {
            mdl_log(MDL_LOG_ERROR, "%s", err->text);
        }
    }
    if (n_bad > 0)
        *err = first_err;
    return first_rc;
}

const mdl_archive_command_t mdl_archive_ls = {
    .name = "ls",
    .command = {.program = "mordal-archive ls",
                .usage = "FILE...",
                .summary = "Lists archive files: model, side, rows, tokens, features, encoding,\n"
                           "size, and what the rows are and come from."},
    .run = run_ls};

const mdl_archive_command_t mdl_archive_verify = {
    .name = "verify",
    .command = {.program = "mordal-archive verify",
                .usage = "FILE...",
                .summary = "Recomputes every digest of archive files, rows shared by the ranks.\n"
                           "Names the first damaged row by its sample id; exit code 65 then."},
    .run = run_verify};
