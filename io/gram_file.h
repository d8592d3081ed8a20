/* A Gram file: one model's centred Gram matrices, batch by batch, so that the model can be compared
 * with others when its activations are gone. Schema mordal-gram, version 1; written in parallel,
 * read by batches. docs/formats/gram.md has it field by field.
 *
 *   /gram          (n_batch, n_value) float32 or float64: the U-centred Gram matrix of a batch's
 * rows, scaled, packed: the pairs (i, j), i > j, row by row; zeros behind /power         (n_batch)
 * float64, /exponent (n_batch) float64: see docs/formats/gram.md /batch_digest  (n_batch) uint64,
 * XXH3-64 of the batch's stored bytes, checked at every read /sample_id     (n_sample) text, in the
 * order of the rows Root attributes as of every result (inputs_digest is that of the archive), and:
 * model, side, label, encoding (float32 | float64), batch, n_feat (int), sample_digest (text); of
 * the RBF kernel also sigma (float64). */
#ifndef MDL_IO_GRAM_FILE_H
#define MDL_IO_GRAM_FILE_H

#include "io/float_convert.h"
#include "io/result.h"

#include <mpi.h>

#define MDL_GRAM_SCHEMA "mordal-gram"
enum { MDL_GRAM_VERSION = 1 };

typedef struct {
    const char *model, *side, *label;
    mdl_encoding_t encoding;
    int64_t n_sample, n_feat, batch; /* batch: rows of a whole one */
    int64_t n_batch, n_value;        /* reals of a stored batch */
    double sigma;                    /* of the RBF kernel; 0: the linear kernel */
    const char *const *sample_ids;   /* [n_sample] */
} mdl_gram_info_t;                   /* all borrowed until mdl_gram_finish */

/* Digest of sample ids in their order. Not collective. */
int mdl_gram_sample_digest(const char *const *ids, int64_t n, char digits[MDL_DIGEST_SIZE],
                           mdl_error_t *err);

typedef struct mdl_gram_writer mdl_gram_writer_t;

/* Begins a new file beside path. *writer is NULL when it fails. Collective over comm. */
int mdl_gram_create(MPI_Comm comm, const char *path, const mdl_provenance_t *provenance,
                    const mdl_gram_info_t *info, mdl_gram_writer_t **writer, mdl_error_t *err);

/* Writes a batch, gram: n_value reals, of which those behind are left out. A batch is written
 * once, by one rank. Calls neither MPI nor HDF5. Not collective. Returns MDL_E_IO. */
int mdl_gram_write(mdl_gram_writer_t *writer, int64_t number, const void *gram, int64_t n_value,
                   double power, double exponent, mdl_error_t *err);

/* Seals and puts into place once a batch was written, *made 1; those that weren't are down as not
 * there. Cleans up when rc is not MDL_OK on any rank, or when there is no batch (*made 0). Frees
 * writer, which may be NULL. Collective over comm. */
int mdl_gram_finish(mdl_gram_writer_t *writer, int rc, int *made, mdl_error_t *err);

typedef struct {
    char *path, *model, *side, *label;
    mdl_encoding_t encoding;
    int64_t n_sample, n_feat, batch, n_batch, n_value;
    int64_t n_kept;    /* batches that are there */
    double sigma;      /* 0: the linear kernel */
    char **sample_ids; /* [n_sample] */
    char archive_digest[MDL_DIGEST_SIZE], sample_digest[MDL_DIGEST_SIZE];
    double *power, *exponent; /* [n_batch]; power is NaN for a batch that isn't there */
    uint64_t *digests;        /* [n_batch] */
    int descriptor;           /* for pread */
    int64_t data_start;       /* where the bytes of /gram begin */
} mdl_gram_t;

/* Opens a file for reading, checking schema, shapes and the digest of everything but the batches.
 * Not collective. */
int mdl_gram_open(const char *path, mdl_gram_t **gram, mdl_error_t *err);
void mdl_gram_close(mdl_gram_t *gram);

/* Reads a batch, checking its digest, into out: n_value reals, the first of those stored. Calls
 * neither MPI nor HDF5. Not collective. Returns MDL_E_INPUT naming a damaged batch. */
int mdl_gram_read(const mdl_gram_t *gram, int64_t number, int64_t n_value, void *out,
                  mdl_error_t *err);

#endif
