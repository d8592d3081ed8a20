#include "io/safetensors_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The format's own limit on the JSON header. */
#define MAX_HEADER_BYTE ((uint64_t)100 * 1000 * 1000)

static const struct {
    const char *name;
    size_t size;
} dtypes[MDL_N_DTYPE] = {
    [MDL_DTYPE_F64] = {"F64", 8},   [MDL_DTYPE_F32] = {"F32", 4}, [MDL_DTYPE_F16] = {"F16", 2},
    [MDL_DTYPE_BF16] = {"BF16", 2}, [MDL_DTYPE_I64] = {"I64", 8}, [MDL_DTYPE_I32] = {"I32", 4},
    [MDL_DTYPE_I16] = {"I16", 2},   [MDL_DTYPE_I8] = {"I8", 1},   [MDL_DTYPE_U64] = {"U64", 8},
    [MDL_DTYPE_U32] = {"U32", 4},   [MDL_DTYPE_U16] = {"U16", 2}, [MDL_DTYPE_U8] = {"U8", 1},
    [MDL_DTYPE_BOOL] = {"BOOL", 1}};

const char *mdl_dtype_name(mdl_dtype_t dtype)
{
    return dtypes[dtype].name;
}

size_t mdl_dtype_size(mdl_dtype_t dtype)
{
    return dtypes[dtype].size;
}

static int open_file(mdl_safetensors_t *file, mdl_error_t *err)
{
    struct stat status;
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe isn't waited for */
    if (file->fd < 0)
        return mdl_fail(err, errno == ENOENT ? MDL_E_MISSING : MDL_E_IO, "cannot open %s: %s",
                        file->path, strerror(errno));
    if (fstat(file->fd, &status) != 0)
        return mdl_fail(err, MDL_E_IO, "cannot stat %s: %s", file->path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return mdl_fail(err, MDL_E_INPUT, "%s is not a regular file", file->path);
    if (status.st_size < 10)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s has %lld bytes, too few for a safetensors file; copy it again",
                        file->path, (long long)status.st_size);
    file->n_byte = status.st_size;
    posix_fadvise(file->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* advice: a failure is no error */
    return MDL_OK;
}

int mdl_safetensors_read_bytes(const mdl_safetensors_t *file, int64_t offset, int64_t n_byte,
                               void *out, mdl_error_t *err)
{
    for (int64_t at = 0; at < n_byte;) {
        ssize_t n_got = pread(file->fd, (char *)out + at, (size_t)(n_byte - at), offset + at);
        if (n_got < 0 && errno == EINTR)
            continue;
        if (n_got < 0)
            return mdl_fail(err, MDL_E_IO, "cannot read %s: %s", file->path, strerror(errno));
        if (n_got == 0)
            return mdl_fail(err, MDL_E_INPUT,
                            "%s ends after %lld bytes, but had %lld when it was opened; do not "
                            "change it while it is in use, and copy it again",
                            file->path, (long long)(offset + at), (long long)file->n_byte);
        at += n_got;
    }
    return MDL_OK;
}

static int parse_header(mdl_safetensors_t *file, int64_t *data_start, mdl_error_t *err)
{
    int rc = MDL_OK;
    unsigned char prefix[8];
    uint64_t length = 0;
    char *text = NULL;
    json_error_t where;
    MDL_TRY(mdl_safetensors_read_bytes(file, 0, sizeof prefix, prefix, err));
    for (int i = 7; i >= 0; i--)
        length = length << 8 | prefix[i];
    if (length < 2 || length > MAX_HEADER_BYTE || length > (uint64_t)file->n_byte - 8)
        MDL_TRY(
            mdl_fail(err, MDL_E_INPUT,
                     "%s: the header claims %llu bytes of a file of %lld; the file is truncated "
                     "or no safetensors file",
                     file->path, (unsigned long long)length, (long long)file->n_byte));
    MDL_TRY(mdl_alloc(&text, (size_t)length, 1, "a header of safetensors", err));
    MDL_TRY(mdl_safetensors_read_bytes(file, sizeof prefix, (int64_t)length, text, err));
    file->header = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &where);
    if (file->header == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_INPUT, "%s: the header is not valid JSON at byte %d: %s",
                         file->path, where.position, where.text));
    if (!json_is_object(file->header))
        MDL_TRY(mdl_fail(err, MDL_E_INPUT, "%s: the header is no JSON object", file->path));
    *data_start = (int64_t)(sizeof prefix + length);
done:
    free(text);
    return rc;
}

static int parse_dtype(const mdl_safetensors_t *file, const json_t *value, mdl_tensor_t *tensor,
                       mdl_error_t *err)
{
    const char *text = json_string_value(value);
    for (int i = 0; text != NULL && i < MDL_N_DTYPE; i++) {
        if (strcmp(text, dtypes[i].name) == 0) {
            tensor->dtype = (mdl_dtype_t)i;
            return MDL_OK;
        }
    }
    return mdl_fail(err, MDL_E_INPUT,
                    "%s: tensor %s has dtype %s, which is not known; save it as F32, F16 or BF16",
                    file->path, tensor->name, text != NULL ? text : "(none)");
}

