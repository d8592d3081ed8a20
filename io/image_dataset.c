#include "io/image_dataset.h"

#include "core/text.h"
#include "io/crash_guard.h"
#include "io/h5.h"
#include "io/h5_filter.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mdl_image_dataset {
    char *path;
    hid_t file, dataset;
    int64_t n, height, width; /* height 0: encoded files */
    char **ids;
};

static int is_uint8(hid_t type)
{
    return H5Tget_class(type) == H5T_INTEGER && H5Tget_size(type) == 1 &&
           H5Tget_sign(type) == H5T_SGN_NONE;
}

/* Are the elements uint8, or uint8 of variable length? */
static int check_type(const mdl_image_dataset_t *dataset, int encoded, mdl_error_t *err)
{
    hid_t type = H5Dget_type(dataset->dataset), base = -1;
    int right = is_uint8(type);
    if (encoded) {
        base = H5Tget_class(type) == H5T_VLEN ? H5Tget_super(type) : -1;
        right = base >= 0 && is_uint8(base);
    }
    if (base >= 0)
        H5Tclose(base);
    H5Tclose(type);
    if (right)
        return MDL_OK;
    return mdl_fail(err, MDL_E_INPUT,
                    "%s: dataset image must be uint8 (n, height, width, 3), or (n) of uint8 of "
                    "variable length",
                    dataset->path);
}

static int check_shape(mdl_image_dataset_t *dataset, mdl_error_t *err)
{
    int64_t dims[MDL_H5_MAX_RANK];
    int n_dim;
    int rc = mdl_h5_shape(dataset->file, "/image", &n_dim, dims, err);
    if (rc != MDL_OK)
        return rc;
    dataset->n = n_dim > 0 ? dims[0] : 0;
    int raw = n_dim == 4 && dims[3] == 3;
    if ((n_dim != 1 && !raw) || dataset->n < 1 || dataset->n > INT_MAX)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: dataset image has %d dimensions, the first of %lld; (n, height, "
                        "width, 3) or (n) is read",
                        dataset->path, n_dim, (long long)dataset->n);
    if (!raw)
        return MDL_OK;
    dataset->height = dims[1];
    dataset->width = dims[2];
    if (dims[1] < 1 || dims[2] < 1 || dims[1] > MDL_IMAGE_MAX_SIDE ||
        dims[2] > MDL_IMAGE_MAX_SIDE || dims[1] * dims[2] > MDL_IMAGE_MAX_PIXEL)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: images of %lld x %lld pixels; one may have %d a side and %d in all",
                        dataset->path, (long long)dims[2], (long long)dims[1], MDL_IMAGE_MAX_SIDE,
                        MDL_IMAGE_MAX_PIXEL);
    return MDL_OK;
}

static int open_file(mdl_image_dataset_t *dataset, mdl_error_t *err)
{
    int rc;
    MDL_TRY(mdl_h5_open(dataset->path, "give a folder or an HDF5 file with images", &dataset->file,
                        err));
    MDL_TRY(check_shape(dataset, err));
    dataset->dataset = H5Dopen2(dataset->file, "/image", H5P_DEFAULT);
    if (dataset->dataset < 0)
        MDL_TRY(mdl_h5_fail(dataset->file, "dataset image cannot be opened", MDL_E_INPUT, err));
    MDL_TRY(mdl_h5_check_filters(dataset->dataset, err));
    MDL_TRY(check_type(dataset, dataset->height == 0, err));
    rc = mdl_h5_read_text(dataset->file, "/sample_id", &dataset->n, &dataset->ids, err);
done:
    return rc;
}

int mdl_image_dataset_open(const char *path, mdl_image_dataset_t **dataset, mdl_error_t *err)
{
    mdl_image_dataset_t *made;
    int rc = mdl_alloc(&made, 1, sizeof *made, "images", err);
    if (rc != MDL_OK)
        return rc;
    made->file = made->dataset = -1;
    made->path = mdl_text("%s", path);
    if (made->path == NULL) {
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    } else {
        mdl_crash_guard_begin(path);
        rc = open_file(made, err);
        mdl_crash_guard_end();
    }
    if (rc == MDL_OK)
        *dataset = made;
    else
        mdl_image_dataset_close(made);
    return rc;
}

int64_t mdl_image_dataset_count(const mdl_image_dataset_t *dataset)
{
    return dataset->n;
}

char **mdl_image_dataset_ids(const mdl_image_dataset_t *dataset)
{
    return dataset->ids;
}

/* One element, which memory type describes, to out. */
static int read_element(const mdl_image_dataset_t *dataset, int64_t index, hid_t type, void *out,
                        mdl_error_t *err)
{
    int n_dim = dataset->height > 0 ? 4 : 1;
    hsize_t start[4] = {(hsize_t)index};
    hsize_t count[4] = {1, (hsize_t)dataset->height, (hsize_t)dataset->width, 3};
    hid_t space = H5Dget_space(dataset->dataset), memory = H5Screate_simple(n_dim, count, NULL);
    int rc = MDL_OK;
    mdl_crash_guard_begin(dataset->path);
    if (H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) < 0 ||
        H5Dread(dataset->dataset, type, memory, space, H5P_DEFAULT, out) < 0)
        rc = mdl_h5_fail(dataset->file, "an image cannot be read; the file is damaged", MDL_E_INPUT,
                         err);
    mdl_crash_guard_end();
    H5Sclose(memory);
    H5Sclose(space);
    return rc;
}

static int read_encoded(const mdl_image_dataset_t *dataset, int64_t index, mdl_image_t *image,
                        mdl_error_t *err)
{
    char name[512];
    hid_t type = H5Tvlen_create(H5T_NATIVE_UINT8), one = H5Screate(H5S_SCALAR);
    hvl_t bytes = {0, NULL};
    int rc = read_element(dataset, index, type, &bytes, err);
    if (rc == MDL_OK) {
        snprintf(name, sizeof name, "%.200s: image '%.255s'", dataset->path, dataset->ids[index]);
        rc = mdl_image_decode(bytes.p, bytes.len, name, image, err);
        H5Dvlen_reclaim(type, one, H5P_DEFAULT, &bytes);
    }
    H5Sclose(one);
    H5Tclose(type);
    return rc;
}

int mdl_image_dataset_read(const mdl_image_dataset_t *dataset, int64_t index, mdl_image_t *image,
                           mdl_error_t *err)
{
    *image = (mdl_image_t){0};
    if (dataset->height == 0)
        return read_encoded(dataset, index, image, err);
    int rc = mdl_alloc(&image->rgb, (size_t)dataset->height, (size_t)dataset->width * 3, "an image",
                       err);
    if (rc == MDL_OK)
        rc = read_element(dataset, index, H5T_NATIVE_UINT8, image->rgb, err);
    if (rc != MDL_OK) {
        free(image->rgb);
        image->rgb = NULL;
        return rc;
    }
    image->height = dataset->height;
    image->width = dataset->width;
    return MDL_OK;
}

void mdl_image_dataset_close(mdl_image_dataset_t *dataset)
{
    if (dataset == NULL)
        return;
    if (dataset->dataset >= 0)
        H5Dclose(dataset->dataset);
    mdl_h5_close(dataset->file);
    free(dataset->ids);
    free(dataset->path);
    free(dataset);
}
