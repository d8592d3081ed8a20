/* HDF5 types of the floating point encodings. */
#ifndef MDL_IO_H5_FLOAT_H
#define MDL_IO_H5_FLOAT_H

#include "io/float_convert.h"

#include <hdf5.h>

/* The little-endian type on disk, closed by the caller; bfloat16 is stored as uint16. Not
 * collective. */
hid_t mdl_h5_float_type(mdl_encoding_t encoding);

/* 1 and *encoding when type is a little-endian IEEE float of 2, 4 or 8 bytes, or a bfloat16 float
 * type; else 0. Not collective. */
int mdl_h5_float_encoding(hid_t type, mdl_encoding_t *encoding);

#endif
