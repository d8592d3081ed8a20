#define _DEFAULT_SOURCE /* madvise */
#include "io/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The format's own limit on the JSON header. */
#define MAX_HEADER_BYTE ((uint64_t)100 * 1000 * 1000)

/* Bytes of a tensor that are read at a time, and how many such pieces are fetched ahead. */
enum { PIECE_BYTES = 4 << 20, AHEAD = 4 };

struct mdl_safetensors {
    char *path;
    unsigned char *map;
    size_t n_byte;
    json_t *header; /* owns the names */
    int64_t n_tensor;
    mdl_tensor_t *tensor; /* [n_tensor], sorted by name */
};

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

static int map_file(mdl_safetensors_t *file, mdl_error_t *err)
{
    struct stat status;
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return mdl_fail(err, errno == ENOENT ? MDL_E_MISSING : MDL_E_IO, "cannot open %s: %s",
                        file->path, strerror(errno));
    int rc = MDL_OK;
    if (fstat(fd, &status) != 0)
        MDL_TRY(mdl_fail(err, MDL_E_IO, "cannot stat %s: %s", file->path, strerror(errno)));
    if (!S_ISREG(status.st_mode))
        MDL_TRY(mdl_fail(err, MDL_E_INPUT, "%s is no regular file", file->path));
    if (status.st_size < 10)
        MDL_TRY(mdl_fail(err, MDL_E_INPUT,
                         "%s has %lld bytes, too few for a safetensors file; copy it again",
                         file->path, (long long)status.st_size));
    file->n_byte = (size_t)status.st_size;
    void *map = mmap(NULL, file->n_byte, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        MDL_TRY(mdl_fail(err, MDL_E_IO, "cannot map %s: %s", file->path, strerror(errno)));
    file->map = map;
done:
    close(fd);
    return rc;
}

static int parse_header(mdl_safetensors_t *file, uint64_t *n_header, mdl_error_t *err)
{
    uint64_t length = 0;
    json_error_t where;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | file->map[i];
    if (length < 2 || length > MAX_HEADER_BYTE || length > file->n_byte - 8)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: the header claims %llu bytes of a file of %zu; the file is truncated "
                        "or no safetensors file",
                        file->path, (unsigned long long)length, file->n_byte);
    file->header =
        json_loadb((const char *)file->map + 8, (size_t)length, JSON_REJECT_DUPLICATES, &where);
    if (file->header == NULL)
        return mdl_fail(err, MDL_E_INPUT, "%s: the header is no valid JSON at byte %d: %s",
                        file->path, where.position, where.text);
    if (!json_is_object(file->header))
        return mdl_fail(err, MDL_E_INPUT, "%s: the header is no JSON object", file->path);
    *n_header = length;
    return MDL_OK;
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
                            "%s: tensor %s: dimension %zu is no number of 0 or more", file->path,
                            tensor->name, i);
        if (dim > 0 && tensor->n_value > INT64_MAX / 16 / dim)
            return mdl_fail(err, MDL_E_INPUT, "%s: tensor %s: the shape is too large", file->path,
                            tensor->name);
        tensor->dims[i] = dim;
        tensor->n_value *= dim;
    }
    return MDL_OK;
}

static int parse_tensor(const mdl_safetensors_t *file, uint64_t n_header, const char *name,
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
    int64_t n_data = (int64_t)(file->n_byte - 8 - n_header);
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
    tensor->data = file->map + 8 + n_header + begin;
    return MDL_OK;
}

static size_t n_byte_of(const mdl_tensor_t *tensor)
{
    return (size_t)tensor->n_value * mdl_dtype_size(tensor->dtype);
}

static int by_data(const void *left, const void *right)
{
    const mdl_tensor_t *a = left, *b = right;
    const char *at_a = a->data, *at_b = b->data;
    if (at_a != at_b)
        return at_a < at_b ? -1 : 1;
    return (n_byte_of(a) > n_byte_of(b)) - (n_byte_of(a) < n_byte_of(b));
}

static int by_name(const void *left, const void *right)
{
    const mdl_tensor_t *a = left, *b = right;
    return strcmp(a->name, b->name);
}

