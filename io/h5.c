#include "io/h5.h"

#include "io/guard.h"
#include "io/h5_filter.h"
#include "io/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file in memory grows by so many bytes. */
enum { MEMORY_STEP = 1 << 20 };

/* HDF5 describes an error from the outermost call inwards; the innermost entry names the cause. */
static herr_t take_innermost(unsigned n, const H5E_error2_t *entry, void *text)
{
    (void)n;
    snprintf(text, 256, "%s", entry->desc != NULL ? entry->desc : "no description");
    return 0;
}

int mdl_h5_fail(hid_t object, const char *what, int code, mdl_error_t *err)
{
    char cause[256] = "no further detail", name[512] = "HDF5 file";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, take_innermost, cause);
    if (object >= 0)
        H5Fget_name(object, name, sizeof name);
    return mdl_fail(err, code, "%s: %s (HDF5: %s)", name, what, cause);
}

static void silence_hdf5(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

int mdl_h5_open(const char *path, const char *advice, hid_t *file, mdl_error_t *err)
{
    *file = -1;
    silence_hdf5();
    int rc = mdl_path_check_readable(path, advice, 0, err);
    if (rc != MDL_OK)
        return rc;
    if (H5Fis_hdf5(path) <= 0)
        return mdl_fail(err, MDL_E_INPUT, "%s: is not an HDF5 file, or its start is damaged; %s",
                        path, advice);
    *file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (*file < 0) {
        mdl_h5_fail(-1,
                    "cannot be opened; truncated, damaged, or still being written (if the "
                    "cause is a lock on this filesystem, set HDF5_USE_FILE_LOCKING=FALSE)",
                    MDL_E_INPUT, err);
        return mdl_error_prefix(err, "%s", path);
    }
    return MDL_OK;
}

hid_t mdl_h5_create(const char *path, mdl_error_t *err)
{
    silence_hdf5();
    FILE *claimed = fopen(path, "wb");
    if (claimed == NULL) {
        mdl_fail(err, MDL_E_IO, "%s: cannot be made: %s; is the folder writable?", path,
                 strerror(errno));
        return -1;
    }
    fclose(claimed);
    hid_t properties = H5Pcreate(H5P_FILE_CREATE), access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_userblock(properties, MDL_GUARD_SIZE);
    H5Pset_fapl_core(access, MEMORY_STEP, 0);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, properties, access);
    H5Pclose(access);
    H5Pclose(properties);
    if (file < 0) {
        mdl_h5_fail(-1, "cannot be made", MDL_E_IO, err);
        mdl_error_prefix(err, "%s", path);
    }
    return file;
}

static int write_image(const char *path, const char *image, size_t n_byte, mdl_error_t *err)
{
    FILE *file = fopen(path, "r+b");
    int failed = file == NULL || fseek(file, MDL_GUARD_SIZE, SEEK_SET) != 0 ||
                 fwrite(image, 1, n_byte, file) != n_byte;
    int cause = errno;
    if (file != NULL && fclose(file) != 0 && !failed) {
        failed = 1;
        cause = errno;
    }
    if (failed)
        return mdl_fail(err, MDL_E_IO, "%s: cannot be written: %s; make room and run again", path,
                        strerror(cause));
    return MDL_OK;
}

int mdl_h5_save(hid_t file, const char *path, mdl_error_t *err)
{
    char *image = NULL;
    H5Fflush(file, H5F_SCOPE_GLOBAL);
    ssize_t n_byte = H5Fget_file_image(file, NULL, 0);
    int rc = mdl_alloc(&image, n_byte > 0 ? (size_t)n_byte : 1, 1, "a file's image", err);
    if (rc == MDL_OK && (n_byte < 0 || H5Fget_file_image(file, image, (size_t)n_byte) < 0))
        rc = mdl_h5_fail(file, "cannot be put together", MDL_E_INTERNAL, err);
    H5Fclose(file);
    if (rc == MDL_OK)
        rc = write_image(path, image, (size_t)n_byte, err);
    free(image);
    return rc;
}

void mdl_h5_close(hid_t file)
{
    if (file >= 0)
        H5Fclose(file);
}

int mdl_h5_exists(hid_t file, const char *name)
{
    return H5Lexists(file, name, H5P_DEFAULT) > 0;
}

