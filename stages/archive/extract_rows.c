#include "archive/extract_rows.h"

#include "mpi/agree.h"
#include "mpi/block.h"
#include "mpi/progress.h"
#include "mpi/stop.h"

#include <stdlib.h>

/* Rows that are computed between two writes, at most, and their bytes. */
enum { PIECE_ROWS = 16, PIECE_BYTES = 4 << 20 };

/* Rows that are written in packs. */
typedef struct {
    int64_t from, to;      /* of the archive */
    int is_old;            /* 1: copied from the old archive, a row at a time */
    int64_t n_value;       /* of a row */
    int64_t n_piece;       /* rows of a write, and of a pack, at most */
    int64_t n_pack;        /* pack p is rows begin[p] .. begin[p + 1] - 1 */
    int64_t *begin;        /* [n_pack + 1] */
    float *rows;           /* [n_piece, n_value] */
    float *hidden;         /* [n_pass, n_feat] */
    mdl_sample_t *samples; /* [n_piece] */
} batch_t;

static mdl_sample_t sample_of(const mdl_extract_job_t *job, int64_t row)
{
    const mdl_corpus_t *corpus = job->language->corpus;
    const mdl_extract_rows_t *chosen = job->extract->rows;
    int64_t place = chosen != NULL ? chosen->order[row] : row;
    return mdl_training_sample(corpus, job->features, corpus->eval[place]);
}

/* A pack takes the rows behind it as long as they fit. */
static void make_packs(const mdl_extract_job_t *job, batch_t *batch)
{
    int64_t capacity = batch->is_old ? 0 : job->extract->settings.pack_length, taken = 0;
    capacity = capacity < job->n_pass ? capacity : job->n_pass;
    for (int64_t row = batch->from; row < batch->to; row++) {
        int64_t length = 1;
        if (!batch->is_old) {
            mdl_sample_t sample = sample_of(job, row);
            length = sample.n_token + sample.n_visual;
        }
        taken += length;
        if (batch->n_pack == 0 || taken > capacity ||
            row - batch->begin[batch->n_pack - 1] == batch->n_piece) {
            batch->begin[batch->n_pack++] = row;
            taken = length;
        }
    }
    batch->begin[batch->n_pack] = batch->to;
}

static int make_batch(const mdl_extract_job_t *job, batch_t *batch, mdl_error_t *err)
{
    int rc;
    int64_t n_row_value = job->pooling == MDL_POOL_ALL ? job->n_position : 1;
    batch->n_value = job->n_feat * n_row_value;
    batch->n_piece = PIECE_BYTES / (batch->n_value * (int64_t)sizeof *batch->rows);
    batch->n_piece = batch->n_piece < 1            ? 1
                     : batch->n_piece > PIECE_ROWS ? PIECE_ROWS
                                                   : batch->n_piece;
    MDL_TRY(mdl_alloc(&batch->begin, (size_t)(batch->to - batch->from) + 1, sizeof *batch->begin,
                      "packs", err));
    MDL_TRY(mdl_alloc(&batch->rows, (size_t)(batch->n_piece * batch->n_value), sizeof *batch->rows,
                      "rows", err));
    if (!batch->is_old) {
        MDL_TRY(mdl_alloc(&batch->samples, (size_t)batch->n_piece, sizeof *batch->samples, "rows",
                          err));
        MDL_TRY(mdl_alloc(&batch->hidden, (size_t)(job->n_pass * job->n_feat),
                          sizeof *batch->hidden, "hidden states", err));
    }
    make_packs(job, batch);
done:
    return rc;
}

static void free_batch(batch_t *batch)
{
    free(batch->begin);
    free(batch->rows);
    free(batch->hidden);
    free(batch->samples);
}

