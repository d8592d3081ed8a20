#include "archive/import.h"

#include "core/log.h"
#include "core/text.h"
#include "io/archive_file.h"
#include "io/array_file.h"
#include "io/sample_ids.h"
#include "mpi/agree.h"
#include "mpi/block.h"
#include "mpi/progress.h"
#include "mpi/stop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Each rank holds about so much of the source at a time. */
enum { PIECE_BYTES = 4 << 20 };

/* For plans: reading (twice, for the digest) and writing on a parallel filesystem. */
static const double assumed_rate = 200e6;

/* One import under way. */
typedef struct {
    mdl_stage_t *stage;
    const mdl_import_t *import;
    mdl_array_t *array;
    const mdl_array_shape_t *shape;
    mdl_encoding_t encoding; /* of the archive */
    int64_t n_value;         /* of one row */
    int64_t n_piece;         /* rows of one piece */
    char **ids;
    char *path, *source, *configuration;
} job_t;

static int64_t row_values(const mdl_array_shape_t *shape)
{
    return (shape->n_token > 0 ? shape->n_token : 1) * shape->n_feat;
}

static int open_source(job_t *job, mdl_error_t *err)
{
    const mdl_import_t *import = job->import;
    int rc = mdl_array_open(import->spec, &job->array, err);
    if (rc != MDL_OK)
        return rc;
    job->shape = mdl_array_shape(job->array);
    job->encoding = job->shape->encoding;
    mdl_encoding_find(import->encoding, &job->encoding);
    job->n_value = row_values(job->shape);
    int64_t n_row_byte = job->n_value * (int64_t)mdl_encoding_size(job->shape->encoding);
    job->n_piece = n_row_byte < PIECE_BYTES ? PIECE_BYTES / n_row_byte : 1;
    job->path = mdl_array_path(import->spec);
    if (job->path == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for the path %s", import->spec);
    const char *slash = strrchr(job->path, '/');
    job->source =
        mdl_text("%s%s", slash != NULL ? slash + 1 : job->path, import->spec + strlen(job->path));
    job->configuration =
        mdl_text("model=%s\nside=%s\nlabel=%s\nencoding=%s\nsource=%s", import->model, import->side,
                 import->label, mdl_encoding_name(job->encoding), job->source);
    if (job->source == NULL || job->configuration == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for the names of %s", import->spec);
    return MDL_OK;
}

static int digest_inputs(const job_t *job, char digits[MDL_DIGEST_SIZE], mdl_error_t *err)
{
    char source[MDL_DIGEST_SIZE] = "", rows[MDL_DIGEST_SIZE] = "";
    mdl_digest_t *digest;
    int rc;
    MDL_TRY(mdl_digest_of_file(job->path, source, err));
    if (job->import->rows != NULL)
        MDL_TRY(mdl_digest_of_file(job->import->rows, rows, err));
    MDL_TRY(mdl_digest_start(&digest, err));
    mdl_digest_add_text(digest, source);
    mdl_digest_add_text(digest, rows);
    mdl_digest_finish(digest, digits);
done:
    return rc;
}

/* A study has many files and ends in a line about all of them. */
static mdl_log_level_t level_of(const job_t *job)
{
    return job->stage->study_path != NULL ? MDL_LOG_VERBOSE : MDL_LOG_INFO;
}

/* Rank 0: is the archive there and made from the same? */
static int look(job_t *job, mdl_provenance_t *provenance, int *current, mdl_error_t *err)
{
    char why[256];
    *provenance = (mdl_provenance_t){.schema = MDL_ARCHIVE_SCHEMA,
                                     .version = MDL_ARCHIVE_VERSION,
                                     .configuration = job->configuration};
    int rc = digest_inputs(job, provenance->inputs_digest, err);
    if (rc != MDL_OK)
        return rc;
    *current = mdl_result_is_current(job->import->out, provenance, why);
    if (*current && !job->stage->force)
        mdl_log(level_of(job), "up to date: %s", job->import->out);
    else if (!*current && access(job->import->out, F_OK) == 0)
        mdl_log(MDL_LOG_INFO, "making %s again: %s", job->import->out, why);
    *current = *current && !job->stage->force;
    return MDL_OK;
}

static void print_plan(const job_t *job)
{
    char stored[32], memory[32], duration[32], tokens[32] = "";
    const mdl_array_shape_t *shape = job->shape;
    double n_value = (double)shape->n_sample * (double)job->n_value;
    double n_read = n_value * (double)mdl_encoding_size(shape->encoding);
    double n_byte = n_value * (double)mdl_encoding_size(job->encoding);
    double n_piece = (double)job->n_piece * (double)job->n_value;
    double n_memory =
        n_piece * (double)(mdl_encoding_size(shape->encoding) + mdl_encoding_size(job->encoding)) +
        48.0 * (double)shape->n_sample;
    if (shape->n_token > 0)
        snprintf(tokens, sizeof tokens, "%" PRId64 " x ", shape->n_token);
    printf("%s -> %s: %" PRId64 " rows of %s%" PRId64 " %s, %s; memory %s a rank; about %s at "
           "%.0f MB/s\n",
           job->import->spec, job->import->out, shape->n_sample, tokens, shape->n_feat,
           mdl_encoding_name(job->encoding), mdl_text_bytes(n_byte, stored),
           mdl_text_bytes(n_memory, memory),
           mdl_text_duration((2 * n_read + n_byte) / assumed_rate, duration), assumed_rate / 1e6);
}

/* Converts a piece of rows from first on; a finite value must stay finite. */
static int convert(const job_t *job, int64_t first, int64_t n_row, const void *source, void *target,
                   mdl_error_t *err)
{
    size_t n = (size_t)(n_row * job->n_value);
    mdl_float_convert(job->shape->encoding, source, job->encoding, target, n);
    int64_t bad = mdl_float_first_bad(job->encoding, target, n);
    size_t size = mdl_encoding_size(job->shape->encoding);
    if (bad < 0 || mdl_float_first_bad(job->shape->encoding,
                                       (const char *)source + (size_t)bad * size, 1) == 0)
        return MDL_OK; /* what was not finite before is refused by mdl_archive_write */
    return mdl_fail(err, MDL_E_INPUT,
                    "%s: sample '%s', column %" PRId64
                    " does not fit %s (at most %g); use --encoding bfloat16 or float32",
                    job->import->spec, job->ids[first + bad / job->n_value],
                    bad % job->shape->n_feat, mdl_encoding_name(job->encoding),
                    mdl_encoding_max(job->encoding));
}

static int stop_together(const job_t *job, mdl_error_t *err)
{
    int stop = mdl_stop_wanted();
    MPI_Allreduce(MPI_IN_PLACE, &stop, 1, MPI_INT, MPI_MAX, job->stage->comm);
    return stop ? mdl_fail(err, MDL_E_AGAIN, "%s is not written yet", job->import->out) : MDL_OK;
}

static int copy_rows(const job_t *job, mdl_archive_writer_t *writer, mdl_error_t *err)
{
    int64_t first, end, n_sample = job->shape->n_sample;
    int n_rank = job->stage->n_rank;
    void *source = NULL, *target = NULL;
    mdl_progress_t progress;
    mdl_block_range(n_sample, n_rank, job->stage->rank, &first, &end);
    size_t n_value = (size_t)(job->n_piece * job->n_value);
    int rc = mdl_alloc(&source, n_value, mdl_encoding_size(job->shape->encoding), "rows", err);
    if (rc == MDL_OK)
        rc = mdl_alloc(&target, n_value, mdl_encoding_size(job->encoding), "rows", err);
    MDL_TRY(mdl_agree(job->stage->comm, rc, err));
    mdl_progress_start(&progress, "rows", (double)n_sample);
    int64_t most = (n_sample + n_rank - 1) / n_rank; /* all ranks take equally many steps */
    for (int64_t done_rows = 0; done_rows < most; done_rows += job->n_piece) {
        int64_t row = first + done_rows < end ? first + done_rows : end;
        int64_t n = end - row < job->n_piece ? end - row : job->n_piece;
        if (n > 0)
            rc = mdl_array_read(job->array, row, n, source, err);
        if (n > 0 && rc == MDL_OK)
            rc = convert(job, row, n, source, target, err);
        MDL_TRY(mdl_agree(job->stage->comm, rc, err));
        MDL_TRY(mdl_archive_write(writer, row, n, target, err));
        MDL_TRY(stop_together(job, err));
        mdl_progress_update(&progress, (double)((row + n - first) * n_rank));
    }
done:
    free(source);
    free(target);
    return rc;
}

static int write_archive(job_t *job, const mdl_provenance_t *provenance, mdl_error_t *err)
{
    const mdl_import_t *import = job->import;
    mdl_archive_writer_t *writer = NULL;
    char bytes[32];
    int rc;
    MDL_TRY(
        mdl_sample_ids_read(job->stage->comm, import->rows, job->shape->n_sample, &job->ids, err));
    mdl_archive_info_t info = {.model = import->model,
                               .side = import->side,
                               .label = import->label,
                               .source = job->source,
                               .encoding = job->encoding,
                               .n_sample = job->shape->n_sample,
                               .n_token = job->shape->n_token,
                               .n_feat = job->shape->n_feat,
                               .sample_ids = (const char *const *)job->ids};
    MDL_TRY(mdl_archive_create(job->stage->comm, import->out, provenance, &info, &writer, err));
    rc = copy_rows(job, writer, err);
    MDL_TRY(mdl_archive_finish(writer, rc, err));
    double n_byte =
        (double)info.n_sample * (double)job->n_value * (double)mdl_encoding_size(info.encoding);
    mdl_log(level_of(job), "wrote %s: %" PRId64 " rows, %s, %s", import->out, info.n_sample,
            mdl_encoding_name(info.encoding), mdl_text_bytes(n_byte, bytes));
done:
    return rc;
}

int mdl_import_array(mdl_stage_t *stage, const mdl_import_t *import, mdl_archive_tally_t *tally,
                     mdl_error_t *err)
{
    job_t job = {.stage = stage, .import = import};
    mdl_provenance_t provenance;
    int current = 0;
    int rc = open_source(&job, err);
    MDL_TRY(mdl_agree(stage->comm, rc, err));
    if (stage->dry_run) {
        if (stage->rank == 0)
            print_plan(&job);
        goto done;
    }
    MDL_TRY(mdl_on_root(stage->comm, stage->rank, look(&job, &provenance, &current, err), err));
    MPI_Bcast(&current, 1, MPI_INT, 0, stage->comm);
    if (!current)
        MDL_TRY(write_archive(&job, &provenance, err));
    tally->n_current += current;
    tally->n_written += !current;
done:
    mdl_array_close(job.array);
    free(job.ids);
    free(job.path);
    free(job.source);
    free(job.configuration);
    return rc;
}
