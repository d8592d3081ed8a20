/* The samples of a study, tokenised for one language model by io/prepare_corpus.py. Schema
 * mordal-corpus, version 1; docs/formats/corpus.md has it field by field.
 *
 *   /token int32, /scored uint8 (n_token); /offset int64 (n_sample + 1)   the samples' tokens
 *   /visual_at int32, /image /answer text, /split uint8 (n_sample)        0 train, 1 eval
 *   /token_bytes uint8, /token_bytes_offset int64 (vocab_size + 1)        what each id stands for
 * Root attributes: schema, schema_version, vocab_size, bos_id, eos_id, pad_id (-1: none),
 * template, tokenizer_sha256. */
#ifndef MDL_IO_CORPUS_FILE_H
#define MDL_IO_CORPUS_FILE_H

#include "io/digest.h"

#include <stdint.h>

enum { MDL_CORPUS_MAX_LENGTH = 32768 }; /* tokens of one sample */

typedef struct {
    char *path;
    char digest[MDL_DIGEST_SIZE]; /* of the file's bytes */
    int64_t vocab_size;
    int64_t bos_id, eos_id, pad_id; /* -1: none */
    int64_t n_sample, n_token;
    int32_t *token;     /* [n_token], all samples behind each other */
    uint8_t *scored;    /* [n_token] */
    int64_t *offset;    /* [n_sample + 1], into token and scored */
    int32_t *visual_at; /* [n_sample], 0 .. the sample's length */
    uint8_t *split;     /* [n_sample] */
    char **image;       /* [n_sample], id of the image whose features belong to the sample */
    char **answer;      /* [n_sample] */
    int64_t n_train;
    int64_t *train; /* [n_train], sample numbers, ascending */
    int64_t n_eval;
    int64_t *eval;      /* [n_eval], sample numbers, ascending */
    int64_t max_length; /* tokens of the longest sample */
    int64_t max_prompt; /* tokens of the longest prompt */
    uint8_t *token_bytes;
    int64_t *token_bytes_offset; /* [vocab_size + 1] */
    int64_t max_token_bytes;     /* of the longest token */
} mdl_corpus_t;

/* Reads and checks the whole corpus at path; freed by mdl_corpus_free. Not collective.
 * Returns MDL_E_MISSING, MDL_E_IO, MDL_E_MEMORY, or MDL_E_INPUT naming dataset and sample. */
int mdl_corpus_read(const char *path, mdl_corpus_t **corpus, mdl_error_t *err);

/* NULL is allowed. */
void mdl_corpus_free(mdl_corpus_t *corpus);

/* Number of tokens of a sample. */
int64_t mdl_corpus_length(const mdl_corpus_t *corpus, int64_t sample);

/* Number of tokens before the first scored one: what the model is given to answer. */
int64_t mdl_corpus_prompt(const mdl_corpus_t *corpus, int64_t sample);

/* Number of scored tokens of a sample, at least 1. */
int64_t mdl_corpus_n_scored(const mdl_corpus_t *corpus, int64_t sample);

/* Writes the bytes that ids [n_id] stand for into text and closes it with a zero. text has room
 * for n_id * max_token_bytes + 1 bytes; every id is below vocab_size. */
void mdl_corpus_text(const mdl_corpus_t *corpus, const int32_t *ids, int64_t n_id, char *text);

/* 1 when the two texts are equal but for white space at both ends. */
int mdl_corpus_same_answer(const char *left, const char *right);

#endif
