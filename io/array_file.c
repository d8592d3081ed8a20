#include "io/array_file.h"

#include "core/text.h"
#include "io/crash_guard.h"
#include "io/h5.h"
#include "io/h5_filter.h"
#include "io/h5_float.h"
#include "io/npy.h"
#include "io/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Largest row that is taken in: a gigabyte of float64. */
enum { MAX_ROW_VALUES = 1 << 27 };

struct mdl_array {
    char *path;
    char *name; /* of the tensor or dataset, NULL = the only one */
    mdl_array_shape_t shape;
    mdl_npy_t npy;
    mdl_safetensors_t *tensors;
    const mdl_tensor_t *tensor;
    hid_t file, dataset, type;
};

static int set_shape(mdl_array_t *array, mdl_encoding_t encoding, int n_dim, const int64_t *dims,
                     mdl_error_t *err)
{
    if (n_dim != 2 && n_dim != 3)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: the array has %d dimensions; (sample, feature) or (sample, token, "
                        "feature) are read",
                        array->path, n_dim);
    for (int i = 0; i < n_dim; i++)
        if (dims[i] < 1)
            return mdl_fail(err, MDL_E_INPUT,
                            "%s: extent %d of the array is %" PRId64
                            "; there must be at least one sample, token and feature",
                            array->path, i, dims[i]);
    int64_t n_token = n_dim == 3 ? dims[1] : 1, n_feat = dims[n_dim - 1];
    if (n_feat > MAX_ROW_VALUES / n_token)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: a sample of %" PRId64 " x %" PRId64 " values is too large",
                        array->path, n_token, n_feat);
    array->shape = (mdl_array_shape_t){encoding, dims[0], n_dim == 3 ? n_token : 0, n_feat};
    return MDL_OK;
}

static int open_npy(mdl_array_t *array, mdl_error_t *err)
{
    if (array->name != NULL)
        return mdl_fail(err, MDL_E_USAGE, "%s: a .npy file holds one array, leave out #%s",
                        array->path, array->name);
    int rc = mdl_npy_open(array->path, &array->npy, err);
    if (rc != MDL_OK)
        return rc;
    return set_shape(array, array->npy.encoding, array->npy.n_dim, array->npy.dims, err);
}

static int open_tensor(mdl_array_t *array, mdl_error_t *err)
{
    static const int encodings[MDL_N_DTYPE] = {[MDL_DTYPE_F16] = 1 + MDL_FLOAT16,
                                               [MDL_DTYPE_BF16] = 1 + MDL_BFLOAT16,
                                               [MDL_DTYPE_F32] = 1 + MDL_FLOAT32,
                                               [MDL_DTYPE_F64] = 1 + MDL_FLOAT64};
    int rc = mdl_safetensors_open(array->path, &array->tensors, err);
    if (rc != MDL_OK)
        return rc;
    int64_t n_tensor = mdl_safetensors_count(array->tensors);
    if (n_tensor == 0)
        return mdl_fail(err, MDL_E_INPUT, "%s: holds no tensor", array->path);
    const mdl_tensor_t *first = mdl_safetensors_at(array->tensors, 0);
    if (array->name == NULL && n_tensor > 1)
        return mdl_fail(err, MDL_E_INPUT, "%s: holds %" PRId64 " tensors; name one, as in %s#%.80s",
                        array->path, n_tensor, array->path, first->name);
    array->tensor = array->name == NULL ? first : mdl_safetensors_find(array->tensors, array->name);
    if (array->tensor == NULL)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: has no tensor '%s'; the first of %" PRId64 " is '%.80s'", array->path,
                        array->name, n_tensor, first->name);
    if (encodings[array->tensor->dtype] == 0)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: tensor '%.80s' is of type %s; activations are floats (F16, BF16, F32 "
                        "or F64)",
                        array->path, array->tensor->name, mdl_dtype_name(array->tensor->dtype));
    return set_shape(array, (mdl_encoding_t)(encodings[array->tensor->dtype] - 1),
                     array->tensor->n_dim, array->tensor->dims, err);
}

