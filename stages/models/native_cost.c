#include "models/native_cost.h"

#include "core/text.h"
#include "io/corpus_file.h"
#include "io/model_config.h"
#include "kernels/matmul.h"

#include <stdlib.h>
#include <time.h>

static const double MEASURED_SECONDS = 0.005;
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

/* Floating-point operations a second of [n_row, n_inner] x [n_inner, n_col]. */
static int measure_rate(int64_t n_row, int64_t n_inner, int64_t n_col, double *rate,
                        mdl_error_t *err)
{
    float *left = NULL, *right = NULL, *out = NULL;
    int rc;
    MDL_TRY(mdl_alloc(&left, (size_t)(n_row * n_inner), sizeof *left, "a matrix", err));
    MDL_TRY(mdl_alloc(&right, (size_t)(n_col * n_inner), sizeof *right, "a matrix", err));
    MDL_TRY(mdl_alloc(&out, (size_t)(n_row * n_col), sizeof *out, "a matrix", err));
    double n_product = 0, start = 0, spent = 0;
    for (int warm = 0; spent < MEASURED_SECONDS; warm = 1) {
        start = warm ? start : now();
        mdl_matmul_nt(out, n_col, left, n_inner, right, n_inner, n_row, n_col, n_inner, 1, 0);
        n_product += 1;
        spent = now() - start;
    }
    *rate = n_product * 2 * (double)n_row * (double)n_inner * (double)n_col / spent;
done:
    free(left);
    free(right);
    free(out);
    return rc;
}

int mdl_native_cost(const mdl_study_t *study, const mdl_study_language_t *language, double *seconds,
                    mdl_error_t *err)
{
    mdl_corpus_t *corpus = NULL;
    mdl_model_config_t config;
    double rate, n_position = 0;
    char *path = mdl_text("%s/config.json", language->checkpoint);
    int rc;
    if (path == NULL) {
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
        goto done;
    }
    MDL_TRY(mdl_model_config_read(path, &config, err));
    MDL_TRY(mdl_corpus_read(language->corpus, &corpus, err));
    for (int64_t i = 0; i < corpus->n_train; i++)
        n_position += (double)mdl_corpus_length(corpus, corpus->train[i]) + 1;
    MDL_TRY(measure_rate(at_most(corpus->max_length + 1, MAX_SIDE),
                         at_most(config.n_feat, MAX_SIDE), at_most(config.n_mlp_feat, MAX_SIDE),
                         &rate, err));
    *seconds = 4 * (double)mdl_model_config_n_weight(&config) * n_position *
               (double)study->trainer.epochs / rate;
done:
    mdl_corpus_free(corpus);
    free(path);
    return rc;
}
