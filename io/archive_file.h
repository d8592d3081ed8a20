/* An archive file: the activations of one model on the samples of a study. Schema mordal-archive,
 * version 1; written in parallel, read by rows. docs/formats/archive.md has it field by field.
 *
 *   /activation  (n_sample, n_feat) or (n_sample, n_token, n_feat); float16, float32, float64, or
 *                uint16 with root attribute encoding = "bfloat16"; contiguous, row-major
 *   /sample_id   (n_sample) fixed-length UTF-8, unique
 *   /row_digest  (n_sample) uint64, XXH3-64 of the row's stored bytes, checked at every read
 * Root attributes as of every result, and: model, side (vision | language), label (what the rows
 * are, e.g. "mean last hidden state after dinov2s"), encoding (float16 | bfloat16 | float32 |
 * float64), source (where the numbers come from); of an archive that is made until the clusters are
 * settled also n_available, stop, stop_rule and confidence. */
#ifndef MDL_IO_ARCHIVE_FILE_H
#define MDL_IO_ARCHIVE_FILE_H

#include "io/float_convert.h"
#include "io/result.h"

#include <mpi.h>

#define MDL_ARCHIVE_SCHEMA "mordal-archive"
enum { MDL_ARCHIVE_VERSION = 1, MDL_ARCHIVE_MAX_ROW = 1 << 27 /* values of one row */ };

/* Whether an archive holds all samples that were wanted. */
typedef enum {
    MDL_ARCHIVE_WHOLE,
    MDL_ARCHIVE_OPEN,     /* it is still growing */
    MDL_ARCHIVE_SETTLED,  /* it has as many as settle the clusters */
    MDL_ARCHIVE_UNDECIDED /* it has all, and they leave the clusters open */
} mdl_archive_state_t;

typedef struct {
    mdl_archive_state_t state; /* WHOLE: the rest is not there */
    int64_t n_available;       /* samples that there could be */
    double confidence;         /* SETTLED, UNDECIDED: that the clusters are right, 0 to 1 */
    char *rule;                /* what was asked, "key=value" a line */
} mdl_archive_stop_t;

typedef struct {
    const char *model, *side, *label, *source;
    mdl_encoding_t encoding;
    int64_t n_sample, n_token, n_feat; /* n_token 0: two-dimensional */
    const char *const *sample_ids;     /* n_sample, the same on every rank */
    mdl_archive_stop_t stop;
} mdl_archive_info_t; /* all borrowed until mdl_archive_finish */

typedef struct mdl_archive_writer mdl_archive_writer_t;

/* Begins a new archive file beside path. Empty extents, doubled or empty ids are refused with
 * MDL_E_INPUT. *writer is NULL when it fails. Collective over comm. */
int mdl_archive_create(MPI_Comm comm, const char *path, const mdl_provenance_t *provenance,
                       const mdl_archive_info_t *info, mdl_archive_writer_t **writer,
                       mdl_error_t *err);

/* Writes rows [first, first + n_row) in stored encoding; n_row may be 0 on some ranks. Every row is
 * written once, by one rank. Row digests are taken on the way. Non-finite values are refused with
 * model, sample and column. Collective over comm. */
int mdl_archive_write(mdl_archive_writer_t *writer, int64_t first, int64_t n_row, const void *rows,
                      mdl_error_t *err);

/* Seals and puts into place, or cleans up when rc is not MDL_OK on any rank (as mdl_result_close).
 * Frees writer, which may be NULL. Collective over comm. */
int mdl_archive_finish(mdl_archive_writer_t *writer, int rc, mdl_error_t *err);

typedef struct {
    char *path, *model, *side, *label, *source;
    mdl_encoding_t encoding;
    int64_t n_sample, n_token, n_feat; /* n_token 0: two-dimensional */
    char **sample_ids;                 /* n_sample */
    mdl_archive_stop_t stop;
    char content_digest[MDL_DIGEST_SIZE];
    int descriptor;       /* of the file, for pread */
    int64_t data_start;   /* where the bytes of /activation begin */
    int64_t digest_start; /* and those of /row_digest */
} mdl_archive_t;

/* Opens an archive for reading, checking schema, shapes, ids (unique, not empty) and the digest of
 * everything but the rows. Not collective. */
int mdl_archive_open(const char *path, mdl_archive_t **archive, mdl_error_t *err);
void mdl_archive_close(mdl_archive_t *archive);

/* The shape of a row, of an archive whose rows and ids aren't wanted: n_token is 0 where it has two
 * dimensions. Checks what mdl_archive_open does up to there. Not collective. */
int mdl_archive_shape(const char *path, int64_t *n_token, int64_t *n_feat, mdl_error_t *err);

/* "whole", "open", "settled", "undecided". */
const char *mdl_archive_state_name(mdl_archive_state_t state);

/* Values of one row: n_token x n_feat, or n_feat. */
int64_t mdl_archive_row_size(const mdl_archive_t *archive);

/* Reads rows [first, first + n_row) in the given encoding into out: [n_row, row size], checking
 * each row's digest and that it is finite in that encoding. MDL_E_INPUT names the first damaged
 * row by its sample id. Not collective. */
int mdl_archive_read(const mdl_archive_t *archive, int64_t first, int64_t n_row,
                     mdl_encoding_t encoding, void *out, mdl_error_t *err);
/* The same without the look for values that are not finite, for callers that find them. Neither
 * calls HDF5: another thread may do so meanwhile. */
int mdl_archive_read_rows(const mdl_archive_t *archive, int64_t first, int64_t n_row,
                          mdl_encoding_t encoding, void *out, mdl_error_t *err);
/* As mdl_archive_read, as float32 and as float64. */
int mdl_archive_read_float(const mdl_archive_t *archive, int64_t first, int64_t n_row, float *out,
                           mdl_error_t *err);
int mdl_archive_read_double(const mdl_archive_t *archive, int64_t first, int64_t n_row, double *out,
                            mdl_error_t *err);

/* Index of each of n ids in the archive's rows, -1 where it isn't there. rows: [n]. */
int mdl_archive_find_rows(const mdl_archive_t *archive, const char *const *ids, int64_t n,
                          int64_t *rows, mdl_error_t *err);

#endif
