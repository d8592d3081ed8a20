/* The values of a safetensors file's tensors: read, converted and checked in pieces. */
#include "io/safetensors_file.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Bytes of a tensor that are read at a time, few enough to stay in the cache until they are
 * converted and checked. */
enum { PIECE_BYTES = 256 << 10, PAGE_BYTES = 4096 };

/* From so many pieces on a second thread is worth its start. */
enum { SHARED_PIECES = 16 };

static const mdl_encoding_t encodings[] = {[MDL_DTYPE_F64] = MDL_FLOAT64,
                                           [MDL_DTYPE_F32] = MDL_FLOAT32,
                                           [MDL_DTYPE_F16] = MDL_FLOAT16,
                                           [MDL_DTYPE_BF16] = MDL_BFLOAT16};

/* 1 where copies are several times slower on some processors (Zen 3), the kernel's and memcpy's: to
 * a target that lies 1 to 63 bytes further into its page than the source, here in the file. */
static int is_slow_target(const void *target, int64_t offset)
{
    uintptr_t further = ((uintptr_t)target - (uintptr_t)offset) % PAGE_BYTES;
    return further > 0 && further < 64;
}

/* out [n] = the values at source. Returns the index of the first that isn't finite in out, -1 when
 * all are. */
static int64_t convert(mdl_encoding_t from, const char *source, mdl_encoding_t to, char *out,
                       int64_t n)
{
    enum { BLOCK = 8192 }; /* values that stay in the cache until they are checked */
    const int64_t n_from = (int64_t)mdl_encoding_size(from), n_to = (int64_t)mdl_encoding_size(to);
    for (int64_t at = 0; at < n; at += BLOCK) {
        size_t n_here = (size_t)(n - at < BLOCK ? n - at : BLOCK);
        if (source != out)
            mdl_float_convert(from, source + at * n_from, to, out + at * n_to, n_here);
        int64_t bad = mdl_float_first_bad(to, out + at * n_to, n_here);
        if (bad >= 0)
            return at + bad;
    }
    return -1;
}

/* Values of a tensor on their way to out, in pieces that threads take in turn. */
typedef struct {
    const mdl_safetensors_t *file;
    const mdl_tensor_t *tensor;
    int64_t first, n; /* values first .. first + n - 1 */
    mdl_encoding_t to;
    char *out;
    int64_t n_piece;         /* values of a piece */
    _Atomic int64_t n_taken; /* values whose pieces are taken */
} reading_t;

/* One of the threads. */
typedef struct {
    reading_t *reading;
    int rc;
    int64_t at; /* of the piece at which rc isn't MDL_OK */
    mdl_error_t err;
} reader_t;

/* The piece at value at: into its place where it stays as it is and that isn't slow, else through
 * buffer, half a page away from where either copy would be slow. */
static int read_piece(const reading_t *reading, int64_t at, char *buffer, mdl_error_t *err)
{
    const mdl_safetensors_t *file = reading->file;
    const mdl_encoding_t from = encodings[reading->tensor->dtype];
    const int64_t size = (int64_t)mdl_dtype_size(reading->tensor->dtype);
    int64_t n = reading->n - at < reading->n_piece ? reading->n - at : reading->n_piece;
    int64_t offset = reading->tensor->offset + (reading->first + at) * size;
    int64_t in_page = (offset + PAGE_BYTES / 2) % PAGE_BYTES / size * size;
    char *target = reading->out + at * (int64_t)mdl_encoding_size(reading->to);
    char *source =
        from == reading->to && !is_slow_target(target, offset) ? target : buffer + in_page;
    int rc = mdl_safetensors_read_bytes(file, offset, n * size, source, err);
    if (rc != MDL_OK)
        return rc;
    int64_t bad = convert(from, source, reading->to, target, n);
    if (bad >= 0)
        return mdl_fail(err, MDL_E_INPUT, "%s: tensor %s: value %lld is not finite", file->path,
                        reading->tensor->name, (long long)(reading->first + at + bad));
    return MDL_OK;
}

