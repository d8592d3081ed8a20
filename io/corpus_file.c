#include "io/corpus_file.h"

#include "core/text.h"
#include "io/crash_guard.h"
#include "io/h5.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Deflate packs at most 1032 to 1, so that a larger dataset than this can't lie in the file. */
enum { MAX_PACKING = 1100 };

static const char ADVICE[] = "make it with io/prepare_corpus.py";

/* Refuses extents that the file's size rules out before memory is asked for. */
static int check_extent(hid_t file, const mdl_corpus_t *corpus, const char *name, int64_t size,
                        mdl_error_t *err)
{
    int64_t dims[MDL_H5_MAX_RANK];
    int n_dim;
    struct stat info;
    int rc = mdl_h5_shape(file, name, &n_dim, dims, err);
    if (rc != MDL_OK)
        return rc;
    if (stat(corpus->path, &info) != 0)
        return mdl_fail(err, MDL_E_IO, "%s: cannot be examined; %s", corpus->path, ADVICE);
    if (n_dim != 1 || dims[0] > ((int64_t)info.st_size * MAX_PACKING + 65536) / size)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: dataset %s has %d dimensions, the first of %lld, which can't be in a "
                        "file of %lld bytes; %s again",
                        corpus->path, name, n_dim, n_dim > 0 ? (long long)dims[0] : 0LL,
                        (long long)info.st_size, ADVICE);
    return MDL_OK;
}

static int check_schema(hid_t file, const char *path, mdl_error_t *err)
{
    char *schema = NULL;
    int64_t version;
    int rc;
    MDL_TRY(mdl_h5_get_text(file, "schema", &schema, err));
    MDL_TRY(mdl_h5_get_int(file, "schema_version", &version, err));
    if (strcmp(schema, "mordal-corpus") != 0 || version != 1)
        rc = mdl_fail(err, MDL_E_INPUT,
                      "%s: holds '%.60s' version %lld, not mordal-corpus version 1; %s", path,
                      schema, (long long)version, ADVICE);
done:
    free(schema);
    return rc;
}

static int read_id(hid_t file, const mdl_corpus_t *corpus, const char *name, int64_t *id,
                   mdl_error_t *err)
{
    int rc = mdl_h5_get_int(file, name, id, err);
    if (rc == MDL_OK && (*id < -1 || *id >= corpus->vocab_size))
        rc = mdl_fail(err, MDL_E_INPUT,
                      "%s: attribute %s is %lld; it must be -1 (none) or below vocab_size %lld; %s",
                      corpus->path, name, (long long)*id, (long long)corpus->vocab_size, ADVICE);
    return rc;
}

static int read_attributes(hid_t file, mdl_corpus_t *corpus, mdl_error_t *err)
{
    int rc;
    MDL_TRY(check_schema(file, corpus->path, err));
    MDL_TRY(mdl_h5_get_int(file, "vocab_size", &corpus->vocab_size, err));
    if (corpus->vocab_size < 1 || corpus->vocab_size > INT32_MAX) {
        rc = mdl_fail(err, MDL_E_INPUT, "%s: attribute vocab_size is %lld; %s again", corpus->path,
                      (long long)corpus->vocab_size, ADVICE);
        goto done;
    }
    MDL_TRY(read_id(file, corpus, "bos_id", &corpus->bos_id, err));
    MDL_TRY(read_id(file, corpus, "eos_id", &corpus->eos_id, err));
    MDL_TRY(read_id(file, corpus, "pad_id", &corpus->pad_id, err));
done:
    return rc;
}

static int read_datasets(hid_t file, mdl_corpus_t *corpus, mdl_error_t *err)
{
    int64_t n_offset = -1, n_byte = -1, n_id = corpus->vocab_size + 1;
    int rc;
    MDL_TRY(check_extent(file, corpus, "/offset", 8, err));
    MDL_TRY(check_extent(file, corpus, "/token", 4, err));
    MDL_TRY(check_extent(file, corpus, "/token_bytes", 1, err));
    MDL_TRY(check_extent(file, corpus, "/token_bytes_offset", 8, err));
    MDL_TRY(mdl_h5_read_int64(file, "/offset", 1, &n_offset, &corpus->offset, err));
    if (n_offset < 2) {
        rc = mdl_fail(err, MDL_E_INPUT, "%s: holds no samples; %s again", corpus->path, ADVICE);
        goto done;
    }
    corpus->n_sample = n_offset - 1;
    corpus->n_token = -1;
    MDL_TRY(mdl_h5_read_int32(file, "/token", 1, &corpus->n_token, &corpus->token, err));
    MDL_TRY(mdl_h5_read_uint8(file, "/scored", 1, &corpus->n_token, &corpus->scored, err));
    MDL_TRY(mdl_h5_read_int32(file, "/visual_at", 1, &corpus->n_sample, &corpus->visual_at, err));
    MDL_TRY(mdl_h5_read_uint8(file, "/split", 1, &corpus->n_sample, &corpus->split, err));
    MDL_TRY(mdl_h5_read_text(file, "/image", &corpus->n_sample, &corpus->image, err));
    MDL_TRY(mdl_h5_read_text(file, "/answer", &corpus->n_sample, &corpus->answer, err));
    MDL_TRY(mdl_h5_read_uint8(file, "/token_bytes", 1, &n_byte, &corpus->token_bytes, err));
    rc = mdl_h5_read_int64(file, "/token_bytes_offset", 1, &n_id, &corpus->token_bytes_offset, err);
    if (rc == MDL_OK && corpus->token_bytes_offset[corpus->vocab_size] != n_byte)
        rc = mdl_fail(err, MDL_E_INPUT,
                      "%s: /token_bytes_offset ends at %lld of %lld bytes; %s again", corpus->path,
                      (long long)corpus->token_bytes_offset[corpus->vocab_size], (long long)n_byte,
                      ADVICE);
done:
    return rc;
}

