/* Import of one array into an archive file. */
#ifndef MDL_ARCHIVE_IMPORT_H
#define MDL_ARCHIVE_IMPORT_H

#include "archive/archive.h"

typedef struct {
    const char *model;
    const char *spec;     /* FILE[#NAME] as in io/array_file.h */
    const char *side;     /* vision | language */
    const char *rows;     /* text file of sample ids, NULL = row numbers */
    const char *label;    /* what the rows are */
    const char *encoding; /* keep, or an encoding's name */
    const char *out;      /* the archive file */
} mdl_import_t;

/* Copies the array into the archive file, rows dealt to ranks, a few megabytes at a time; says so
 * and does nothing when the file is there and current; prints the plan under --dry-run. Collective
 * over stage->comm; tally counts what it did. Returns MDL_E_INPUT for an array, ids or values that
 * cannot be taken, MDL_E_MISSING, MDL_E_IO, or MDL_E_AGAIN when it was told to stop. */
int mdl_import_array(mdl_stage_t *stage, const mdl_import_t *import, mdl_archive_tally_t *tally,
                     mdl_error_t *err);

#endif
