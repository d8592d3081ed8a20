/* The engine's logits of a text and its greedy continuation, for compare_decoder.py:
 *     decoder_logits FOLDER LOGITS N_NEW TOKEN...
 * Writes float32 [n_token, n_vocab] into the file LOGITS and prints N_NEW new token ids. */
#include "models/greedy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int write_logits(const char *path, const float *logits, size_t n_value, mdl_error_t *err)
{
    FILE *file = fopen(path, "wb");
    int failed = file == NULL || fwrite(logits, sizeof *logits, n_value, file) != n_value;
    if (file != NULL)
        failed |= fclose(file) != 0;
    return failed ? mdl_fail(err, MDL_E_IO, "%s: %s", path, strerror(errno)) : MDL_OK;
}

static int run(char **argv, const mdl_sample_t *sample, int64_t n_new, mdl_error_t *err)
{
    mdl_decoder_t *decoder = NULL;
    mdl_adapter_t *adapter = NULL;
    mdl_workspace_t *ws = NULL;
    float *logits = NULL;
    int32_t *new_token = NULL;
    int64_t n_out;
    int rc = MDL_OK;
    mdl_adapter_options_t options = {.rank = 0, .alpha = 1};
    MDL_TRY(mdl_decoder_load(mdl_backend_cpu(), argv[1], &decoder, err));
    const mdl_model_config_t *config = mdl_decoder_config(decoder);
    MDL_TRY(mdl_adapter_new(mdl_backend_cpu(), config, 1, &options, 1, &adapter, err));
    MDL_TRY(mdl_workspace_new(decoder, adapter, sample->n_token + n_new, MDL_KEEP_KEYS, &ws, err));
    size_t n_value = (size_t)(sample->n_token * config->n_vocab);
    logits = malloc(n_value * sizeof *logits);
    new_token = malloc((size_t)(n_new + 1) * sizeof *new_token);
    if (logits == NULL || new_token == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "no memory for the logits"));
    MDL_TRY(mdl_sample_logits(ws, sample, logits, err));
    MDL_TRY(write_logits(argv[2], logits, n_value, err));
    MDL_TRY(mdl_sample_greedy(ws, sample, n_new, -1, new_token, &n_out, err));
    for (int64_t i = 0; i < n_out; i++)
        printf("%d\n", (int)new_token[i]);
done:
    free(new_token);
    free(logits);
    mdl_workspace_free(ws);
    mdl_adapter_free(adapter);
    mdl_decoder_free(decoder);
    return rc;
}

int main(int argc, char **argv)
{
    mdl_error_t err = {0};
    if (argc < 5) {
        fprintf(stderr, "usage: decoder_logits FOLDER LOGITS N_NEW TOKEN...\n");
        return MDL_E_USAGE;
    }
    int32_t *token = malloc((size_t)(argc - 4) * sizeof *token);
    if (token == NULL)
        return MDL_E_MEMORY;
    for (int i = 4; i < argc; i++)
        token[i - 4] = (int32_t)strtol(argv[i], NULL, 10);
    mdl_sample_t sample = {.n_token = argc - 4, .token = token};
    int rc = run(argv, &sample, strtol(argv[3], NULL, 10), &err);
    if (rc != MDL_OK)
        fprintf(stderr, "decoder_logits: %s\n", err.text);
    free(token);
    return rc;
}