static int bad_sample(const mdl_corpus_t *corpus, int64_t sample, const char *what,
                      mdl_error_t *err)
{
    return mdl_fail(err, MDL_E_INPUT, "%s: sample %lld %s; %s again", corpus->path,
                    (long long)sample, what, ADVICE);
}

static int check_tokens(const mdl_corpus_t *corpus, int64_t sample, mdl_error_t *err)
{
    int64_t n_scored = 0;
    for (int64_t i = corpus->offset[sample]; i < corpus->offset[sample + 1]; i++) {
        if (corpus->token[i] < 0 || corpus->token[i] >= corpus->vocab_size)
            return bad_sample(corpus, sample, "has a token id outside the vocabulary", err);
        if (corpus->scored[i] > 1)
            return bad_sample(corpus, sample, "has a score mark that is neither 0 nor 1", err);
        n_scored += corpus->scored[i];
    }
    if (n_scored == 0)
        return bad_sample(corpus, sample, "has no scored token", err);
    return MDL_OK;
}

static int check_samples(const mdl_corpus_t *corpus, mdl_error_t *err)
{
    if (corpus->offset[0] != 0 || corpus->offset[corpus->n_sample] != corpus->n_token)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: /offset runs from %lld to %lld of %lld tokens; %s "
                        "again",
                        corpus->path, (long long)corpus->offset[0],
                        (long long)corpus->offset[corpus->n_sample], (long long)corpus->n_token,
                        ADVICE);
    /* All offsets first: monotone from 0 to n_token, they are safe to index with. */
    for (int64_t i = 0; i < corpus->n_sample; i++)
        if (corpus->offset[i + 1] <= corpus->offset[i])
            return bad_sample(corpus, i, "has no tokens or ends before it starts", err);
    for (int64_t i = 0; i < corpus->n_sample; i++) {
        int64_t length = corpus->offset[i + 1] - corpus->offset[i];
        if (length > MDL_CORPUS_MAX_LENGTH)
            return bad_sample(corpus, i, "is longer than 32768 tokens", err);
        if (corpus->visual_at[i] < 0 || corpus->visual_at[i] > length)
            return bad_sample(corpus, i, "places its image outside its tokens", err);
        if (corpus->split[i] > 1)
            return bad_sample(corpus, i, "is in a split that is neither 0 (train) nor 1 (eval)",
                              err);
        if (corpus->image[i][0] == '\0')
            return bad_sample(corpus, i, "names no image", err);
        int rc = check_tokens(corpus, i, err);
        if (rc != MDL_OK)
            return rc;
        if (corpus->scored[corpus->offset[i]])
            return bad_sample(corpus, i, "has no token before its first scored one", err);
        if (corpus->visual_at[i] > mdl_corpus_prompt(corpus, i))
            return bad_sample(corpus, i, "places its image behind the answer's start", err);
    }
    return MDL_OK;
}

static int check_vocabulary(mdl_corpus_t *corpus, mdl_error_t *err)
{
    const int64_t *offset = corpus->token_bytes_offset;
    for (int64_t id = 0; id < corpus->vocab_size; id++) {
        int64_t n_byte = offset[id + 1] - offset[id];
        if (offset[0] != 0 || offset[id + 1] < offset[id] || n_byte > MDL_CORPUS_MAX_LENGTH)
            return mdl_fail(err, MDL_E_INPUT,
                            "%s: /token_bytes_offset doesn't ascend from 0 at id %lld; %s again",
                            corpus->path, (long long)id, ADVICE);
        if (n_byte > corpus->max_token_bytes)
            corpus->max_token_bytes = n_byte;
    }
    return MDL_OK;
}

