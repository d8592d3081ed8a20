#include "io/corpus_file.h"

#include "io/h5.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_SAMPLE = 3, N_TOKEN = 10, N_VOCAB = 8 };

/* What a test writes and may spoil before. */
typedef struct {
    const char *schema;
    int64_t version, vocab_size, eos_id;
    int64_t n_token, n_sample, n_scored; /* extents of /token, of the samples, of /scored */
    int32_t token[N_TOKEN];
    uint8_t scored[N_TOKEN];
    int64_t offset[N_SAMPLE + 1];
    int32_t visual_at[N_SAMPLE];
    uint8_t split[N_SAMPLE];
    const char *image[N_SAMPLE];
    const char *answer[N_SAMPLE];
    uint8_t token_bytes[16];
    int64_t token_bytes_offset[N_VOCAB + 1];
    const char *left_out; /* a dataset that isn't written */
} contents_t;

static const contents_t good = {
    .schema = "mordal-corpus",
    .version = 1,
    .vocab_size = N_VOCAB,
    .eos_id = 2,
    .n_token = N_TOKEN,
    .n_sample = N_SAMPLE,
    .n_scored = N_TOKEN,
    .token = {1, 3, 4, 2, 1, 5, 2, 1, 6, 2},
    .scored = {0, 0, 1, 1, 0, 1, 1, 0, 1, 1},
    .offset = {0, 4, 7, 10},
    .visual_at = {1, 0, 1},
    .split = {0, 0, 1},
    .image = {"a", "b", "b"},
    .answer = {"cat", " dog", "mouse"},
    .token_bytes = " picatdogmouse",
    .token_bytes_offset = {0, 0, 0, 0, 3, 6, 9, 14, 14},
};

static const char *const path = "test_corpus.h5";

static void check(int rc, const mdl_error_t *err)
{
    if (rc != MDL_OK)
        fail_msg("%s", err->text);
}

static int written(const contents_t *contents, const char *name)
{
    return contents->left_out == NULL || strcmp(contents->left_out, name) != 0;
}

static void write_corpus(const contents_t *c)
{
    mdl_error_t err;
    int64_t n_byte = 14, n_id = N_VOCAB + 1, n_offset = c->n_sample + 1;
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    check(mdl_h5_set_text(file, "schema", c->schema, &err), &err);
    check(mdl_h5_set_int(file, "schema_version", c->version, &err), &err);
    check(mdl_h5_set_int(file, "vocab_size", c->vocab_size, &err), &err);
    check(mdl_h5_set_int(file, "bos_id", 1, &err), &err);
    check(mdl_h5_set_int(file, "eos_id", c->eos_id, &err), &err);
    check(mdl_h5_set_int(file, "pad_id", -1, &err), &err);
    if (written(c, "/token"))
        check(mdl_h5_write_int32(file, "/token", 1, &c->n_token, c->token, &err), &err);
    check(mdl_h5_write_uint8(file, "/scored", 1, &c->n_scored, c->scored, &err), &err);
    check(mdl_h5_write_int64(file, "/offset", 1, &n_offset, c->offset, &err), &err);
    check(mdl_h5_write_int32(file, "/visual_at", 1, &c->n_sample, c->visual_at, &err), &err);
    check(mdl_h5_write_uint8(file, "/split", 1, &c->n_sample, c->split, &err), &err);
    if (written(c, "/image"))
        check(mdl_h5_write_text(file, "/image", c->n_sample, c->image, &err), &err);
    check(mdl_h5_write_text(file, "/answer", c->n_sample, c->answer, &err), &err);
    check(mdl_h5_write_uint8(file, "/token_bytes", 1, &n_byte, c->token_bytes, &err), &err);
    if (n_id <= N_VOCAB + 1)
        check(
            mdl_h5_write_int64(file, "/token_bytes_offset", 1, &n_id, c->token_bytes_offset, &err),
            &err);
    mdl_h5_close(file);
}

