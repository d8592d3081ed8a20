/* Archive files as the models of a comparison: opened, sorted by name, rows matched by sample id.
 */
#ifndef MDL_SIMILARITY_ARCHIVES_H
#define MDL_SIMILARITY_ARCHIVES_H

#include "io/archive_file.h"
#include "similarity/rows.h"

typedef struct mdl_cka_source mdl_cka_source_t;

typedef struct {
    int n_model;
    int64_t n_sample; /* rows that are compared */
    mdl_cka_source_t *sources;
    int leader;               /* number of the model whose rows give the order */
    mdl_rows_t *models;       /* [n_model], in ascending order of their names */
    const char **paths;       /* [n_model] in the same order, borrowed from the archives */
    const char *side, *label; /* of the first model, borrowed */
} mdl_cka_archives_t;

/* Opens n archives and matches their rows: the order is that of the first model by name,
 * or of the first Gram file, if there are any: they stand in for archives that are gone. Different
 * sets of sample ids are refused with counts and an id that is missing, or, with common, reduced to
 * those that all have. Models of other sides or labels bring a warning. Token activations
 * (n_sample, n_token, n_feat) are averaged over their tokens when they are read. Freed with
 * mdl_cka_archives_close, also after a failure. Not collective. Returns MDL_E_INPUT (two files of
 * one model, different ids, a name that can't name a file), or what mdl_archive_open returns. */
int mdl_cka_archives_open(mdl_cka_archives_t *archives, const char *const *paths, int n, int common,
                          mdl_error_t *err);
void mdl_cka_archives_close(mdl_cka_archives_t *archives);

/* Stored bytes of one row of a model. */
double mdl_cka_archives_row_bytes(const mdl_cka_archives_t *archives, int model);

/* The content digest of a model's archive, borrowed; NULL when a Gram file (io/gram_file.h) stands
 * in for it and has no rows to read. */
const char *mdl_cka_archives_digest(const mdl_cka_archives_t *archives, int model);

/* What the archives say of an extraction that went on until the clusters were settled, if all of
 * them say the same and it is over; else NULL. Borrowed. */
const mdl_archive_stop_t *mdl_cka_archives_stop(const mdl_cka_archives_t *archives);

/* The sample id of a row that is compared, borrowed. */
const char *mdl_cka_archives_sample_id(const mdl_cka_archives_t *archives, int64_t row);

/* The precision that loses none of the archives' digits. */
mdl_encoding_t mdl_cka_archives_precision(const mdl_cka_archives_t *archives);

#endif
