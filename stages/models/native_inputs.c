#include "models/native_inputs.h"

#include "core/text.h"
#include "io/model_digest.h"
#include "io/result.h"

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

void mdl_native_inputs_release(mdl_native_inputs_t *inputs)
{
    release_features(inputs);
    mdl_decoder_free(inputs->decoder);
    mdl_corpus_free(inputs->corpus);
    inputs->decoder = NULL;
    inputs->corpus = NULL;
    inputs->language = NULL;
    inputs->weights_digest[0] = '\0';
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

static int use_language(mdl_native_inputs_t *inputs, const char *lm, mdl_error_t *err)
{
    const mdl_study_language_t *language = NULL;
    int rc;
    MDL_TRY(mdl_native_language(inputs->study, lm, &language, err));
    if (language == inputs->language)
        return MDL_OK;
    mdl_native_inputs_release(inputs);
    MDL_TRY(mdl_decoder_load(inputs->backend, language->checkpoint, &inputs->decoder, err));
    MDL_TRY(mdl_corpus_read(language->corpus, &inputs->corpus, err));
    MDL_TRY(check_pair(inputs->decoder, inputs->corpus, err));
    inputs->language = language;
done:
    if (rc != MDL_OK)
        mdl_native_inputs_release(inputs);
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

int mdl_native_inputs_use(mdl_native_inputs_t *inputs, const mdl_candidate_t *candidate,
                          mdl_error_t *err)
{
    int rc = use_language(inputs, candidate->lm, err);
    return rc == MDL_OK ? use_vision(inputs, candidate->ve, err) : rc;
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
    MDL_TRY(use_language(inputs, candidate->lm, err));
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