/* Finds the dataset to read when none was named. */
typedef struct {
    char name[256];
    int n_found;
} only_t;

static herr_t count_dataset(hid_t root, const char *name, const H5O_info_t *info, void *data)
{
    (void)root;
    only_t *only = data;
    if (info->type == H5O_TYPE_DATASET && only->n_found++ == 0)
        snprintf(only->name, sizeof only->name, "%s", name);
    return 0;
}

static int find_dataset(mdl_array_t *array, mdl_error_t *err)
{
    only_t only = {.n_found = 0};
    if (array->name != NULL) {
        if (H5Oexists_by_name(array->file, array->name, H5P_DEFAULT) > 0)
            array->dataset = H5Dopen2(array->file, array->name, H5P_DEFAULT);
        if (array->dataset >= 0)
            return MDL_OK;
    }
    if (H5Ovisit(array->file, H5_INDEX_NAME, H5_ITER_INC, count_dataset, &only) < 0)
        return mdl_fail(err, MDL_E_INPUT, "%s: cannot be walked through; the file is damaged",
                        array->path);
    if (array->name != NULL)
        return mdl_fail(err, MDL_E_INPUT, "%s: has no dataset '%s'; the first of %d is '/%s'",
                        array->path, array->name, only.n_found, only.name);
    if (only.n_found != 1)
        return mdl_fail(err, MDL_E_INPUT, "%s: holds %d datasets; name one, as in %s#/%s",
                        array->path, only.n_found, array->path,
                        only.n_found > 0 ? only.name : "NAME");
    array->dataset = H5Dopen2(array->file, only.name, H5P_DEFAULT);
    return array->dataset >= 0
               ? MDL_OK
               : mdl_h5_fail(array->file, "its dataset cannot be opened", MDL_E_INPUT, err);
}

/* An archive of our own keeps bfloat16 as uint16 and says so. */
static int is_bfloat_archive(const mdl_array_t *array)
{
    char *encoding = NULL;
    int is = H5Tequal(array->type, H5T_STD_U16LE) > 0 &&
             mdl_h5_get_text(array->file, "encoding", &encoding, NULL) == MDL_OK &&
             strcmp(encoding, "bfloat16") == 0;
    free(encoding);
    return is;
}

static int open_dataset(mdl_array_t *array, mdl_error_t *err)
{
    mdl_encoding_t encoding = MDL_BFLOAT16;
    int rc = mdl_h5_open(array->path, "give an HDF5 file with activations", &array->file, err);
    if (rc == MDL_OK)
        rc = find_dataset(array, err);
    if (rc == MDL_OK)
        rc = mdl_h5_check_filters(array->dataset, err);
    if (rc != MDL_OK)
        return rc;
    array->type = H5Dget_type(array->dataset);
    if (!mdl_h5_float_encoding(array->type, &encoding) && !is_bfloat_archive(array)) {
        H5T_class_t kind = H5Tget_class(array->type);
        const char *what = "not numbers";
        if (kind == H5T_INTEGER)
            what = "integers; activations are floats";
        else if (kind == H5T_FLOAT)
            what = H5Tget_order(array->type) == H5T_ORDER_BE
                       ? "big-endian floats; write them little-endian"
                       : "floats of an unknown kind; float16, bfloat16, float32, float64 are read";
        return mdl_fail(err, MDL_E_INPUT, "%s: the dataset holds %s", array->path, what);
    }
    hsize_t extent[H5S_MAX_RANK];
    int64_t dims[3] = {0};
    hid_t space = H5Dget_space(array->dataset);
    int n_dim = H5Sget_simple_extent_dims(space, extent, NULL);
    H5Sclose(space);
    for (int i = 0; i < n_dim && i < 3; i++)
        dims[i] = extent[i] > INT64_MAX ? -1 : (int64_t)extent[i];
    return set_shape(array, encoding, n_dim, dims, err);
}

