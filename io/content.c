/* Content digest of an HDF5 file: a walk over objects and attributes in the order of their names.
 */
#include "io/result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    mdl_digest_t *digest;
    const char *const *skip;
    int n_skip;
    mdl_error_t *err;
} walk_t;

static void add_texts(walk_t *walk, const char *const *texts, hssize_t n)
{
    for (hssize_t i = 0; i < n; i++)
        mdl_digest_add_text(walk->digest, texts[i] != NULL ? texts[i] : "");
}

static int add_attribute_value(walk_t *walk, hid_t attribute)
{
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    char *bytes = NULL;
    int rc = mdl_alloc(&bytes, (size_t)n, H5Tget_size(type), "an attribute", walk->err);
    if (rc == MDL_OK && H5Aread(attribute, type, bytes) < 0)
        rc = mdl_h5_fail(attribute, "an attribute cannot be read", MDL_E_INPUT, walk->err);
    if (rc == MDL_OK && H5Tis_variable_str(type) > 0) {
        add_texts(walk, (const char *const *)(void *)bytes, n);
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, bytes);
    } else if (rc == MDL_OK) {
        mdl_digest_add(walk->digest, bytes, (size_t)n * H5Tget_size(type));
    }
    free(bytes);
    H5Sclose(space);
    H5Tclose(type);
    return rc;
}

static herr_t visit_attribute(hid_t object, const char *name, const H5A_info_t *info, void *data)
{
    (void)info;
    walk_t *walk = data;
    if (strcmp(name, "content_digest") == 0)
        return 0;
    mdl_digest_add_text(walk->digest, name);
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0) {
        mdl_h5_fail(object, "an attribute cannot be opened", MDL_E_INPUT, walk->err);
        return -1;
    }
    int rc = add_attribute_value(walk, attribute);
    H5Aclose(attribute);
    return rc == MDL_OK ? 0 : -1;
}

static int add_dataset_values(walk_t *walk, hid_t dataset, hid_t type, hid_t space)
{
    hssize_t n = H5Sget_simple_extent_npoints(space);
    char *bytes = NULL;
    int rc = mdl_alloc(&bytes, (size_t)n, H5Tget_size(type), "a dataset", walk->err);
    if (rc == MDL_OK && n > 0 && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) < 0)
        rc = mdl_h5_fail(dataset, "a dataset cannot be read; the file is damaged", MDL_E_INPUT,
                         walk->err);
    if (rc == MDL_OK && H5Tis_variable_str(type) > 0) {
        add_texts(walk, (const char *const *)(void *)bytes, n);
        if (n > 0)
            H5Dvlen_reclaim(type, space, H5P_DEFAULT, bytes);
    } else if (rc == MDL_OK) {
        mdl_digest_add(walk->digest, bytes, (size_t)n * H5Tget_size(type));
    }
    free(bytes);
    return rc;
}

static int is_skipped(const walk_t *walk, const char *name)
{
    for (int i = 0; i < walk->n_skip; i++)
        if (strcmp(walk->skip[i] + (walk->skip[i][0] == '/'), name) == 0)
            return 1;
    return 0;
}

static int add_dataset(walk_t *walk, hid_t dataset, const char *name)
{
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    hsize_t extent[H5S_MAX_RANK];
    int n_dim = H5Sget_simple_extent_dims(space, extent, NULL);
    uint64_t kind[3] = {(uint64_t)H5Tget_class(type), H5Tget_size(type), (uint64_t)n_dim};
    mdl_digest_add(walk->digest, kind, sizeof kind);
    if (n_dim > 0)
        mdl_digest_add(walk->digest, extent, (size_t)n_dim * sizeof extent[0]);
    int rc = MDL_OK;
    if (!is_skipped(walk, name))
        rc = add_dataset_values(walk, dataset, type, space);
    H5Sclose(space);
    H5Tclose(type);
    return rc;
}

static herr_t visit_object(hid_t root, const char *name, const H5O_info_t *info, void *data)
{
    walk_t *walk = data;
    mdl_digest_add_text(walk->digest, name);
    hid_t object = H5Oopen(root, name, H5P_DEFAULT);
    if (object < 0) {
        mdl_h5_fail(root, "an object cannot be opened; the file is damaged", MDL_E_INPUT,
                    walk->err);
        return -1;
    }
    hsize_t next = 0;
    herr_t status = H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &next, visit_attribute, walk);
    if (status >= 0 && info->type == H5O_TYPE_DATASET)
        status = add_dataset(walk, object, name) == MDL_OK ? 0 : -1;
    H5Oclose(object);
    return status < 0 ? -1 : 0;
}

int mdl_result_content_digest(hid_t file, const char *const *skip, int n_skip,
                              char digits[MDL_DIGEST_SIZE], mdl_error_t *err)
{
    walk_t walk = {NULL, skip, n_skip, err};
    int rc = mdl_digest_start(&walk.digest, err);
    if (rc != MDL_OK)
        return rc;
    err->code = MDL_OK;
    herr_t status = H5Ovisit(file, H5_INDEX_NAME, H5_ITER_INC, visit_object, &walk);
    mdl_digest_finish(walk.digest, digits);
    if (status >= 0)
        return MDL_OK;
    if (err->code == MDL_OK)
        mdl_h5_fail(file, "cannot be walked through; the file is damaged", MDL_E_INPUT, err);
    return err->code;
}