static void *read_pieces(void *argument)
{
    reader_t *reader = argument;
    reading_t *reading = reader->reading;
    int64_t n_byte = reading->n_piece * (int64_t)mdl_dtype_size(reading->tensor->dtype);
    char *buffer = NULL;
    int rc = mdl_alloc_aligned(&buffer, (size_t)n_byte + PAGE_BYTES, 1, "a piece of a tensor",
                               &reader->err);
    reader->at = 0;
    while (rc == MDL_OK) {
        int64_t at = atomic_fetch_add(&reading->n_taken, reading->n_piece);
        if (at >= reading->n)
            break;
        reader->at = at;
        rc = read_piece(reading, at, buffer, &reader->err);
    }
    if (rc != MDL_OK)
        atomic_store(&reading->n_taken, reading->n); /* nobody goes on */
    reader->rc = rc;
    free(buffer);
    return NULL;
}

/* Reads the values first .. first + n - 1. Of a large tensor a second thread takes every other
 * piece, as one alone falls behind a fast disk: it copies, converts and touches new memory. Pieces
 * are taken in order, so that the first one that is bad is always found. */
static int read_values(const mdl_safetensors_t *file, const mdl_tensor_t *tensor, int64_t first,
                       int64_t n, mdl_encoding_t to, char *out, mdl_error_t *err)
{
    const int64_t size = (int64_t)mdl_dtype_size(tensor->dtype), n_most = PIECE_BYTES / size;
    reading_t reading = {.file = file,
                         .tensor = tensor,
                         .first = first,
                         .n = n,
                         .to = to,
                         .out = out,
                         .n_piece = n < n_most ? n : n_most};
    reader_t own = {.reading = &reading, .err.rank = -1}, second = own;
    pthread_t thread;
    int is_shared =
        n / n_most >= SHARED_PIECES && pthread_create(&thread, NULL, read_pieces, &second) == 0;
    read_pieces(&own);
    if (is_shared)
        pthread_join(thread, NULL);
    const reader_t *failed =
        second.rc != MDL_OK && (own.rc == MDL_OK || second.at < own.at) ? &second : &own;
    if (failed->rc != MDL_OK && err != NULL)
        *err = failed->err;
    return failed->rc;
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

int mdl_safetensors_check(const mdl_safetensors_t *file, const char *name, int n_dim,
                          const int64_t *dims, mdl_error_t *err)
{
    const mdl_tensor_t *tensor;
    return find_float(file, name, n_dim, dims, &tensor, err);
}

static int check_range(const mdl_tensor_t *tensor, int64_t first, int64_t n, mdl_error_t *err)
{
    if (first < 0 || n < 0 || n > tensor->n_value - first)
        return mdl_fail(err, MDL_E_INTERNAL, "tensor %s: values %lld to %lld aren't all there",
                        tensor->name, (long long)first, (long long)(first + n));
    return MDL_OK;
}

int mdl_safetensors_read_part(const mdl_safetensors_t *file, const char *name, int n_dim,
                              const int64_t *dims, int64_t first, int64_t n,
                              mdl_encoding_t encoding, void *out, mdl_error_t *err)
{
    const mdl_tensor_t *tensor = NULL;
    int rc = find_float(file, name, n_dim, dims, &tensor, err);
    if (rc == MDL_OK)
        rc = check_range(tensor, first, n, err);
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

int mdl_safetensors_read_raw(const mdl_safetensors_t *file, const mdl_tensor_t *tensor,
                             int64_t first, int64_t n, void *out, mdl_error_t *err)
{
    const int64_t size = (int64_t)mdl_dtype_size(tensor->dtype);
    int rc = check_range(tensor, first, n, err);
    return rc == MDL_OK
               ? mdl_safetensors_read_bytes(file, tensor->offset + first * size, n * size, out, err)
               : rc;
}
