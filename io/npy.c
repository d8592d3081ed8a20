#include "io/npy.h"

#include "core/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* NumPy's headers have 128 bytes or little more; what claims over this is no array of floats. */
enum { MAX_HEADER = 1 << 16 };

static int refuse(const mdl_npy_t *npy, const char *why, mdl_error_t *err)
{
    return mdl_fail(err, MDL_E_INPUT, "%s: %s", npy->path, why);
}

/* A cursor over the dict, which ends in a zero byte. */
static void skip_space(const char **at)
{
    while (isspace((unsigned char)**at))
        (*at)++;
}

static int take(const char **at, char expected)
{
    skip_space(at);
    if (**at != expected)
        return 0;
    (*at)++;
    return 1;
}

/* A quoted word without escapes, cut to fit word. */
static int take_word(const char **at, char word[32])
{
    skip_space(at);
    char quote = **at;
    if (quote != '\'' && quote != '"')
        return 0;
    const char *start = ++*at, *end = strchr(start, quote);
    if (end == NULL || end - start > 31)
        return 0;
    memcpy(word, start, (size_t)(end - start));
    word[end - start] = '\0';
    *at = end + 1;
    return 1;
}

static int take_dims(const char **at, mdl_npy_t *npy, mdl_error_t *err)
{
    if (!take(at, '('))
        return refuse(npy, "its header has no shape; is it a .npy file?", err);
    npy->n_dim = 0;
    while (!take(at, ')')) {
        char *end;
        skip_space(at);
        if (!isdigit((unsigned char)**at))
            return refuse(npy, "its header has a shape that is not a list of sizes", err);
        errno = 0;
        int64_t dim = strtoll(*at, &end, 10);
        if (errno != 0 || npy->n_dim == 3)
            return refuse(npy,
                          "its shape is out of range; two dimensions (sample, feature) or three "
                          "(sample, token, feature) are read",
                          err);
        npy->dims[npy->n_dim++] = dim;
        *at = end;
        if (!take(at, ',') && **at != ')')
            return refuse(npy, "its header has a shape that is not a list of sizes", err);
    }
    if (npy->n_dim < 2)
        return refuse(npy,
                      "it has fewer than two dimensions; (sample, feature) or (sample, token, "
                      "feature) are read",
                      err);
    return MDL_OK;
}

static int take_type(const char **at, mdl_npy_t *npy, mdl_error_t *err)
{
    static const struct {
        const char *name;
        mdl_encoding_t encoding;
    } types[] = {{"<f2", MDL_FLOAT16}, {"<f4", MDL_FLOAT32}, {"<f8", MDL_FLOAT64}};
    char word[32];
    if (!take_word(at, word))
        return refuse(npy, "its dtype is a structure; plain float arrays are read", err);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(word, types[i].name) == 0) {
            npy->encoding = types[i].encoding;
            return MDL_OK;
        }
    }
    const char *why = "not a float type; convert it with x.astype('<f4')";
    if (word[0] == '>')
        why = "big-endian; convert it with x.astype('<f4')";
    else if (strchr(word, 'O') != NULL)
        why = "Python objects; they are never read, convert it with x.astype('<f4')";
    else if (strlen(word) > 1 && strchr("iub", word[1]) != NULL)
        why = "integers; activations are floats, convert it with x.astype('<f4')";
    else if (strchr(word, 'V') != NULL)
        why = "raw bytes (bfloat16 has no NumPy type: save it as .safetensors or float32)";
    return mdl_fail(err, MDL_E_INPUT, "%s: dtype '%s' is %s", npy->path, word, why);
}

static int take_order(const char **at, mdl_npy_t *npy, mdl_error_t *err)
{
    skip_space(at);
    if (strncmp(*at, "True", 4) == 0)
        return refuse(npy,
                      "the array is in Fortran order; save it with "
                      "numpy.save(path, numpy.ascontiguousarray(x))",
                      err);
    if (strncmp(*at, "False", 5) != 0)
        return refuse(npy, "its header has a damaged fortran_order", err);
    *at += 5;
    return MDL_OK;
}

