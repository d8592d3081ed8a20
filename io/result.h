/* A stage's result: one HDF5 file that appears whole or not at all, and says what it was made from.
 *
 * Root attributes of every result: schema (text, "mordal-similarity" ...), schema_version (int),
 * tool_version (text), configuration (text: the settings it depends on, "key=value" lines),
 * configuration_digest, inputs_digest (text), content_digest (text: XXH3-128 of every dataset and
 * attribute but itself: what its followers record as their input). The bytes of the file are
 * checked on opening, before HDF5 sees them (io/guard.h). A file may name one dataset in the
 * attribute digested_by_row (text): its rows have digests of their own and are left out of
 * content_digest and guard. */
#ifndef MDL_IO_RESULT_H
#define MDL_IO_RESULT_H

#include "io/digest.h"
#include "io/h5.h"

typedef struct {
    const char *schema;
    int version;
    const char *configuration;           /* "key=value\n..." of the settings that it depends on */
    char inputs_digest[MDL_DIGEST_SIZE]; /* of the files it was made from; "" if none */
} mdl_provenance_t;

typedef struct {
    hid_t file;      /* write datasets here */
    char *path;      /* where the result will stand */
    char *temporary; /* where it is written until then */
} mdl_result_t;

/* MDL_E_USAGE when path holds what a result of that schema must not replace: a whole file of
 * another schema (an input given as output), a folder or a device. Not collective. */
int mdl_result_check_place(const char *path, const char *schema, mdl_error_t *err);

/* Opens a new result beside path, making folders and removing what killed runs left there.
 * Call on one rank only. Returns MDL_E_IO naming path, or as mdl_result_check_place. */
int mdl_result_create(mdl_result_t *result, const char *path, const mdl_provenance_t *provenance,
                      mdl_error_t *err);

/* Computes the content digest, closes, flushes and renames into place. Frees result in any case.
 * Does nothing but clean up when rc (the outcome of writing the datasets) is not MDL_OK, and
 * returns it. */
int mdl_result_close(mdl_result_t *result, int rc, mdl_error_t *err);

/* Opens path for reading; checks guard, schema and version. advice ends the sentence for a
 * missing file. Closed with mdl_h5_close. Not collective. */
int mdl_result_open(const char *path, const char *schema, int version, const char *advice,
                    hid_t *file, mdl_error_t *err);

/* 1 when path holds an intact result for this provenance; 0 otherwise, and then why (a sentence of
 * at most 256 characters: not there, which setting changed, inputs changed, damaged).
 * Not collective. */
int mdl_result_is_current(const char *path, const mdl_provenance_t *provenance, char why[256]);

/* Content digest of an open file: names, shapes, types and bytes of all datasets and attributes but
 * content_digest itself. Datasets whose names are listed in skip (n_skip of them) count with name,
 * shape and type alone: those whose rows have digests of their own. Not collective. */
int mdl_result_content_digest(hid_t file, const char *const *skip, int n_skip,
                              char digits[MDL_DIGEST_SIZE], mdl_error_t *err);

/* Digest over the content digests (attribute content_digest) of n files, in the given order: the
 * inputs_digest of what is made from them. Not collective. */
int mdl_result_inputs_digest(const char *const *paths, int n, char digits[MDL_DIGEST_SIZE],
                             mdl_error_t *err);

#endif