/* The rows of a pack. */
static int compute_pack(const mdl_extract_job_t *job, batch_t *batch, int64_t pack, float *rows,
                        mdl_error_t *err)
{
    int64_t first = batch->begin[pack], n = batch->begin[pack + 1] - first, at = 0;
    for (int64_t i = 0; i < n; i++)
        batch->samples[i] = sample_of(job, first + i);
    int rc = mdl_pack_hidden(job->workspace, batch->samples, n, batch->hidden, err);
    for (int64_t i = 0; rc == MDL_OK && i < n; i++) {
        mdl_pool_hidden(job->pooling, &batch->samples[i], batch->hidden + at * job->n_feat,
                        job->n_feat, job->n_position, rows + i * batch->n_value);
        at += batch->samples[i].n_token + batch->samples[i].n_visual;
    }
    return rc;
}

/* The rows of the packs [pack, end), one behind the other. */
static int compute_rows(const mdl_extract_job_t *job, batch_t *batch, int64_t pack, int64_t end,
                        mdl_error_t *err)
{
    int64_t first = batch->begin[pack], n_row = batch->begin[end] - first;
    int rc = MDL_OK;
    if (batch->is_old)
        return mdl_archive_read_float(job->old, first, n_row, batch->rows, err);
    for (; rc == MDL_OK && pack < end; pack++)
        rc = compute_pack(job, batch, pack,
                          batch->rows + (batch->begin[pack] - first) * batch->n_value, err);
    return rc;
}

/* The end of the packs, from pack on and before end, that are written together. */
static int64_t piece_end(const batch_t *batch, int64_t pack, int64_t end)
{
    int64_t first = batch->begin[pack];
    while (pack < end && batch->begin[pack + 1] - first <= batch->n_piece)
        pack++;
    return pack;
}

/* All ranks write equally often. */
static int64_t most_pieces(const mdl_extract_job_t *job, const batch_t *batch, int64_t pack,
                           int64_t end)
{
    int64_t n = 0;
    for (; pack < end; pack = piece_end(batch, pack, end))
        n++;
    MPI_Allreduce(MPI_IN_PLACE, &n, 1, MPI_INT64_T, MPI_MAX, job->stage->comm);
    return n;
}

static int stop_together(const mdl_extract_job_t *job, mdl_error_t *err)
{
    int stop = mdl_stop_wanted();
    MPI_Allreduce(MPI_IN_PLACE, &stop, 1, MPI_INT, MPI_MAX, job->stage->comm);
    return stop ? mdl_fail(err, MDL_E_AGAIN, "%s is not written yet", job->extract->out) : MDL_OK;
}

static int write_batch(const mdl_extract_job_t *job, mdl_archive_writer_t *writer, batch_t *batch,
                       mdl_error_t *err)
{
    MPI_Comm comm = job->stage->comm;
    int n_rank = job->stage->n_rank;
    int64_t pack, end;
    mdl_progress_t progress;
    int rc;
    MDL_TRY(mdl_agree(comm, make_batch(job, batch, err), err));
    mdl_progress_start(&progress, "samples", (double)(batch->to - batch->from));
    mdl_block_range(batch->n_pack, n_rank, job->stage->rank, &pack, &end);
    int64_t first = batch->begin[pack], n_left = most_pieces(job, batch, pack, end);
    for (; n_left > 0; n_left--) {
        int64_t next = piece_end(batch, pack, end);
        int64_t row = batch->begin[pack], n_row = batch->begin[next] - row;
        MDL_TRY(mdl_agree(comm, compute_rows(job, batch, pack, next, err), err));
        MDL_TRY(mdl_archive_write(writer, row, n_row, batch->rows, err));
        MDL_TRY(stop_together(job, err));
        mdl_progress_update(&progress, (double)((row + n_row - first) * n_rank));
        pack = next;
    }
done:
    return rc;
}

int mdl_extract_write_rows(const mdl_extract_job_t *job, mdl_archive_writer_t *writer,
                           mdl_error_t *err)
{
    batch_t kept = {.from = 0, .to = job->n_kept, .is_old = 1};
    batch_t made = {.from = job->n_kept, .to = job->n_row};
    int rc = MDL_OK;
    if (kept.to > kept.from)
        MDL_TRY(write_batch(job, writer, &kept, err));
    if (made.to > made.from)
        rc = write_batch(job, writer, &made, err);
done:
    free_batch(&kept);
    free_batch(&made);
    return rc;
}