static int parse_header(const char *text, mdl_npy_t *npy, mdl_error_t *err)
{
    static const char *const names[] = {"descr", "fortran_order", "shape"};
    static int (*const takers[])(const char **, mdl_npy_t *,
                                 mdl_error_t *) = {take_type, take_order, take_dims};
    unsigned seen = 0;
    int rc;
    if (!take(&text, '{'))
        return refuse(npy, "its header is no Python dict; is it a .npy file?", err);
    while (!take(&text, '}')) {
        char key[32];
        unsigned i = 0;
        if (!take_word(&text, key) || !take(&text, ':'))
            return refuse(npy, "its header is damaged", err);
        while (i < 3 && strcmp(key, names[i]) != 0)
            i++;
        if (i == 3 || (seen & 1u << i) != 0)
            return refuse(npy, "its header has an unknown or doubled key", err);
        seen |= 1u << i;
        rc = takers[i](&text, npy, err);
        if (rc != MDL_OK)
            return rc;
        if (!take(&text, ',') && *text != '}')
            return refuse(npy, "its header is damaged", err);
    }
    skip_space(&text);
    if (*text != '\0')
        return refuse(npy, "its header goes on behind the dict; it is damaged", err);
    return seen == 7 ? MDL_OK : refuse(npy, "its header lacks descr, fortran_order or shape", err);
}

static int check_length(mdl_npy_t *npy, int64_t n_file, mdl_error_t *err)
{
    int64_t n_byte = (int64_t)mdl_encoding_size(npy->encoding);
    for (int i = 0; i < npy->n_dim; i++) {
        if (npy->dims[i] > 0 && n_byte > INT64_MAX / npy->dims[i])
            return refuse(npy, "its shape is larger than any file; the header is damaged", err);
        n_byte *= npy->dims[i];
    }
    if (n_file - npy->n_header == n_byte)
        return MDL_OK;
    return mdl_fail(err, MDL_E_INPUT,
                    "%s: has %" PRId64 " bytes of values, its shape needs %" PRId64
                    "; the file is %s, save or copy it again",
                    npy->path, n_file - npy->n_header, n_byte,
                    n_file - npy->n_header < n_byte ? "truncated" : "followed by something else");
}

/* Reads magic, version and the dict's text, and leaves the file at the values. */
static int read_header(mdl_npy_t *npy, char **text, int64_t n_file, mdl_error_t *err)
{
    unsigned char start[12] = {0};
    size_t n_start = fread(start, 1, 10, npy->file);
    if (n_start < 10 || memcmp(start, "\x93NUMPY", 6) != 0)
        return refuse(npy, "is no .npy file (numpy.save makes one)", err);
    int64_t n_text = start[8] | start[9] << 8;
    npy->n_header = 10;
    if (start[6] == 2 || start[6] == 3) {
        if (fread(start + 10, 1, 2, npy->file) != 2)
            return refuse(npy, "ends inside its header; save or copy it again", err);
        n_text |= (int64_t)start[10] << 16 | (int64_t)start[11] << 24;
        npy->n_header = 12;
    } else if (start[6] != 1) {
        return refuse(npy, "has a .npy version that isn't known (1, 2 and 3 are)", err);
    }
    if (n_text > n_file - npy->n_header || n_text > MAX_HEADER)
        return refuse(npy, "claims a header longer than the file or than any array's", err);
    int rc = mdl_alloc(text, (size_t)n_text + 1, 1, "a .npy header", err);
    if (rc == MDL_OK && fread(*text, 1, (size_t)n_text, npy->file) != (size_t)n_text)
        rc = mdl_fail(err, MDL_E_IO, "%s: reading failed: %s", npy->path, strerror(errno));
    npy->n_header += n_text;
    return rc;
}