/* The tensors must cover the data exactly, one after the other. */
static int check_cover(mdl_safetensors_t *file, uint64_t n_header, mdl_error_t *err)
{
    const unsigned char *next = file->map + 8 + n_header;
    qsort(file->tensor, (size_t)file->n_tensor, sizeof *file->tensor, by_data);
    for (int64_t i = 0; i < file->n_tensor; i++) {
        const mdl_tensor_t *tensor = &file->tensor[i];
        const unsigned char *data = tensor->data;
        if (data != next)
            return mdl_fail(err, MDL_E_INPUT, "%s: tensor %s %s; the file is damaged", file->path,
                            tensor->name,
                            data < next ? "overlaps another one" : "comes after a gap");
        next += n_byte_of(tensor);
    }
    if (next != file->map + file->n_byte)
        return mdl_fail(err, MDL_E_INPUT, "%s: %zu bytes after the last tensor belong to none",
                        file->path, (size_t)(file->map + file->n_byte - next));
    return MDL_OK;
}

static int read_header(mdl_safetensors_t *file, mdl_error_t *err)
{
    int rc = MDL_OK;
    uint64_t n_header = 0;
    const char *name;
    json_t *entry;
    MDL_TRY(parse_header(file, &n_header, err));
    MDL_TRY(mdl_alloc(&file->tensor, json_object_size(file->header), sizeof *file->tensor,
                      "a table of tensors", err));
    json_object_foreach(file->header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        MDL_TRY(parse_tensor(file, n_header, name, entry, &file->tensor[file->n_tensor], err));
        file->n_tensor++;
    }
    MDL_TRY(check_cover(file, n_header, err));
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
    MDL_TRY(mdl_alloc(&opened->path, strlen(path) + 1, 1, "a path", err));
    memcpy(opened->path, path, strlen(path) + 1);
    MDL_TRY(map_file(opened, err));
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
    if (file->map != NULL)
        munmap(file->map, file->n_byte);
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

static const mdl_encoding_t encodings[] = {[MDL_DTYPE_F64] = MDL_FLOAT64,
                                           [MDL_DTYPE_F32] = MDL_FLOAT32,
                                           [MDL_DTYPE_F16] = MDL_FLOAT16,
                                           [MDL_DTYPE_BF16] = MDL_BFLOAT16};

/* out [n] = the values at data, of F64, F32, F16 or BF16 and at any address. Returns the index of
 * the first that is not finite, -1 when all are. */
static int64_t convert(mdl_dtype_t dtype, const char *data, int64_t n, mdl_encoding_t encoding,
                       char *out)
{
    enum { BLOCK = 8192 }; /* values that stay in the cache until they are checked */
    uint64_t aligned[BLOCK];
    size_t size = dtypes[dtype].size, n_out = mdl_encoding_size(encoding);
    for (int64_t at = 0; at < n; at += BLOCK, out += BLOCK * n_out) {
        size_t n_here = (size_t)(n - at < BLOCK ? n - at : BLOCK);
        const void *source = data + (size_t)at * size;
        if ((uintptr_t)source % size != 0)
            source = memcpy(aligned, source, n_here * size);
        mdl_float_convert(encodings[dtype], source, encoding, out, n_here);
        int64_t bad = mdl_float_first_bad(encoding, out, n_here);
        if (bad >= 0)
            return at + bad;
    }
    return -1;
}

/* Tells the system to fetch, or that it may drop, the n_byte bytes of the map that begin at data;
 * advice alone, so that a failure is no error. */
static void advise(const void *data, size_t n_byte, int advice)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)data;
    uintptr_t end = begin + n_byte;
    begin = advice == MADV_DONTNEED ? (begin + page - 1) / page * page : begin / page * page;
    end = advice == MADV_DONTNEED ? end / page * page : end;
    if (end > begin)
        madvise((void *)begin, end - begin, advice);
}

/* Reads the values first .. first + n - 1 in pieces: the next one is fetched while this one is
 * converted, and what is converted isn't kept mapped. */