static int open_dataset(hid_t file, const char *name, hid_t *dataset, mdl_error_t *err)
{
    char what[256];
    *dataset = mdl_h5_exists(file, name) ? H5Dopen2(file, name, H5P_DEFAULT) : -1;
    if (*dataset >= 0) {
        int rc = mdl_h5_check_filters(*dataset, err);
        if (rc != MDL_OK)
            H5Dclose(*dataset);
        return rc;
    }
    snprintf(what, sizeof what, "has no readable dataset %s", name);
    return mdl_h5_fail(file, what, MDL_E_INPUT, err);
}

int mdl_h5_shape(hid_t file, const char *name, int *n_dim, int64_t dims[MDL_H5_MAX_RANK],
                 mdl_error_t *err)
{
    hid_t dataset;
    int rc = open_dataset(file, name, &dataset, err);
    if (rc != MDL_OK)
        return rc;
    hid_t space = H5Dget_space(dataset);
    hsize_t extent[H5S_MAX_RANK];
    *n_dim = H5Sget_simple_extent_dims(space, extent, NULL);
    if (*n_dim < 0 || *n_dim > MDL_H5_MAX_RANK) {
        char what[256];
        snprintf(what, sizeof what, "dataset %s has %d dimensions, at most %d are read", name,
                 *n_dim, MDL_H5_MAX_RANK);
        rc = mdl_h5_fail(file, what, MDL_E_INPUT, err);
    }
    for (int i = 0; rc == MDL_OK && i < *n_dim; i++)
        dims[i] = (int64_t)extent[i];
    H5Sclose(space);
    H5Dclose(dataset);
    return rc;
}

/* Compares the dataset's shape with dims (-1 = any) and fills dims. */
static int match_shape(hid_t file, const char *name, int n_dim, int64_t *dims, mdl_error_t *err)
{
    int64_t found[MDL_H5_MAX_RANK];
    int n_found;
    int rc = mdl_h5_shape(file, name, &n_found, found, err);
    if (rc != MDL_OK)
        return rc;
    char what[256];
    if (n_found != n_dim) {
        snprintf(what, sizeof what, "dataset %s has %d dimensions, expected %d", name, n_found,
                 n_dim);
        return mdl_h5_fail(file, what, MDL_E_INPUT, err);
    }
    for (int i = 0; i < n_dim; i++) {
        if (dims[i] >= 0 && dims[i] != found[i]) {
            snprintf(what, sizeof what, "dataset %s has extent %lld in dimension %d, expected %lld",
                     name, (long long)found[i], i, (long long)dims[i]);
            return mdl_h5_fail(file, what, MDL_E_INPUT, err);
        }
        dims[i] = found[i];
    }
    return MDL_OK;
}

static size_t n_element(int n_dim, const int64_t *dims)
{
    size_t n = 1;
    for (int i = 0; i < n_dim; i++)
        n *= (size_t)dims[i];
    return n;
}

static int read_numbers(hid_t file, const char *name, int n_dim, int64_t *dims, hid_t type,
                        void *pointer_to_values, mdl_error_t *err)
{
    hid_t dataset = -1, stored = -1;
    void *values = NULL;
    char what[256];
    int rc;
    MDL_TRY(match_shape(file, name, n_dim, dims, err));
    MDL_TRY(open_dataset(file, name, &dataset, err));
    stored = H5Dget_type(dataset);
    H5T_class_t kind = H5Tget_class(stored);
    if (kind != H5T_INTEGER && kind != H5T_FLOAT && kind != H5T_ENUM) {
        snprintf(what, sizeof what, "dataset %s holds no numbers", name);
        rc = mdl_h5_fail(file, what, MDL_E_INPUT, err);
        goto done;
    }
    MDL_TRY(mdl_alloc(&values, n_element(n_dim, dims), H5Tget_size(type), name, err));
    if (n_element(n_dim, dims) > 0 &&
        H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) {
        snprintf(what, sizeof what, "dataset %s cannot be read", name);
        rc = mdl_h5_fail(file, what, MDL_E_INPUT, err);
        goto done;
    }
    memcpy(pointer_to_values, &values, sizeof values);
    values = NULL;
done:
    free(values);
    if (stored >= 0)
        H5Tclose(stored);
    if (dataset >= 0)
        H5Dclose(dataset);
    return rc;
}

