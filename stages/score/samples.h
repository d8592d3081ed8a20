/* The samples that labels and archives have in common. */
#ifndef MDL_SCORE_SAMPLES_H
#define MDL_SCORE_SAMPLES_H

#include "io/archive_file.h"

typedef struct {
    const char *id;    /* of a row in the archive; borrowed */
    const char *label; /* NULL for EMMS; borrowed */
} mdl_labelled_t;

/* Drops the samples that the archive has no row of: n is what is left, in the same order. Not
 * collective. Returns MDL_E_MEMORY. */
int mdl_samples_keep(const mdl_archive_t *archive, mdl_labelled_t *samples, int64_t *n,
                     mdl_error_t *err);

/* The samples' rows: *x is [n, n_feat] in new memory, freed by the caller; rows of several tokens
 * are their mean. All samples must have one. Not collective. Returns MDL_E_MEMORY, MDL_E_IO, or
 * MDL_E_INPUT for a damaged row or one that isn't finite. */
int mdl_samples_read(const mdl_archive_t *archive, const mdl_labelled_t *samples, int64_t n,
                     double **x, mdl_error_t *err);

/* Numbers the labels that occur, in the order of their bytes: class_of[n]. Not collective. Returns
 * MDL_E_INPUT when there are fewer than 4 samples or all labels are the same, or MDL_E_MEMORY. */
int mdl_samples_number(const mdl_labelled_t *samples, int64_t n, int32_t *class_of,
                       int64_t *n_class, mdl_error_t *err);

#endif