static int read_values(const mdl_safetensors_t *file, const mdl_tensor_t *tensor, int64_t first,
                       int64_t n, mdl_encoding_t encoding, char *out, mdl_error_t *err)
{
    int64_t size = (int64_t)dtypes[tensor->dtype].size, n_piece = PIECE_BYTES / size;
    int64_t n_out = (int64_t)mdl_encoding_size(encoding);
    const char *data = (const char *)tensor->data + first * size;
    for (int64_t at = 0; at < n; at += n_piece) {
        int64_t n_here = n - at < n_piece ? n - at : n_piece;
        int64_t ahead = at == 0 ? 0 : at + (AHEAD - 1) * n_piece;
        int64_t end = at + AHEAD * n_piece < n ? at + AHEAD * n_piece : n;
        if (ahead < end)
            advise(data + ahead * size, (size_t)((end - ahead) * size), MADV_WILLNEED);
        int64_t bad = convert(tensor->dtype, data + at * size, n_here, encoding, out + at * n_out);
        if (bad >= 0)
            return mdl_fail(err, MDL_E_INPUT, "%s: tensor %s: value %lld is not finite", file->path,
                            tensor->name, (long long)(first + at + bad));
        advise(data + at * size, (size_t)(n_here * size), MADV_DONTNEED);
    }
    return MDL_OK;
}

static void shape_text(int n_dim, const int64_t *dims, char *text, size_t n_text)
{
    size_t at = 0;
    text[0] = '\0';
    for (int i = 0; i < n_dim && at < n_text; i++)
        at += (size_t)snprintf(text + at, n_text - at, "%s%lld", i > 0 ? ", " : "",
                               (long long)dims[i]);
}

/* The tensor, which must have the shape that the caller says and a dtype that becomes float32. */
static int find_float(const mdl_safetensors_t *file, const char *name, int n_dim,
                      const int64_t *dims, const mdl_tensor_t **found, mdl_error_t *err)
{
    const mdl_tensor_t *tensor = mdl_safetensors_find(file, name);
    if (tensor == NULL)
        return mdl_fail(err, MDL_E_INPUT, "%s has no tensor %s", file->path, name);
    int same = tensor->n_dim == n_dim;
    for (int i = 0; same && i < n_dim; i++)
        same = tensor->dims[i] == dims[i];
    if (!same) {
        char has[128], needs[128];
        shape_text(tensor->n_dim, tensor->dims, has, sizeof has);
        shape_text(n_dim, dims, needs, sizeof needs);
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: tensor %s has shape (%s) where (%s) is needed; its configuration "
                        "belongs to another model",
                        file->path, name, has, needs);
    }
    if (tensor->dtype > MDL_DTYPE_BF16)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: tensor %s has dtype %s; save it as F32, F16, BF16 or F64", file->path,
                        name, mdl_dtype_name(tensor->dtype));
    *found = tensor;
    return MDL_OK;
}

int mdl_safetensors_read_part(const mdl_safetensors_t *file, const char *name, int n_dim,
                              const int64_t *dims, int64_t first, int64_t n,
                              mdl_encoding_t encoding, void *out, mdl_error_t *err)
{
    const mdl_tensor_t *tensor = NULL;
    int rc = find_float(file, name, n_dim, dims, &tensor, err);
    if (rc == MDL_OK && (first < 0 || n < 0 || n > tensor->n_value - first))
        rc = mdl_fail(err, MDL_E_INTERNAL, "tensor %s: values %lld to %lld aren't all there", name,
                      (long long)first, (long long)(first + n));
    return rc == MDL_OK ? read_values(file, tensor, first, n, encoding, out, err) : rc;
}

int mdl_safetensors_read_float(const mdl_safetensors_t *file, const char *name, int n_dim,
                               const int64_t *dims, float *out, mdl_error_t *err)
{
    const mdl_tensor_t *tensor = NULL;
    int rc = find_float(file, name, n_dim, dims, &tensor, err);
    return rc == MDL_OK
               ? read_values(file, tensor, 0, tensor->n_value, MDL_FLOAT32, (char *)out, err)
               : rc;
}