int mdl_h5_read_double(hid_t file, const char *name, int n_dim, int64_t *dims, double **values,
                       mdl_error_t *err)
{
    return read_numbers(file, name, n_dim, dims, H5T_NATIVE_DOUBLE, values, err);
}

int mdl_h5_read_int64(hid_t file, const char *name, int n_dim, int64_t *dims, int64_t **values,
                      mdl_error_t *err)
{
    return read_numbers(file, name, n_dim, dims, H5T_NATIVE_INT64, values, err);
}

int mdl_h5_read_int32(hid_t file, const char *name, int n_dim, int64_t *dims, int32_t **values,
                      mdl_error_t *err)
{
    return read_numbers(file, name, n_dim, dims, H5T_NATIVE_INT32, values, err);
}

int mdl_h5_read_float(hid_t file, const char *name, int n_dim, int64_t *dims, float **values,
                      mdl_error_t *err)
{
    return read_numbers(file, name, n_dim, dims, H5T_NATIVE_FLOAT, values, err);
}

int mdl_h5_read_uint8(hid_t file, const char *name, int n_dim, int64_t *dims, uint8_t **values,
                      mdl_error_t *err)
{
    return read_numbers(file, name, n_dim, dims, H5T_NATIVE_UINT8, values, err);
}

/* Lays n strings out as pointers followed by characters; source(i) gives start and length. */
static int pack_texts(const char *const *sources, const size_t *lengths, int64_t n, char ***texts,
                      mdl_error_t *err)
{
    size_t n_char = 0;
    for (int64_t i = 0; i < n; i++)
        n_char += lengths[i] + 1;
    char **block;
    int rc = mdl_alloc(&block, (size_t)n * sizeof(char *) + n_char, 1, "strings", err);
    if (rc != MDL_OK)
        return rc;
    char *next = (char *)(block + n);
    for (int64_t i = 0; i < n; i++) {
        block[i] = next;
        memcpy(next, sources[i], lengths[i]);
        next += lengths[i] + 1;
    }
    *texts = block;
    return MDL_OK;
}

static int read_fixed_texts(hid_t dataset, hid_t stored, int64_t n, const char **sources,
                            size_t *lengths, char **characters, mdl_error_t *err)
{
    size_t width = H5Tget_size(stored);
    int rc = mdl_alloc(characters, (size_t)n, width, "strings", err);
    if (rc != MDL_OK)
        return rc;
    if (H5Dread(dataset, stored, H5S_ALL, H5S_ALL, H5P_DEFAULT, *characters) < 0)
        return mdl_h5_fail(dataset, "strings cannot be read", MDL_E_INPUT, err);
    for (int64_t i = 0; i < n; i++) {
        sources[i] = *characters + (size_t)i * width;
        lengths[i] = strnlen(sources[i], width);
    }
    return MDL_OK;
}

static int read_variable_texts(hid_t dataset, hid_t stored, int64_t n, const char **sources,
                               size_t *lengths, mdl_error_t *err)
{
    hid_t memory = H5Tcopy(H5T_C_S1);
    H5Tset_size(memory, H5T_VARIABLE);
    H5Tset_cset(memory, H5Tget_cset(stored));
    herr_t status = H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, sources);
    H5Tclose(memory);
    if (status < 0)
        return mdl_h5_fail(dataset, "strings cannot be read", MDL_E_INPUT, err);
    for (int64_t i = 0; i < n; i++) {
        if (sources[i] == NULL)
            return mdl_h5_fail(dataset, "holds an empty string reference", MDL_E_INPUT, err);
        lengths[i] = strlen(sources[i]);
    }
    return MDL_OK;
}

static void reclaim_texts(hid_t dataset, hid_t stored, const char **sources)
{
    hid_t space = H5Dget_space(dataset);
    H5Dvlen_reclaim(stored, space, H5P_DEFAULT, sources);
    H5Sclose(space);
}

