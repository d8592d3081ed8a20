#include "io/h5_filter.h"

int mdl_h5_check_filters(hid_t dataset, mdl_error_t *err)
{
    char file[512] = "HDF5 file", name[256] = "?", filter[64];
    hid_t plan = H5Dget_create_plist(dataset);
    int n = plan >= 0 ? H5Pget_nfilters(plan) : 0, rc = MDL_OK;
    for (int i = 0; i < n && rc == MDL_OK; i++) {
        unsigned flags, config;
        size_t n_value = 0;
        filter[0] = '\0';
        H5Z_filter_t id = H5Pget_filter2(plan, (unsigned)i, &flags, &n_value, NULL, sizeof filter,
                                         filter, &config);
        if (id < 0 || H5Zfilter_avail(id) > 0)
            continue;
        H5Fget_name(dataset, file, sizeof file);
        H5Iget_name(dataset, name, sizeof name);
        rc = mdl_fail(err, MDL_E_INPUT,
                      "%s: dataset %s was written through the filter %d%s%s, which isn't installed "
                      "here: install its plugin and set HDF5_PLUGIN_PATH, or write the dataset "
                      "without it (h5repack -f NONE where the filter is)",
                      file, name, (int)id, filter[0] != '\0' ? " " : "", filter);
    }
    H5Eclear2(H5E_DEFAULT);
    if (plan >= 0)
        H5Pclose(plan);
    return rc;
}
