/* Filters (compression) that a dataset of somebody else may need. */
#ifndef MDL_IO_H5_FILTER_H
#define MDL_IO_H5_FILTER_H

#include "core/error.h"

#include <hdf5.h>

/* Refuses a dataset that was written through a filter which this HDF5 doesn't have, naming the
 * filter and what to do. Not collective. Returns MDL_E_INPUT. */
int mdl_h5_check_filters(hid_t dataset, mdl_error_t *err);

#endif
