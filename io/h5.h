/* The one place that calls HDF5: checked reading and writing of whole datasets and attributes.
 * Handles are hid_t; every failure carries HDF5's own innermost sentence. Not collective, unless
 * said; parallel writing is in io/archive_file. */
#ifndef MDL_IO_H5_H
#define MDL_IO_H5_H

#include "core/error.h"

#include <hdf5.h>
#include <stdint.h>

enum { MDL_H5_MAX_RANK = 4 };

/* Opens path for reading. advice ends the sentence for a missing file ("run mordal-cka first").
 * Returns MDL_E_MISSING, MDL_E_INPUT (no HDF5 file, damaged) or MDL_E_IO. */
int mdl_h5_open(const char *path, const char *advice, hid_t *file, mdl_error_t *err);

/* Creates a new file with room for a guard (io/guard.h), in memory: HDF5 1.10 crashes at exit after
 * it failed to close a file on a full disk, so it never writes to one. -1 and err (MDL_E_IO) when
 * path cannot be made. */
hid_t mdl_h5_create(const char *path, mdl_error_t *err);

/* Writes a file of mdl_h5_create to path, and closes it in any case. Returns MDL_E_IO. */
int mdl_h5_save(hid_t file, const char *path, mdl_error_t *err);

/* Closes file (a negative handle is passed over). */
void mdl_h5_close(hid_t file);

/* 1 when the link (a dataset or group) exists. */
int mdl_h5_exists(hid_t file, const char *name);

/* Rank and extents of a dataset; MDL_E_INPUT when it is missing or its rank is over
 * MDL_H5_MAX_RANK. */
int mdl_h5_shape(hid_t file, const char *name, int *n_dim, int64_t dims[MDL_H5_MAX_RANK],
                 mdl_error_t *err);

/* Reads a whole dataset, converted to the C type, into new memory (freed by the caller). dims holds
 * what is expected; -1 takes whatever is there and is replaced by it. MDL_E_INPUT names dataset and
 * shapes when they differ, or when the stored class does not fit (a text where numbers are due). */
int mdl_h5_read_double(hid_t file, const char *name, int n_dim, int64_t *dims, double **values,
                       mdl_error_t *err);
int mdl_h5_read_int64(hid_t file, const char *name, int n_dim, int64_t *dims, int64_t **values,
                      mdl_error_t *err);
int mdl_h5_read_int32(hid_t file, const char *name, int n_dim, int64_t *dims, int32_t **values,
                      mdl_error_t *err);
int mdl_h5_read_float(hid_t file, const char *name, int n_dim, int64_t *dims, float **values,
                      mdl_error_t *err);
int mdl_h5_read_uint8(hid_t file, const char *name, int n_dim, int64_t *dims, uint8_t **values,
                      mdl_error_t *err);

/* Reads a one-dimensional dataset of strings (fixed or variable length) as one block: an array of n
 * pointers followed by the characters, freed by one free. n is as dims above. */
int mdl_h5_read_text(hid_t file, const char *name, int64_t *n, char ***texts, mdl_error_t *err);

/* Writes a new dataset. A dataset with no elements is made and not written. Strings are stored with
 * variable length, UTF-8. */
int mdl_h5_write_double(hid_t file, const char *name, int n_dim, const int64_t *dims,
                        const double *values, mdl_error_t *err);
int mdl_h5_write_int64(hid_t file, const char *name, int n_dim, const int64_t *dims,
                       const int64_t *values, mdl_error_t *err);
int mdl_h5_write_int32(hid_t file, const char *name, int n_dim, const int64_t *dims,
                       const int32_t *values, mdl_error_t *err);
int mdl_h5_write_float(hid_t file, const char *name, int n_dim, const int64_t *dims,
                       const float *values, mdl_error_t *err);
int mdl_h5_write_uint8(hid_t file, const char *name, int n_dim, const int64_t *dims,
                       const uint8_t *values, mdl_error_t *err);
int mdl_h5_write_text(hid_t file, const char *name, int64_t n, const char *const *texts,
                      mdl_error_t *err);

/* Attributes of the root group. Reading returns MDL_E_INPUT when it is not there; a text is new
 * memory, freed by the caller. Writing replaces. */
int mdl_h5_get_text(hid_t file, const char *name, char **text, mdl_error_t *err);
int mdl_h5_get_int(hid_t file, const char *name, int64_t *value, mdl_error_t *err);
int mdl_h5_get_double(hid_t file, const char *name, double *value, mdl_error_t *err);
int mdl_h5_set_text(hid_t file, const char *name, const char *text, mdl_error_t *err);
int mdl_h5_set_int(hid_t file, const char *name, int64_t value, mdl_error_t *err);
int mdl_h5_set_double(hid_t file, const char *name, double value, mdl_error_t *err);

/* Fills err with what, the file's name and HDF5's innermost message; for callers that use HDF5
 * directly (io/archive_file). */
int mdl_h5_fail(hid_t object, const char *what, int code, mdl_error_t *err);

#endif
