#include "models/native_inputs.h"

#include "core/log.h"
#include "core/text.h"
#include "io/model_digest.h"
#include "io/result.h"
#include "mpi/agree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int mdl_native_language(const mdl_study_t *study, const char *lm,
                        const mdl_study_language_t **language, mdl_error_t *err)
{
    for (unsigned i = 0; i < study->zoo.n_language; i++)
        if (strcmp(study->zoo.language[i].name, lm) == 0) {
            *language = &study->zoo.language[i];
            return MDL_OK;
        }
    return mdl_fail(err, MDL_E_INPUT, "language model %s isn't in the study's zoo.language", lm);
}

static void release_features(mdl_native_inputs_t *inputs)
{
    mdl_features_free(inputs->features);
    inputs->features = NULL;
    inputs->ve[0] = '\0';
}

static void release_decoder(mdl_native_inputs_t *inputs)
{
    mdl_decoder_free(inputs->decoder);
    inputs->decoder = NULL;
    inputs->spoken = NULL;
}

static void release_corpus(mdl_native_inputs_t *inputs)
{
    release_features(inputs); /* they are matched to it */
    mdl_corpus_free(inputs->corpus);
    inputs->corpus = NULL;
    inputs->language = NULL;
    inputs->weights_digest[0] = '\0';
}

void mdl_native_inputs_release(mdl_native_inputs_t *inputs)
{
    release_decoder(inputs);
    release_corpus(inputs);
}

int mdl_native_inputs_n_shard(const mdl_study_t *study, int on_host, int n_rank)
{
    return study->trainer.shard && (n_rank > 1 || !on_host) ? n_rank : 0;
}

void mdl_native_inputs_leave(mdl_native_inputs_t *inputs)
{
    if (inputs->study->trainer.shard)
        release_decoder(inputs);
}

static int check_pair(const mdl_decoder_t *decoder, const mdl_corpus_t *corpus, mdl_error_t *err)
{
    int64_t n_vocab = mdl_decoder_config(decoder)->n_vocab;
    if (corpus->vocab_size != n_vocab)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: was tokenised for a vocabulary of %lld, the model has %lld; make it "
                        "again with the model's own tokenizer (and --vocab-size %lld)",
                        corpus->path, (long long)corpus->vocab_size, (long long)n_vocab,
                        (long long)n_vocab);
    if (corpus->eos_id < 0)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: has no end token (eos_id), so that answers never end; make it again "
                        "with --eos",
                        corpus->path);
    return MDL_OK;
}

static int use_corpus(mdl_native_inputs_t *inputs, const char *lm, mdl_error_t *err)
{
    const mdl_study_language_t *language = NULL;
    int rc = mdl_native_language(inputs->study, lm, &language, err);
    if (rc != MDL_OK || language == inputs->language)
        return rc;
    release_corpus(inputs);
    rc = mdl_corpus_read(language->corpus, &inputs->corpus, err);
    if (rc == MDL_OK)
        inputs->language = language;
    return rc;
}

static void warn_of_one_rank(mdl_native_inputs_t *inputs)
{
    if (!inputs->warned)
        mdl_log(MDL_LOG_WARN,
                "trainer.shard shards nothing: one rank trains a candidate and holds all of its "
                "weights; set trainer.ranks_per_candidate to 2 or more");
    inputs->warned = 1;
}

/* The decoder of the language whose corpus is held. Ranks that hold it already do nothing; with
 * shards that are all of group or none, as ranks that part let go of them. Collective over group
 * where there are shards. */
static int use_decoder(mdl_native_inputs_t *inputs, MPI_Comm group, mdl_error_t *err)
{
    const char *folder = inputs->language->checkpoint;
    int n_rank, rc;
    if (inputs->spoken == inputs->language)
        return MDL_OK;
    release_decoder(inputs);
    MPI_Comm_size(group, &n_rank);
    if (mdl_native_inputs_n_shard(inputs->study, inputs->backend->on_host, n_rank) > 0)
        MDL_TRY(mdl_decoder_load_sharded(inputs->backend, group, folder, &inputs->decoder, err));
    else {
        if (inputs->study->trainer.shard)
            warn_of_one_rank(inputs);
        MDL_TRY(mdl_decoder_load(inputs->backend, folder, &inputs->decoder, err));
    }
    MDL_TRY(check_pair(inputs->decoder, inputs->corpus, err));
    inputs->spoken = inputs->language;
done:
    return rc;
}

static int use_vision(mdl_native_inputs_t *inputs, const char *ve, mdl_error_t *err)
{
    if (strcmp(inputs->ve, ve) == 0)
        return MDL_OK;
    release_features(inputs);
    char *path = mdl_study_path(inputs->study, "archive/vision/%s.h5", ve);
    if (path == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    int rc = mdl_features_read(path, inputs->corpus, &inputs->features, err);
    if (rc == MDL_OK)
        snprintf(inputs->ve, sizeof inputs->ve, "%s", ve);
    free(path);
    return rc;
}

int mdl_native_inputs_use(mdl_native_inputs_t *inputs, MPI_Comm group,
                          const mdl_candidate_t *candidate, mdl_error_t *err)
{
    int rc = mdl_agree(group, use_corpus(inputs, candidate->lm, err), err);
    if (rc != MDL_OK)
        return rc;
    rc = mdl_agree(group, use_decoder(inputs, group, err), err);
    if (rc == MDL_OK)
        return mdl_agree(group, use_vision(inputs, candidate->ve, err), err);
    release_decoder(inputs);
    return rc;
}

int mdl_native_inputs_text(mdl_native_inputs_t *inputs, const mdl_candidate_t *candidate,
                           char **text, mdl_error_t *err)
{
    char features_digest[MDL_DIGEST_SIZE];
    char *archive = mdl_study_path(inputs->study, "archive/vision/%s.h5", candidate->ve);
    int rc;
    if (archive == NULL) {
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
        goto done;
    }
    MDL_TRY(use_corpus(inputs, candidate->lm, err));
    if (inputs->weights_digest[0] == '\0')
        MDL_TRY(mdl_model_digest(inputs->language->checkpoint, inputs->weights_digest, err));
    MDL_TRY(mdl_result_inputs_digest((const char *const[]){archive}, 1, features_digest, err));
    *text = mdl_text("features=%s\ncorpus=%s\nweights=%s\n", features_digest,
                     inputs->corpus->digest, inputs->weights_digest);
    if (*text == NULL)
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for a configuration");
done:
    free(archive);
    return rc;
}