static int start(mdl_npy_t *npy, const char *path, const char *mode, mdl_error_t *err)
{
    *npy = (mdl_npy_t){.path = mdl_text("%s", path)};
    if (npy->path == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for the path %s", path);
    struct stat info;
    if (mode[0] == 'r' && stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return refuse(npy, "is not a regular file", err); /* a pipe would wait for its writer */
    npy->file = fopen(path, mode);
    if (npy->file == NULL)
        return mdl_fail(err, mode[0] == 'r' && errno == ENOENT ? MDL_E_MISSING : MDL_E_IO,
                        "%s: cannot be %s: %s", path, mode[0] == 'r' ? "read" : "written",
                        strerror(errno));
    return MDL_OK;
}

int mdl_npy_open(const char *path, mdl_npy_t *npy, mdl_error_t *err)
{
    char *text = NULL;
    struct stat info;
    int rc;
    MDL_TRY(start(npy, path, "rb", err));
    if (fstat(fileno(npy->file), &info) != 0)
        MDL_TRY(mdl_fail(err, MDL_E_IO, "%s: cannot be read: %s", path, strerror(errno)));
    MDL_TRY(read_header(npy, &text, info.st_size, err));
    MDL_TRY(parse_header(text, npy, err));
    rc = check_length(npy, info.st_size, err);
done:
    free(text);
    if (rc != MDL_OK)
        mdl_npy_close(npy, NULL);
    return rc;
}

static size_t row_bytes(const mdl_npy_t *npy)
{
    size_t n_byte = mdl_encoding_size(npy->encoding);
    for (int i = 1; i < npy->n_dim; i++)
        n_byte *= (size_t)npy->dims[i];
    return n_byte;
}

int mdl_npy_read(mdl_npy_t *npy, int64_t first, int64_t n_row, void *rows, mdl_error_t *err)
{
    size_t n_byte = row_bytes(npy);
    off_t offset = (off_t)(npy->n_header + first * (int64_t)n_byte);
    errno = 0;
    if (fseeko(npy->file, offset, SEEK_SET) != 0 ||
        fread(rows, n_byte, (size_t)n_row, npy->file) != (size_t)n_row)
        return mdl_fail(err, MDL_E_IO, "%s: reading row %" PRId64 " failed: %s", npy->path, first,
                        errno != 0 ? strerror(errno) : "the file became shorter");
    return MDL_OK;
}

int mdl_npy_create(const char *path, mdl_encoding_t encoding, int n_dim, const int64_t *dims,
                   mdl_npy_t *npy, mdl_error_t *err)
{
    static const char *const types[] = {
        [MDL_FLOAT16] = "<f2", [MDL_FLOAT32] = "<f4", [MDL_FLOAT64] = "<f8"};
    char shape[96], header[256];
    int n_shape = 0;
    int rc = start(npy, path, "wb", err);
    if (rc == MDL_OK && encoding == MDL_BFLOAT16)
        rc = refuse(npy, "NumPy has no bfloat16; use --encoding float32", err);
    if (rc != MDL_OK) {
        mdl_npy_close(npy, NULL);
        return rc;
    }
    npy->encoding = encoding;
    npy->n_dim = n_dim;
    for (int i = 0; i < n_dim; i++) {
        npy->dims[i] = dims[i];
        n_shape += snprintf(shape + n_shape, sizeof shape - (size_t)n_shape, "%s%" PRId64,
                            i > 0 ? ", " : "", dims[i]);
    }
    /* Version 1.0; values start at a multiple of 64 bytes, as NumPy writes it. */
    int n = snprintf(header, sizeof header,
                     "\x93NUMPY\x01%c%c%c{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                     0, 0, 0, types[encoding], shape);
    int n_header = (n + 1 + 63) / 64 * 64;
    memset(header + n, ' ', (size_t)(n_header - n));
    header[n_header - 1] = '\n';
    header[8] = (char)((n_header - 10) & 0xff);
    header[9] = (char)((n_header - 10) >> 8);
    npy->n_header = n_header;
    if (fwrite(header, 1, (size_t)n_header, npy->file) != (size_t)n_header)
        return mdl_fail(err, MDL_E_IO, "%s: writing failed: %s", path, strerror(errno));
    return MDL_OK;
}

int mdl_npy_append(mdl_npy_t *npy, int64_t n_row, const void *rows, mdl_error_t *err)
{
    if (fwrite(rows, row_bytes(npy), (size_t)n_row, npy->file) != (size_t)n_row)
        return mdl_fail(err, MDL_E_IO, "%s: writing failed: %s; is the disk full?", npy->path,
                        strerror(errno));
    return MDL_OK;
}

int mdl_npy_close(mdl_npy_t *npy, mdl_error_t *err)
{
    int rc = MDL_OK;
    if (npy->file != NULL && fclose(npy->file) != 0)
        rc = mdl_fail(err, MDL_E_IO, "%s: cannot be closed: %s; is the disk full?", npy->path,
                      strerror(errno));
    free(npy->path);
    *npy = (mdl_npy_t){0};
    return rc;
}
