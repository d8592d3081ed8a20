#include "models/native_memory.h"

#include "core/text.h"
#include "io/corpus_file.h"
#include "models/native_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Copies of all that is trained where it is trained: parameters, gradients, two moments, and the
 * tree of a batch's sums. */
static double n_trained_copy(const mdl_study_t *study)
{
    return 4 + fmax(2, 1 + ceil(log2((double)study->trainer.batch)));
}

int mdl_native_memory(const mdl_study_t *study, const mdl_study_language_t *language,
                      int64_t n_visual, int64_t n_vision_feat, int on_host, int n_rank,
                      mdl_native_memory_t *memory, mdl_error_t *err)
{
    mdl_corpus_t *corpus = NULL;
    mdl_model_config_t config;
    mdl_adapter_options_t options;
    char *path = mdl_text("%s/config.json", language->checkpoint);
    int bfloat16 = strcmp(study->trainer.precision, "bfloat16") == 0, rc;
    if (path == NULL) {
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
        goto done;
    }
    MDL_TRY(mdl_model_config_read(path, &config, err));
    MDL_TRY(mdl_corpus_read(language->corpus, &corpus, err));
    MDL_TRY(mdl_native_adapter_options(study, &options, err));
    double n_trained =
        sizeof(float) * (double)mdl_adapter_n_param(&config, n_vision_feat, &options);
    mdl_decoder_memory_t weights = mdl_decoder_memory(
        &config, bfloat16, on_host, mdl_native_inputs_n_shard(study, on_host, n_rank));
    size_t n_activation = mdl_workspace_n_byte(
        on_host ? &mdl_backend_room_cpu : &mdl_backend_room_cuda, &config, n_vision_feat,
        options.rank, mdl_native_max_length(study, &config, corpus, n_visual),
        mdl_training_settings(study).keep);
    double n_backend =
        (double)(weights.n_backend + n_activation) + n_trained_copy(study) * n_trained;
    /* What a checkpoint holds; two gradients on the way between ranks where GPUs aren't linked. */
    double n_host = (double)weights.n_host + (on_host ? 3 : 3 + 2) * n_trained;
    *memory = (mdl_native_memory_t){.host = n_host + (on_host ? n_backend : 0),
                                    .gpu = on_host ? 0 : n_backend};
done:
    mdl_corpus_free(corpus);
    free(path);
    return rc;
}