static int split_samples(mdl_corpus_t *corpus, mdl_error_t *err)
{
    int rc;
    MDL_TRY(mdl_alloc(&corpus->train, (size_t)corpus->n_sample, sizeof *corpus->train,
                      "sample numbers", err));
    MDL_TRY(mdl_alloc(&corpus->eval, (size_t)corpus->n_sample, sizeof *corpus->eval,
                      "sample numbers", err));
    for (int64_t i = 0; i < corpus->n_sample; i++) {
        if (corpus->split[i] == 0)
            corpus->train[corpus->n_train++] = i;
        else
            corpus->eval[corpus->n_eval++] = i;
        if (mdl_corpus_length(corpus, i) > corpus->max_length)
            corpus->max_length = mdl_corpus_length(corpus, i);
        if (mdl_corpus_prompt(corpus, i) > corpus->max_prompt)
            corpus->max_prompt = mdl_corpus_prompt(corpus, i);
    }
    if (corpus->n_train == 0 || corpus->n_eval == 0)
        rc = mdl_fail(err, MDL_E_INPUT,
                      "%s: %lld train and %lld eval samples; both are needed; %s again",
                      corpus->path, (long long)corpus->n_train, (long long)corpus->n_eval, ADVICE);
done:
    return rc;
}

/* Reads everything that HDF5 holds; a corpus is written by h5py and has no guard of ours. */
static int read_guarded(mdl_corpus_t *corpus, mdl_error_t *err)
{
    hid_t file = -1;
    mdl_crash_guard_begin(corpus->path);
    int rc = mdl_h5_open(corpus->path, ADVICE, &file, err);
    if (rc == MDL_OK)
        rc = read_attributes(file, corpus, err);
    if (rc == MDL_OK)
        rc = read_datasets(file, corpus, err);
    mdl_h5_close(file);
    mdl_crash_guard_end();
    return rc;
}

int mdl_corpus_read(const char *path, mdl_corpus_t **corpus, mdl_error_t *err)
{
    mdl_corpus_t *made = NULL;
    int rc;
    MDL_TRY(mdl_alloc(&made, 1, sizeof *made, "corpus", err));
    made->path = mdl_text("%s", path);
    if (made->path == NULL) {
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for the path %s", path);
        goto done;
    }
    MDL_TRY(read_guarded(made, err));
    MDL_TRY(check_samples(made, err));
    MDL_TRY(check_vocabulary(made, err));
    MDL_TRY(split_samples(made, err));
    MDL_TRY(mdl_digest_of_file(path, made->digest, err));
    *corpus = made;
    made = NULL;
done:
    mdl_corpus_free(made);
    return rc;
}

void mdl_corpus_free(mdl_corpus_t *corpus)
{
    if (corpus == NULL)
        return;
    free(corpus->path);
    free(corpus->token);
    free(corpus->scored);
    free(corpus->offset);
    free(corpus->visual_at);
    free(corpus->split);
    free(corpus->image);
    free(corpus->answer);
    free(corpus->train);
    free(corpus->eval);
    free(corpus->token_bytes);
    free(corpus->token_bytes_offset);
    free(corpus);
}

int64_t mdl_corpus_length(const mdl_corpus_t *corpus, int64_t sample)
{
    return corpus->offset[sample + 1] - corpus->offset[sample];
}

int64_t mdl_corpus_prompt(const mdl_corpus_t *corpus, int64_t sample)
{
    int64_t first = corpus->offset[sample];
    int64_t end = first;
    while (!corpus->scored[end])
        end++;
    return end - first;
}

int64_t mdl_corpus_n_scored(const mdl_corpus_t *corpus, int64_t sample)
{
    int64_t n_scored = 0;
    for (int64_t i = corpus->offset[sample]; i < corpus->offset[sample + 1]; i++)
        n_scored += corpus->scored[i];
    return n_scored;
}

void mdl_corpus_text(const mdl_corpus_t *corpus, const int32_t *ids, int64_t n_id, char *text)
{
    for (int64_t i = 0; i < n_id; i++) {
        int64_t first = corpus->token_bytes_offset[ids[i]];
        int64_t n_byte = corpus->token_bytes_offset[ids[i] + 1] - first;
        memcpy(text, corpus->token_bytes + first, (size_t)n_byte);
        text += n_byte;
    }
    *text = '\0';
}

/* Leaves out white space at both ends: *start is moved, the length of the rest returned. */
static size_t trim(const char **start)
{
    static const char SPACE[] = " \t\r\n";
    *start += strspn(*start, SPACE);
    size_t length = strlen(*start);
    while (length > 0 && strchr(SPACE, (*start)[length - 1]) != NULL)
        length--;
    return length;
}

int mdl_corpus_same_answer(const char *left, const char *right)
{
    size_t n_left = trim(&left), n_right = trim(&right);
    return n_left == n_right && memcmp(left, right, n_left) == 0;
}
