/* A guard in front of our HDF5 files: HDF5 itself can crash on damaged bytes, so they are checked
 * before it sees them.
 *
 * The file has an HDF5 user block of 512 bytes (h5ls, h5py and MATLAB skip it) with one line of
 * text: "mordal-guard 1 SKIP_OFFSET SKIP_LENGTH DIGEST\n", zeros behind it. DIGEST is the XXH3-128
 * of every byte of the file but the user block and the SKIP_LENGTH bytes from SKIP_OFFSET on: the
 * rows of an archive, which have digests of their own. */
#ifndef MDL_IO_GUARD_H
#define MDL_IO_GUARD_H

#include "core/error.h"

#include <stdint.h>

enum { MDL_GUARD_SIZE = 512 };

/* Writes the guard of a closed file that was created with a user block. One rank only. */
int mdl_guard_write(const char *path, int64_t skip_offset, int64_t skip_length, mdl_error_t *err);

/* Compares; MDL_E_INPUT says that path is damaged, cut short or none of Mordal's files.
 * Not collective. */
int mdl_guard_check(const char *path, mdl_error_t *err);

#endif
