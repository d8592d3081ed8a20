/* Extraction of a language model's last hidden states on projected vision features. */
#ifndef MDL_ARCHIVE_EXTRACT_H
#define MDL_ARCHIVE_EXTRACT_H

#include "archive/archive.h"
#include "io/digest.h"
#include "models/training.h"

/* A language model and what is held of it; zeroed but for the first five at the start. */
typedef struct {
    const char *model;
    const char *checkpoint; /* folder */
    const char *corpus_path;
    const mdl_backend_t *backend;         /* where it computes */
    int n_shard;                          /* of mdl_extract_n_shard, 0: each rank holds all of it */
    char weights_digest[MDL_DIGEST_SIZE]; /* rank 0; "" until needed */
    char corpus_digest[MDL_DIGEST_SIZE];  /* rank 0; "" until needed */
    mdl_decoder_t *decoder;               /* NULL until needed */
    mdl_corpus_t *corpus;                 /* NULL until needed */
} mdl_extract_language_t;

/* Which samples an archive is to hold, where they aren't all in the corpus's order. */
typedef struct {
    const int64_t *order;   /* [n] places among the evaluation samples: those of the rows to come */
    const char *const *ids; /* [n] of these rows */
    int64_t n;              /* samples that there could be */
    int64_t n_row;          /* rows to hold now, the first of them */
    mdl_archive_stop_t stop;
} mdl_extract_rows_t;

typedef struct {
    const char *vision;  /* the archive of the vision encoder */
    const char *out;     /* the archive to make */
    const char *pooling; /* mean | last | all */
    int64_t samples;     /* the first so many evaluation samples */
    int64_t warmup;      /* optimiser steps of the projector before */
    int anew;            /* make it again even if it is current */
    mdl_training_settings_t settings;
    const mdl_extract_rows_t *rows; /* NULL: all, in their own order */
    mdl_adapter_t **adapter; /* keeps the warmed-up projector for the next call, then the caller's;
                              * may be NULL */
} mdl_extract_t;

/* Trains a projector alone for some steps, each rank the same one by itself, then archives the last
 * hidden state (after the final norm) of evaluation samples, dealt over the ranks: the same bits on
 * any number of ranks whose devices are of one kind. Row ids are "IMAGE#K" for the K-th (from 0)
 * sample of an image. Says so and does nothing when the file is there and current; prints the plan
 * under --dry-run. With extract->rows, rows that the file has already are kept, and those that it
 * is to have are added or taken away; while it is open, more than were asked for do too. language
 * keeps what was loaded, tally counts what was done. Collective over stage->comm. Returns what the
 * readers and mdl_training_warm_up return, or MDL_E_AGAIN when it was told to stop. */
int mdl_extract_states(mdl_stage_t *stage, mdl_extract_language_t *language,
                       const mdl_extract_t *extract, mdl_archive_tally_t *tally, mdl_error_t *err);

/* Whether the file is there and just as mdl_extract_states would make it. Collective over
 * stage->comm. */
int mdl_extract_is_current(mdl_stage_t *stage, mdl_extract_language_t *language,
                           const mdl_extract_t *extract, int *current, mdl_error_t *err);

/* The ranks that share the weights of a language model out in an extraction by n_rank: those that
 * train a candidate together, where the study has trainer.shard; else 0. */
int mdl_extract_n_shard(const mdl_study_t *study, const mdl_backend_t *backend, int n_rank);

/* "IMAGE#K" of the first n evaluation samples, K counting those of an image from 0. *ids is one
 * block, freed with one free. Not collective. */
int mdl_extract_ids(const mdl_corpus_t *corpus, int64_t n, char ***ids, mdl_error_t *err);

/* Frees what language holds. Collective over stage->comm where it is sharded. */
void mdl_extract_release(mdl_extract_language_t *language);

#endif