int mdl_h5_read_text(hid_t file, const char *name, int64_t *n, char ***texts, mdl_error_t *err)
{
    hid_t dataset = -1, stored = -1;
    const char **sources = NULL;
    char *characters = NULL;
    size_t *lengths = NULL;
    int rc, variable = 0;
    MDL_TRY(match_shape(file, name, 1, n, err));
    MDL_TRY(open_dataset(file, name, &dataset, err));
    stored = H5Dget_type(dataset);
    if (H5Tget_class(stored) != H5T_STRING) {
        char what[256];
        snprintf(what, sizeof what, "dataset %s holds no strings", name);
        rc = mdl_h5_fail(file, what, MDL_E_INPUT, err);
        goto done;
    }
    MDL_TRY(mdl_alloc(&sources, (size_t)*n, sizeof *sources, "strings", err));
    MDL_TRY(mdl_alloc(&lengths, (size_t)*n, sizeof *lengths, "strings", err));
    variable = H5Tis_variable_str(stored) > 0;
    if (*n > 0 && variable)
        MDL_TRY(read_variable_texts(dataset, stored, *n, sources, lengths, err));
    else if (*n > 0)
        MDL_TRY(read_fixed_texts(dataset, stored, *n, sources, lengths, &characters, err));
    rc = pack_texts(sources, lengths, *n, texts, err);
done:
    if (variable && sources != NULL && *n > 0)
        reclaim_texts(dataset, stored, sources);
    free(sources);
    free(lengths);
    free(characters);
    if (stored >= 0)
        H5Tclose(stored);
    if (dataset >= 0)
        H5Dclose(dataset);
    return rc;
}

