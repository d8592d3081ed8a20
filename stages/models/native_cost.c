#include "models/native_cost.h"

#include "core/text.h"
#include "io/corpus_file.h"
#include "io/model_config.h"
#include "kernels/matmul.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

static const double MEASURED_SECONDS = 0.002;
enum { N_TRIAL = 5 };
/* Of the measured rate, what training reaches on decoders of 0.3 to 2 million weights. */
static const double SHARE = 1.0 / 3;
static const int64_t MAX_SIDE = 1024;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int64_t at_most(int64_t value, int64_t limit)
{
    return value < limit ? value : limit;
}

/* Floating-point operations a second of [n_row, n_inner] x [n_inner, n_col]: the best of some
 * trials, so that it depends little on what else the machine does. */
static double best_rate(const mdl_native_cost_t *cost, const float *left, const float *right,
                        float *out)
{
    const int64_t n_row = cost->n_row, n_inner = cost->n_inner, n_col = cost->n_col;
    const double work = 2 * (double)n_row * (double)n_inner * (double)n_col;
    double rate = 0;
    for (int trial = 0; trial < N_TRIAL; trial++) {
        double n_product = 0, start = now(), spent = 0;
        while (spent < MEASURED_SECONDS) {
            mdl_matmul_nt(out, n_col, left, n_inner, right, n_inner, n_row, n_col, n_inner, 1, 0);
            n_product += 1;
            spent = now() - start;
        }
        rate = fmax(rate, n_product * work / spent);
    }
    return rate;
}

double mdl_native_rate(const mdl_native_cost_t *cost)
{
    float *left = calloc((size_t)(cost->n_row * cost->n_inner), sizeof *left);
    float *right = calloc((size_t)(cost->n_col * cost->n_inner), sizeof *right);
    float *out = calloc((size_t)(cost->n_row * cost->n_col), sizeof *out);
    double rate = 0;
    if (left != NULL && right != NULL && out != NULL)
        rate = SHARE * best_rate(cost, left, right, out);
    free(left);
    free(right);
    free(out);
    return rate;
}

/* Weights of the products that activation checkpointing computes again: those of the blocks but for
 * the last one of the MLP, unless a norm reads what that puts out. */
static double n_weight_again(const mdl_model_config_t *config)
{
    int64_t n_table = config->n_vocab * config->n_feat * (config->tied_head ? 1 : 2);
    int64_t n_down = config->output_normed ? 0 : config->n_feat * config->n_mlp_feat;
    return (double)(mdl_model_config_n_weight(config) - n_table - config->n_layer * n_down);
}

/* Floating-point operations of a position in training. */
static double training_work(const mdl_study_t *study, const mdl_model_config_t *config)
{
    double work = 4 * (double)mdl_model_config_n_weight(config);
    return study->trainer.activation_checkpointing ? work + 2 * n_weight_again(config) : work;
}

int mdl_native_cost(const mdl_study_t *study, const mdl_study_language_t *language,
                    mdl_native_cost_t *cost, mdl_error_t *err)
{
    mdl_corpus_t *corpus = NULL;
    mdl_model_config_t config;
    double n_token = 0;
    char *path = mdl_text("%s/config.json", language->checkpoint);
    int rc;
    if (path == NULL) {
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
        goto done;
    }
    MDL_TRY(mdl_model_config_read(path, &config, err));
    MDL_TRY(mdl_corpus_read(language->corpus, &corpus, err));
    for (int64_t i = 0; i < corpus->n_train; i++)
        n_token += (double)mdl_corpus_length(corpus, corpus->train[i]);
    double token_work = training_work(study, &config) * (double)study->trainer.epochs;
    *cost = (mdl_native_cost_t){.text = token_work * n_token,
                                .visual = token_work * (double)corpus->n_train,
                                .n_row = at_most(corpus->max_length + 1, MAX_SIDE),
                                .n_inner = at_most(config.n_feat, MAX_SIDE),
                                .n_col = at_most(config.n_mlp_feat, MAX_SIDE)};
done:
    mdl_corpus_free(corpus);
    free(path);
    return rc;
}
