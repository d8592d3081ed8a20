/* The rows of an archive of hidden states: which rank computes which, together with what, and their
 * writing. */
#ifndef MDL_ARCHIVE_EXTRACT_ROWS_H
#define MDL_ARCHIVE_EXTRACT_ROWS_H

#include "archive/extract.h"
#include "archive/pooling.h"
#include "io/archive_file.h"

/* One extraction under way. For the files of extraction alone. */
typedef struct {
    mdl_stage_t *stage;
    mdl_extract_language_t *language;
    const mdl_extract_t *extract;
    mdl_pooling_t pooling;
    char *vision; /* name of the vision encoder */
    char *configuration, *label, *source;
    mdl_features_t *features;
    mdl_adapter_t *adapter;
    mdl_workspace_t *workspace;
    int64_t n_sample;   /* that there could be */
    int64_t n_row;      /* of the archive */
    int64_t n_kept;     /* rows that it has already */
    mdl_archive_t *old; /* and where they are */
    int64_t n_position; /* of the longest of them */
    int64_t n_pass;     /* positions that pass together, at most */
    int64_t n_feat;     /* d of the decoder */
    char **ids;         /* of all samples, unless extract->rows has them */
} mdl_extract_job_t;

/* Writes all rows: the first n_kept as they are in old, the others from hidden states. Samples of
 * new rows that follow one another pass together as far as pack_length goes; these packs, which
 * depend on the rows alone, are dealt over the ranks. Collective over job->stage->comm. Returns
 * MDL_E_AGAIN when it was told to stop, or what computing and writing return. */
int mdl_extract_write_rows(const mdl_extract_job_t *job, mdl_archive_writer_t *writer,
                           mdl_error_t *err);

#endif
