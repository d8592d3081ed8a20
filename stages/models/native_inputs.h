/* What the native trainer reads: a decoder, the corpus of its language model and the features of
 * one vision encoder are held at a time, and replaced when a candidate needs others. */
#ifndef MDL_MODELS_NATIVE_INPUTS_H
#define MDL_MODELS_NATIVE_INPUTS_H

#include "io/corpus_file.h"
#include "models/decoder.h"
#include "models/features.h"
#include "models/trainer.h"

typedef struct {
    const mdl_study_t *study;
    const mdl_backend_t *backend;         /* where decoders are loaded */
    const mdl_study_language_t *spoken;   /* whose decoder is held, NULL: none */
    mdl_decoder_t *decoder;               /* with trainer.shard sharded over the ranks of a group */
    const mdl_study_language_t *language; /* whose corpus is held, NULL: none */
    mdl_corpus_t *corpus;
    char weights_digest[MDL_DIGEST_SIZE]; /* "" until mdl_native_inputs_text needs it */
    int warned;                           /* that trainer.shard shards nothing */
    char ve[256];                         /* whose features are held, "": none */
    mdl_features_t *features;
} mdl_native_inputs_t;

/* The study's entry of a language model. Returns MDL_E_INPUT when it has none of that name. */
int mdl_native_language(const mdl_study_t *study, const char *lm,
                        const mdl_study_language_t **language, mdl_error_t *err);

/* The ranks that a decoder is sharded over in a group of n_rank; 0: each has all of it. One rank
 * whose memory the backend works on would gain nothing. */
int mdl_native_inputs_n_shard(const mdl_study_t *study, int on_host, int n_rank);

/* Loads what the candidate needs and isn't held. Collective over group, which is the same one until
 * mdl_native_inputs_leave. Returns what the readers return, or MDL_E_INPUT when corpus and model
 * don't belong together. */
int mdl_native_inputs_use(mdl_native_inputs_t *inputs, MPI_Comm group,
                          const mdl_candidate_t *candidate, mdl_error_t *err);

/* Frees what the ranks of the group hold together, before it goes. Collective over it. */
void mdl_native_inputs_leave(mdl_native_inputs_t *inputs);

/* The digests of the candidate's inputs (features, corpus, weights) as "key=value" lines; freed by
 * the caller. Not collective. */
int mdl_native_inputs_text(mdl_native_inputs_t *inputs, const mdl_candidate_t *candidate,
                           char **text, mdl_error_t *err);

/* Frees what is held. Collective over the group where it holds something together. */
void mdl_native_inputs_release(mdl_native_inputs_t *inputs);

#endif
