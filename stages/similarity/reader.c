#include "similarity/reader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Blocks beyond those that are kept, blocks at most, bytes that more than needed may take. */
enum { AHEAD = 2, MOST = 16, BLOCKS_BYTES = 4 << 20, PAGE = 4096 };

struct mdl_reader {
    const mdl_rows_t *models;
    mdl_encoding_t encoding;
    int64_t n_request;
    int n_kept;
    mdl_read_t (*ask)(void *data, int64_t request);
    void *data;
    char *blocks; /* [n_block, stride] */
    int64_t n_block;
    size_t stride; /* whole pages */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t n_read, n_taken; /* requests that are read; that the caller has asked for */
    int ending, rc;          /* rc: of request number n_read, after which nothing is read */
    mdl_error_t err;
};

static void size_reader(mdl_encoding_t encoding, int64_t max_values, int n_kept, int64_t *n_block,
                        size_t *stride)
{
    *stride = ((size_t)max_values * mdl_encoding_size(encoding) + PAGE - 1) / PAGE * PAGE;
    *n_block = (int64_t)(BLOCKS_BYTES / (*stride + 1));
    *n_block = *n_block < AHEAD + n_kept ? AHEAD + n_kept : *n_block > MOST ? MOST : *n_block;
}

static char *block_of(const mdl_reader_t *reader, int64_t request)
{
    return reader->blocks + (size_t)(request % reader->n_block) * reader->stride;
}

/* Waits until request has a free block; 0 when the reader is to end. */
static int wait_for_block(mdl_reader_t *reader, int64_t request)
{
    pthread_mutex_lock(&reader->lock);
    /* The blocks that the caller has now are of requests up to n_taken - 1. */
    while (!reader->ending && request - (reader->n_taken - reader->n_kept) >= reader->n_block)
        pthread_cond_wait(&reader->changed, &reader->lock);
    int go_on = !reader->ending;
    pthread_mutex_unlock(&reader->lock);
    return go_on;
}

static void *read_ahead(void *argument)
{
    mdl_reader_t *reader = argument;
    int rc = MDL_OK;
    for (int64_t k = 0; rc == MDL_OK && k < reader->n_request; k++) {
        if (!wait_for_block(reader, k))
            break;
        mdl_read_t read = reader->ask(reader->data, k);
        const mdl_rows_t *rows = &reader->models[read.model];
        mdl_error_t err = {.rank = -1};
        rc = rows->read(rows, read.first, read.n_row, reader->encoding, block_of(reader, k), &err);
        pthread_mutex_lock(&reader->lock);
        reader->rc = rc;
        reader->err = err;
        reader->n_read += rc == MDL_OK;
        pthread_cond_signal(&reader->changed);
        pthread_mutex_unlock(&reader->lock);
    }
    return NULL;
}

size_t mdl_reader_bytes(mdl_encoding_t encoding, int64_t max_values, int n_kept)
{
    int64_t n_block;
    size_t stride;
    size_reader(encoding, max_values, n_kept, &n_block, &stride);
    return (size_t)n_block * stride;
}

int mdl_reader_start(mdl_reader_t **reader, const mdl_rows_t *models, mdl_encoding_t encoding,
                     int64_t n_request, int64_t max_values, int n_kept,
                     mdl_read_t (*ask)(void *data, int64_t request), void *data, mdl_error_t *err)
{
    mdl_reader_t *made = NULL;
    int rc;
    *reader = NULL;
    MDL_TRY(mdl_alloc(&made, 1, sizeof *made, "a reader", err));
    *made = (mdl_reader_t){.models = models,
                           .encoding = encoding,
                           .n_request = n_request,
                           .n_kept = n_kept,
                           .ask = ask,
                           .data = data};
    size_reader(encoding, max_values, n_kept, &made->n_block, &made->stride);
    MDL_TRY(mdl_alloc_aligned(&made->blocks, (size_t)made->n_block, made->stride,
                              "rows that are read ahead", err));
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->changed, NULL);
    if (pthread_create(&made->thread, NULL, read_ahead, made) != 0) {
        pthread_cond_destroy(&made->changed);
        pthread_mutex_destroy(&made->lock);
        MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "no thread can be started for reading ahead"));
    }
    *reader = made;
    made = NULL;
done:
    if (made != NULL)
        free(made->blocks);
    free(made);
    return rc;
}

int mdl_reader_next(mdl_reader_t *reader, void **x, mdl_error_t *err)
{
    pthread_mutex_lock(&reader->lock);
    int64_t request = reader->n_taken++;
    /* A sleeping thread is woken for several blocks at once, as waking costs. */
    if (reader->n_read - reader->n_taken <= reader->n_block / 4 + 1)
        pthread_cond_signal(&reader->changed);
    while (reader->n_read <= request && reader->rc == MDL_OK)
        pthread_cond_wait(&reader->changed, &reader->lock);
    int rc = reader->n_read > request ? MDL_OK : reader->rc;
    if (rc != MDL_OK)
        *err = reader->err;
    pthread_mutex_unlock(&reader->lock);
    *x = block_of(reader, request);
    return rc;
}

void mdl_reader_stop(mdl_reader_t *reader)
{
    if (reader == NULL)
        return;
    pthread_mutex_lock(&reader->lock);
    reader->ending = 1;
    pthread_cond_signal(&reader->changed);
    pthread_mutex_unlock(&reader->lock);
    pthread_join(reader->thread, NULL);
    pthread_cond_destroy(&reader->changed);
    pthread_mutex_destroy(&reader->lock);
    free(reader->blocks);
    free(reader);
}