static int open_guarded(mdl_array_t *array, mdl_error_t *err)
{
    mdl_crash_guard_begin(array->path);
    int rc = open_dataset(array, err);
    mdl_crash_guard_end();
    return rc;
}

char *mdl_array_path(const char *spec)
{
    return mdl_text("%.*s", (int)strcspn(spec, "#"), spec);
}

static int ends_in(const char *path, const char *suffix)
{
    size_t n_path = strlen(path), n_suffix = strlen(suffix);
    return n_path > n_suffix && strcmp(path + n_path - n_suffix, suffix) == 0;
}

int mdl_array_open(const char *spec, mdl_array_t **array, mdl_error_t *err)
{
    mdl_array_t *made;
    const char *hash = strchr(spec, '#');
    int rc = mdl_alloc(&made, 1, sizeof *made, "an array", err);
    if (rc != MDL_OK)
        return rc;
    made->file = made->dataset = made->type = -1;
    made->path = mdl_array_path(spec);
    made->name = hash != NULL ? mdl_text("%s", hash + 1) : NULL;
    if (made->path == NULL || (hash != NULL && made->name == NULL))
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for the name %s", spec);
    else if (ends_in(made->path, ".npy"))
        rc = open_npy(made, err);
    else if (ends_in(made->path, ".safetensors"))
        rc = open_tensor(made, err);
    else if (ends_in(made->path, ".h5") || ends_in(made->path, ".hdf5"))
        rc = open_guarded(made, err);
    else
        rc = mdl_fail(err, MDL_E_USAGE,
                      "%s: unknown type of file by its name; .npy, .safetensors, .h5 and .hdf5 are "
                      "read",
                      made->path);
    if (rc == MDL_OK)
        *array = made;
    else
        mdl_array_close(made);
    return rc;
}

const mdl_array_shape_t *mdl_array_shape(const mdl_array_t *array)
{
    return &array->shape;
}

static int read_dataset(mdl_array_t *array, int64_t first, int64_t n_row, void *rows,
                        mdl_error_t *err)
{
    int n_dim = array->shape.n_token > 0 ? 3 : 2;
    hsize_t start[3] = {(hsize_t)first, 0, 0};
    hsize_t count[3] = {(hsize_t)n_row, (hsize_t)array->shape.n_token,
                        (hsize_t)array->shape.n_feat};
    count[n_dim - 1] = (hsize_t)array->shape.n_feat;
    hid_t space = H5Dget_space(array->dataset), memory = H5Screate_simple(n_dim, count, NULL);
    int rc = MDL_OK;
    mdl_crash_guard_begin(array->path);
    if (H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) < 0 ||
        H5Dread(array->dataset, array->type, memory, space, H5P_DEFAULT, rows) < 0)
        rc = mdl_h5_fail(array->file, "rows cannot be read; the file is truncated or damaged",
                         MDL_E_INPUT, err);
    mdl_crash_guard_end();
    H5Sclose(memory);
    H5Sclose(space);
    return rc;
}

int mdl_array_read(mdl_array_t *array, int64_t first, int64_t n_row, void *rows, mdl_error_t *err)
{
    if (array->npy.file != NULL)
        return mdl_npy_read(&array->npy, first, n_row, rows, err);
    if (array->dataset >= 0)
        return read_dataset(array, first, n_row, rows, err);
    int64_t n_token = array->shape.n_token > 0 ? array->shape.n_token : 1;
    int64_t n_value = n_token * array->shape.n_feat;
    return mdl_safetensors_read_raw(array->tensors, array->tensor, first * n_value, n_row * n_value,
                                    rows, err);
}

void mdl_array_close(mdl_array_t *array)
{
    if (array == NULL)
        return;
    mdl_npy_close(&array->npy, NULL);
    mdl_safetensors_close(array->tensors);
    if (array->type >= 0)
        H5Tclose(array->type);
    if (array->dataset >= 0)
        H5Dclose(array->dataset);
    mdl_h5_close(array->file);
    free(array->path);
    free(array->name);
    free(array);
}