/* The types on disk are little-endian whatever the machine. */
static int write_dataset(hid_t file, const char *name, int n_dim, const int64_t *dims, hid_t memory,
                         hid_t disk, const void *values, mdl_error_t *err)
{
    hsize_t extent[MDL_H5_MAX_RANK] = {0};
    for (int i = 0; i < n_dim; i++)
        extent[i] = (hsize_t)dims[i];
    hid_t space = H5Screate_simple(n_dim, extent, NULL);
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    hid_t dataset = H5Dcreate2(file, name, disk, space, links, H5P_DEFAULT, H5P_DEFAULT);
    herr_t status = dataset < 0 ? -1 : 0;
    if (status == 0 && n_element(n_dim, dims) > 0)
        status = H5Dwrite(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    int rc = MDL_OK;
    if (status < 0) {
        char what[256];
        snprintf(what, sizeof what, "dataset %s cannot be written; is the disk full?", name);
        rc = mdl_h5_fail(file, what, MDL_E_IO, err);
    }
    if (dataset >= 0)
        H5Dclose(dataset);
    H5Pclose(links);
    H5Sclose(space);
    return rc;
}

int mdl_h5_write_double(hid_t file, const char *name, int n_dim, const int64_t *dims,
                        const double *values, mdl_error_t *err)
{
    return write_dataset(file, name, n_dim, dims, H5T_NATIVE_DOUBLE, H5T_IEEE_F64LE, values, err);
}

int mdl_h5_write_int64(hid_t file, const char *name, int n_dim, const int64_t *dims,
                       const int64_t *values, mdl_error_t *err)
{
    return write_dataset(file, name, n_dim, dims, H5T_NATIVE_INT64, H5T_STD_I64LE, values, err);
}

int mdl_h5_write_int32(hid_t file, const char *name, int n_dim, const int64_t *dims,
                       const int32_t *values, mdl_error_t *err)
{
    return write_dataset(file, name, n_dim, dims, H5T_NATIVE_INT32, H5T_STD_I32LE, values, err);
}

int mdl_h5_write_float(hid_t file, const char *name, int n_dim, const int64_t *dims,
                       const float *values, mdl_error_t *err)
{
    return write_dataset(file, name, n_dim, dims, H5T_NATIVE_FLOAT, H5T_IEEE_F32LE, values, err);
}

int mdl_h5_write_uint8(hid_t file, const char *name, int n_dim, const int64_t *dims,
                       const uint8_t *values, mdl_error_t *err)
{
    return write_dataset(file, name, n_dim, dims, H5T_NATIVE_UINT8, H5T_STD_U8LE, values, err);
}

static hid_t text_type(void)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

int mdl_h5_write_text(hid_t file, const char *name, int64_t n, const char *const *texts,
                      mdl_error_t *err)
{
    hid_t type = text_type();
    int rc = write_dataset(file, name, 1, &n, type, type, texts, err);
    H5Tclose(type);
    return rc;
}

static int attribute_failed(hid_t file, const char *name, const char *why, int code,
                            mdl_error_t *err)
{
    char what[256];
    snprintf(what, sizeof what, "attribute %s %s", name, why);
    return mdl_h5_fail(file, what, code, err);
}

static int get_number(hid_t file, const char *name, hid_t type, void *value, mdl_error_t *err)
{
    hid_t attribute = H5Aexists(file, name) > 0 ? H5Aopen(file, name, H5P_DEFAULT) : -1;
    if (attribute < 0)
        return attribute_failed(file, name, "is missing", MDL_E_INPUT, err);
    hid_t space = H5Aget_space(attribute), stored = H5Aget_type(attribute);
    H5T_class_t kind = H5Tget_class(stored);
    int fits = H5Sget_simple_extent_npoints(space) == 1 &&
               (kind == H5T_INTEGER || kind == H5T_FLOAT) && H5Aread(attribute, type, value) >= 0;
    H5Tclose(stored);
    H5Sclose(space);
    H5Aclose(attribute);
    return fits ? MDL_OK : attribute_failed(file, name, "is not a single number", MDL_E_INPUT, err);
}

int mdl_h5_get_int(hid_t file, const char *name, int64_t *value, mdl_error_t *err)
{
    return get_number(file, name, H5T_NATIVE_INT64, value, err);
}

int mdl_h5_get_double(hid_t file, const char *name, double *value, mdl_error_t *err)
{
    return get_number(file, name, H5T_NATIVE_DOUBLE, value, err);
}

int mdl_h5_get_text(hid_t file, const char *name, char **text, mdl_error_t *err)
{
    hid_t attribute = H5Aexists(file, name) > 0 ? H5Aopen(file, name, H5P_DEFAULT) : -1;
    if (attribute < 0)
        return attribute_failed(file, name, "is missing", MDL_E_INPUT, err);
    hid_t stored = H5Aget_type(attribute), space = H5Aget_space(attribute);
    int rc = attribute_failed(file, name, "is not a single text", MDL_E_INPUT, err);
    if (H5Tget_class(stored) == H5T_STRING && H5Sget_simple_extent_npoints(space) == 1) {
        if (H5Tis_variable_str(stored) > 0) {
            char *found = NULL;
            if (H5Aread(attribute, stored, &found) >= 0 && found != NULL)
                rc = mdl_alloc(text, strlen(found) + 1, 1, name, err);
            if (rc == MDL_OK)
                strcpy(*text, found);
            H5free_memory(found);
        } else {
            rc = mdl_alloc(text, H5Tget_size(stored) + 1, 1, name, err);
            if (rc == MDL_OK && H5Aread(attribute, stored, *text) < 0) {
                free(*text);
                rc = attribute_failed(file, name, "cannot be read", MDL_E_INPUT, err);
            }
        }
    }
    H5Sclose(space);
    H5Tclose(stored);
    H5Aclose(attribute);
    return rc;
}

static int set_attribute(hid_t file, const char *name, hid_t type, const void *value,
                         mdl_error_t *err)
{
    if (H5Aexists(file, name) > 0)
        H5Adelete(file, name);
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    herr_t status = attribute < 0 ? -1 : H5Awrite(attribute, type, value);
    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    return status < 0 ? attribute_failed(file, name, "cannot be written", MDL_E_IO, err) : MDL_OK;
}

int mdl_h5_set_int(hid_t file, const char *name, int64_t value, mdl_error_t *err)
{
    return set_attribute(file, name, H5T_NATIVE_INT64, &value, err);
}

int mdl_h5_set_double(hid_t file, const char *name, double value, mdl_error_t *err)
{
    return set_attribute(file, name, H5T_NATIVE_DOUBLE, &value, err);
}

int mdl_h5_set_text(hid_t file, const char *name, const char *text, mdl_error_t *err)
{
    hid_t type = text_type();
    int rc = set_attribute(file, name, type, &text, err);
    H5Tclose(type);
    return rc;
}
