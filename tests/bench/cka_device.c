/* Full-batch CKA of W3's size (16384 rows of 28 models, float32, linear) on a GPU, from rows that
 * are in its memory: the time of all tiles of the Gram matrices and all products of pairs, against
 * the time that cuBLAS's sgemm, measured here too, would need for as many operations.
 *
 * usage: bench_cka_device
 * Exits with 77 where there is no GPU. */
#include "core/log.h"
#include "kernels/device.h"
#include "kernels/gram_device.h"

#include <stdio.h>
#include <stdlib.h>

enum { N_MODEL = 28, N_ROW = 16384, TILE = 2048, ROUNDS = 5 };
static const int64_t widths[7] = {1024, 1152, 1280, 1024, 1024, 1024, 1536};

static int64_t n_feat[N_MODEL], n_feat_all;
static int exponent[N_MODEL];

static int put_rows(mdl_gram_device_t *gram, mdl_error_t *err)
{
    mdl_rows_device_t *rows = mdl_gram_device_rows(gram);
    uint32_t state = 1;
    for (int a = 0; a < N_MODEL; a++) {
        for (int64_t block = 0; block < N_ROW / TILE; block++) {
            void *x;
            int rc = mdl_rows_device_want(rows, a, block, 0, &x, err);
            if (rc != MDL_OK)
                return rc;
            for (int64_t k = 0; k < TILE * n_feat[a]; k++) {
                state = state * 1664525u + 1013904223u;
                ((float *)x)[k] = (float)(state >> 8) / 16777216 - 0.5f;
            }
            rc = mdl_rows_device_put(rows, a, block, 0, TILE, err);
            if (rc != MDL_OK)
                return rc;
        }
    }
    return MDL_OK;
}

static int all_tiles(mdl_gram_device_t *gram, mdl_error_t *err)
{
    mdl_gram_tile_t tile;
    for (int64_t i = 0; i < N_ROW / TILE; i++) {
        for (int64_t j = 0; j <= i; j++) {
            int rc = mdl_gram_device_start(gram, i, TILE, j, TILE, err);
            if (rc == MDL_OK)
                rc = mdl_gram_device_finish(gram, &tile, err);
            if (rc != MDL_OK)
                return rc;
        }
    }
    return MDL_OK;
}

static int measure(mdl_error_t *err)
{
    mdl_gram_device_t *gram = NULL;
    mdl_device_t device;
    double rate, best = 0, *zeros = NULL;
    int rc;
    MDL_TRY(mdl_device_describe(0, &device, err));
    MDL_TRY(mdl_alloc(&zeros, (size_t)n_feat_all, sizeof *zeros, "means", err));
    MDL_TRY(mdl_device_rate(0, 0, 0, 8192, &rate, err));
    mdl_gram_device_plan_t plan = {.rows = {.n_model = N_MODEL,
                                            .n_feat = n_feat,
                                            .tile = TILE,
                                            .n_block = N_ROW / TILE,
                                            .reference = zeros,
                                            .mean = zeros,
                                            .exponent = exponent},
                                   .n_column = N_ROW / 128};
    MDL_TRY(mdl_gram_device_open(&plan, &gram, err));
    MDL_TRY(put_rows(gram, err));
    MDL_TRY(all_tiles(gram, err));
    for (int k = 0; k < ROUNDS; k++) {
        double start = mdl_log_seconds();
        MDL_TRY(all_tiles(gram, err));
        double seconds = mdl_log_seconds() - start;
        best = k == 0 || seconds < best ? seconds : best;
    }
    double flops = (double)N_ROW * N_ROW * ((double)n_feat_all + N_MODEL * N_MODEL / 2.0);
    printf("%s: sgemm %.2f Tflop/s; W3 from its memory %.4f s, %.2f Tflop/s: %.0f %% of sgemm "
           "(wanted: 70 %%)\n",
           device.name, rate / 1e12, best, flops / best / 1e12, 100 * flops / best / rate);
done:
    mdl_gram_device_close(gram);
    free(zeros);
    return rc;
}

int main(void)
{
    const char *why;
    mdl_error_t err = {.rank = -1};
    if (mdl_device_count(&why) == 0) {
        printf("skipped: %s\n", why);
        return 77;
    }
    for (int a = 0; a < N_MODEL; a++) {
        n_feat[a] = widths[a % 7];
        n_feat_all += n_feat[a];
    }
    int rc = measure(&err);
    if (rc != MDL_OK)
        fprintf(stderr, "%s\n", err.text);
    return rc;
}
