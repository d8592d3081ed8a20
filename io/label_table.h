/* Labels of samples, for the scores that need no training: from a CSV with columns sample_id and
 * label (or answer), and maybe split (train | eval), in any order; or from a study's corpus. */
#ifndef MDL_IO_LABEL_TABLE_H
#define MDL_IO_LABEL_TABLE_H

#include "io/corpus_file.h"

typedef struct {
    int64_t n;
    char **id;    /* [n] the row in an archive; a row may be there several times in a study */
    char **label; /* [n] */
    char digest[MDL_DIGEST_SIZE]; /* of the bytes of the file behind it */
} mdl_label_table_t;

/* Reads the CSV. split: "train" or "eval" takes the rows of that split, "all" every row. Freed with
 * mdl_label_table_free. Not collective. Returns MDL_E_MISSING, MDL_E_IO, MDL_E_MEMORY, or
 * MDL_E_INPUT: a column that is missing, an empty field, an id that is there twice. */
int mdl_label_table_read(const char *path, const char *split, mdl_label_table_t *table,
                         mdl_error_t *err);

/* The answers of a corpus's samples of the split: a row for each sample. numbered 0: its id is that
 * of the image, as in the archives of vision encoders; 1: IMAGE#K, the K-th sample of the image in
 * this split, as in those of language models. Freed with mdl_label_table_free. Not collective.
 * Returns MDL_E_MEMORY, or MDL_E_INPUT when the split is empty. */
int mdl_label_table_of_corpus(const mdl_corpus_t *corpus, const char *split, int numbered,
                              mdl_label_table_t *table, mdl_error_t *err);

void mdl_label_table_free(mdl_label_table_t *table);

#endif