static void a_good_corpus_is_read(void **state)
{
    (void)state;
    mdl_corpus_t *corpus;
    mdl_error_t err;
    char text[32];
    write_corpus(&good);
    check(mdl_corpus_read(path, &corpus, &err), &err);
    assert_int_equal(corpus->n_sample, N_SAMPLE);
    assert_int_equal(corpus->n_train, 2);
    assert_int_equal(corpus->n_eval, 1);
    assert_int_equal(corpus->train[1], 1);
    assert_int_equal(corpus->eval[0], 2);
    assert_int_equal(corpus->max_length, 4);
    assert_int_equal(corpus->max_prompt, 2);
    assert_int_equal(corpus->max_token_bytes, 5);
    assert_int_equal(mdl_corpus_length(corpus, 1), 3);
    assert_int_equal(mdl_corpus_prompt(corpus, 0), 2);
    assert_int_equal(mdl_corpus_prompt(corpus, 1), 1);
    assert_int_equal(mdl_corpus_n_scored(corpus, 0), 2);
    assert_string_equal(corpus->image[2], "b");
    mdl_corpus_text(corpus, (const int32_t[]){3, 5, 2, 6}, 4, text);
    assert_string_equal(text, " pidogmouse");
    mdl_corpus_text(corpus, NULL, 0, text);
    assert_string_equal(text, "");
    mdl_corpus_free(corpus);
    assert_int_equal(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
}

static void answers_are_compared_without_outer_space(void **state)
{
    (void)state;
    assert_true(mdl_corpus_same_answer(" cat\n", "cat"));
    assert_true(mdl_corpus_same_answer("a  b", "a  b "));
    assert_true(mdl_corpus_same_answer("", "  "));
    assert_false(mdl_corpus_same_answer("a b", "a  b"));
    assert_false(mdl_corpus_same_answer("Cat", "cat"));
    assert_false(mdl_corpus_same_answer("cat", "cats"));
}

/* Reads the spoiled corpus; the sentence names the file and holds word. */
static void assert_refused(const contents_t *contents, const char *word)
{
    mdl_corpus_t *corpus;
    mdl_error_t err;
    write_corpus(contents);
    assert_int_equal(mdl_corpus_read(path, &corpus, &err), MDL_E_INPUT);
    if (strstr(err.text, word) == NULL || strstr(err.text, path) == NULL)
        fail_msg("'%s' doesn't name '%s'", err.text, word);
    assert_int_equal(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
}

#define REFUSED(word, ...)                                                                         \
    do {                                                                                           \
        contents_t c = good;                                                                       \
        __VA_ARGS__;                                                                               \
        assert_refused(&c, word);                                                                  \
    } while (0)

static void hostile_corpora_are_refused(void **state)
{
    (void)state;
    REFUSED("mordal-archive", c.schema = "mordal-archive");
    REFUSED("version 2", c.version = 2);
    REFUSED("vocab_size", c.vocab_size = 0);
    REFUSED("vocab_size", c.vocab_size = -5);
    REFUSED("vocab_size", c.vocab_size = INT64_MAX);
    REFUSED("/token_bytes_offset", c.vocab_size = 1000000);
    REFUSED("eos_id", c.eos_id = N_VOCAB);
    REFUSED("eos_id", c.eos_id = -2);
    REFUSED("/token", c.left_out = "/token");
    REFUSED("/image", c.left_out = "/image");
    REFUSED("no samples", c.n_sample = 0);
    REFUSED("/scored", c.n_scored = N_TOKEN - 1);
    REFUSED("/offset runs", c.offset[0] = 1);
    REFUSED("/offset runs", c.offset[3] = 11);
    REFUSED("/offset runs", c.n_token = 9; c.n_scored = 9);
    REFUSED("sample 1", c.offset[1] = 8);
    REFUSED("sample 1", c.offset[2] = 4);
    REFUSED("sample 0", c.offset[1] = INT64_MIN);
    REFUSED("sample 1", c.offset[1] = INT64_MAX);
    REFUSED("sample 1 has a token id", c.token[5] = N_VOCAB);
    REFUSED("sample 1 has a token id", c.token[5] = -1);
    REFUSED("sample 2 has a score mark", c.scored[8] = 7);
    REFUSED("sample 1 has no scored token", c.scored[5] = c.scored[6] = 0);
    REFUSED("before its first scored", c.scored[4] = 1);
    REFUSED("sample 1 places its image", c.visual_at[1] = 4);
    REFUSED("sample 1 places its image", c.visual_at[1] = -1);
    REFUSED("behind the answer", c.visual_at[1] = 2);
    REFUSED("sample 2 is in a split", c.split[2] = 2);
    REFUSED("0 eval", c.split[2] = 0);
    REFUSED("0 train", c.split[0] = c.split[1] = 1);
    REFUSED("names no image", c.image[0] = "");
    REFUSED("ends at", c.token_bytes_offset[N_VOCAB] = 15);
    REFUSED("at id 3", c.token_bytes_offset[3] = 5);
    REFUSED("at id 0", c.token_bytes_offset[0] = -3);
}

static void a_huge_extent_takes_no_memory(void **state)
{
    (void)state;
    mdl_corpus_t *corpus;
    mdl_error_t err;
    contents_t c = good;
    c.left_out = "/token";
    write_corpus(&c);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hsize_t extent = (hsize_t)1 << 40, chunk = 1024;
    hid_t space = H5Screate_simple(1, &extent, NULL), list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(list, 1, &chunk);
    hid_t dataset =
        H5Dcreate2(file, "/token", H5T_STD_I32LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
    assert_true(dataset >= 0);
    H5Dclose(dataset);
    H5Pclose(list);
    H5Sclose(space);
    H5Fclose(file);
    assert_int_equal(mdl_corpus_read(path, &corpus, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "can't be in a file"));
}

static void files_that_are_none_are_refused(void **state)
{
    (void)state;
    mdl_corpus_t *corpus;
    mdl_error_t err;
    assert_int_equal(mdl_corpus_read("nowhere.h5", &corpus, &err), MDL_E_MISSING);
    assert_non_null(strstr(err.text, "prepare_corpus.py"));
    write_corpus(&good);
    assert_int_equal(truncate(path, 700), 0);
    assert_int_equal(mdl_corpus_read(path, &corpus, &err), MDL_E_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_corpus_is_read),
        cmocka_unit_test(answers_are_compared_without_outer_space),
        cmocka_unit_test(hostile_corpora_are_refused),
        cmocka_unit_test(a_huge_extent_takes_no_memory),
        cmocka_unit_test(files_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