static int parse_shape(const mdl_safetensors_t *file, const json_t *value, mdl_tensor_t *tensor,
                       mdl_error_t *err)
{
    size_t n_dim = json_array_size(value);
    if (!json_is_array(value) || n_dim > MDL_TENSOR_MAX_DIM)
        return mdl_fail(err, MDL_E_INPUT, "%s: tensor %s has no shape of at most %d numbers",
                        file->path, tensor->name, MDL_TENSOR_MAX_DIM);
    tensor->n_dim = (int)n_dim;
    tensor->n_value = 1;
    for (size_t i = 0; i < n_dim; i++) {
        const json_t *item = json_array_get(value, i);
        int64_t dim = json_integer_value(item);
        if (!json_is_integer(item) || dim < 0)
            return mdl_fail(err, MDL_E_INPUT,
                            "%s: tensor %s: dimension %zu is not a number of 0 or more", file->path,
                            tensor->name, i);
        if (dim > 0 && tensor->n_value > INT64_MAX / 16 / dim)
            return mdl_fail(err, MDL_E_INPUT, "%s: tensor %s: the shape is too large", file->path,
                            tensor->name);
        tensor->dims[i] = dim;
        tensor->n_value *= dim;
    }
    return MDL_OK;
}

static int parse_tensor(const mdl_safetensors_t *file, int64_t data_start, const char *name,
                        const json_t *entry, mdl_tensor_t *tensor, mdl_error_t *err)
{
    tensor->name = name;
    if (name[0] == '\0' || !json_is_object(entry))
        return mdl_fail(err, MDL_E_INPUT, "%s: the entry \"%s\" describes no tensor", file->path,
                        name);
    int rc = parse_dtype(file, json_object_get(entry, "dtype"), tensor, err);
    if (rc == MDL_OK)
        rc = parse_shape(file, json_object_get(entry, "shape"), tensor, err);
    if (rc != MDL_OK)
        return rc;
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    int64_t begin = json_integer_value(first), end = json_integer_value(last);
    int64_t n_data = file->n_byte - data_start;
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last) ||
        begin < 0 || end < begin || end > n_data)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: tensor %s lies outside the file's %lld data bytes; the file is "
                        "truncated or damaged",
                        file->path, name, (long long)n_data);
    int64_t n_byte = tensor->n_value * (int64_t)mdl_dtype_size(tensor->dtype);
    if (end - begin != n_byte)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: tensor %s has %lld bytes where its shape and dtype need %lld",
                        file->path, name, (long long)(end - begin), (long long)n_byte);
    tensor->offset = data_start + begin;
    return MDL_OK;
}

static int64_t n_byte_of(const mdl_tensor_t *tensor)
{
    return tensor->n_value * (int64_t)mdl_dtype_size(tensor->dtype);
}

static int by_offset(const void *left, const void *right)
{
    const mdl_tensor_t *a = left, *b = right;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    return (n_byte_of(a) > n_byte_of(b)) - (n_byte_of(a) < n_byte_of(b));
}

static int by_name(const void *left, const void *right)
{
    const mdl_tensor_t *a = left, *b = right;
    return strcmp(a->name, b->name);
}

/* The tensors must cover the data exactly, one after the other. */
static int check_cover(mdl_safetensors_t *file, int64_t data_start, mdl_error_t *err)
{
    int64_t next = data_start;
    qsort(file->tensor, (size_t)file->n_tensor, sizeof *file->tensor, by_offset);
    for (int64_t i = 0; i < file->n_tensor; i++) {
        const mdl_tensor_t *tensor = &file->tensor[i];
        if (tensor->offset != next)
            return mdl_fail(err, MDL_E_INPUT, "%s: tensor %s %s; the file is damaged", file->path,
                            tensor->name,
                            tensor->offset < next ? "overlaps another one" : "comes after a gap");
        next += n_byte_of(tensor);
    }
    if (next != file->n_byte)
        return mdl_fail(err, MDL_E_INPUT, "%s: %lld bytes after the last tensor belong to none",
                        file->path, (long long)(file->n_byte - next));
    return MDL_OK;
}

static int read_header(mdl_safetensors_t *file, mdl_error_t *err)
{
    int rc = MDL_OK;
    int64_t data_start = 0;
    const char *name;
    json_t *entry;
    MDL_TRY(parse_header(file, &data_start, err));
    MDL_TRY(mdl_alloc(&file->tensor, json_object_size(file->header), sizeof *file->tensor,
                      "a table of tensors", err));
    json_object_foreach(file->header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        MDL_TRY(parse_tensor(file, data_start, name, entry, &file->tensor[file->n_tensor], err));
        file->n_tensor++;
    }
    MDL_TRY(check_cover(file, data_start, err));
    qsort(file->tensor, (size_t)file->n_tensor, sizeof *file->tensor, by_name);
done:
    return rc;
}

int mdl_safetensors_open(const char *path, mdl_safetensors_t **file, mdl_error_t *err)
{
    int rc = MDL_OK;
    mdl_safetensors_t *opened = NULL;
    *file = NULL;
    MDL_TRY(mdl_alloc(&opened, 1, sizeof *opened, "a safetensors file", err));
    opened->fd = -1;
    MDL_TRY(mdl_alloc(&opened->path, strlen(path) + 1, 1, "a path", err));
    memcpy(opened->path, path, strlen(path) + 1);
    MDL_TRY(open_file(opened, err));
    MDL_TRY(read_header(opened, err));
    *file = opened;
    opened = NULL;
done:
    mdl_safetensors_close(opened);
    return rc;
}

void mdl_safetensors_close(mdl_safetensors_t *file)
{
    if (file == NULL)
        return;
    if (file->fd >= 0)
        close(file->fd);
    json_decref(file->header);
    free(file->tensor);
    free(file->path);
    free(file);
}

int64_t mdl_safetensors_count(const mdl_safetensors_t *file)
{
    return file->n_tensor;
}

const mdl_tensor_t *mdl_safetensors_at(const mdl_safetensors_t *file, int64_t index)
{
    return &file->tensor[index];
}

const mdl_tensor_t *mdl_safetensors_find(const mdl_safetensors_t *file, const char *name)
{
    mdl_tensor_t key = {.name = name};
    return bsearch(&key, file->tensor, (size_t)file->n_tensor, sizeof key, by_name);
}
