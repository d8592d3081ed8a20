#include "cka/plan.h"

#include "cka/block.h"
#include "cka/estimate.h"
#include "core/log.h"
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>

/* Read, checked and converted by one rank; measured with a warm file cache. */
static const double read_bytes_per_second = 5e8;

/* The best of some small Gram matrices, in seconds a flop. */
static double seconds_per_flop(void)
{
    enum { ROWS = 256, FEATURES = 512, ROUNDS = 5 };
    double *x = malloc(sizeof(double) * ROWS * FEATURES);
    double *gram = malloc(sizeof(double) * ROWS * ROWS);
    double best = 0;
    mdl_block_setup();
    for (int i = 0; x != NULL && i < ROWS * FEATURES; i++)
        x[i] = (double)(i % 7) - 3;
    for (int k = 0; x != NULL && gram != NULL && k < ROUNDS; k++) {
        double start = mdl_log_seconds();
        mdl_block_gram(x, ROWS, x, ROWS, FEATURES, gram);
        double seconds = mdl_log_seconds() - start;
        best = k == 0 || seconds < best ? seconds : best;
    }
    free(x);
    free(gram);
    return best / ((double)ROWS * ROWS * FEATURES);
}

mdl_cka_plan_t mdl_cka_plan(const mdl_cka_settings_t *settings, const mdl_cka_archives_t *archives)
{
    double n = (double)archives->n_sample, n_model = archives->n_model;
    double row_bytes = 0, n_feat = 0, max_feat = 0;
    for (int a = 0; a < archives->n_model; a++) {
        double d = (double)archives->models[a].n_feat;
        row_bytes += mdl_cka_archives_row_bytes(archives, a);
        n_feat += d;
        max_feat = d > max_feat ? d : max_feat;
    }
    double pairs = n_model * (n_model + 1) / 2;
    if (settings->estimator == MDL_CKA_MINIBATCH) {
        double batch = settings->batch < archives->n_sample ? (double)settings->batch : n;
        double n_batch = (double)mdl_cka_n_batch(archives->n_sample, settings->batch);
        return (mdl_cka_plan_t){.n_item = n_batch,
                                .item = "batches",
                                .bytes_read = n * row_bytes,
                                .flops = n * batch * (n_feat + pairs),
                                .memory_per_rank =
                                    8 * batch * (max_feat + batch + n_model * (batch - 1) / 2) +
                                    16 * n * n_model};
    }
    double tile = n < MDL_CKA_TILE ? n : MDL_CKA_TILE;
    double n_tile = (double)((archives->n_sample + MDL_CKA_TILE - 1) / MDL_CKA_TILE);
    return (mdl_cka_plan_t){.n_item = n_tile * (n_tile + 1) / 2,
                            .item = "Gram tiles",
                            .bytes_read = n * row_bytes * (n_tile + 1),
                            .flops = n * n * (n_feat + pairs),
                            .memory_per_rank =
                                8 * (2 * tile * max_feat + n_model * tile * tile + 2 * n_feat) +
                                24 * n * n_model};
}

void mdl_cka_plan_print(const mdl_cka_plan_t *plan, const mdl_cka_archives_t *archives, int n_rank,
                        const char *output)
{
    char read[32], memory[32], time[32];
    double workers = n_rank < plan->n_item ? n_rank : plan->n_item;
    double seconds =
        (plan->flops * seconds_per_flop() + plan->bytes_read / read_bytes_per_second) / workers;
    printf("%s: %d models, %lld rows, %.0f %s over %d %s\n", output, archives->n_model,
           (long long)archives->n_sample, plan->n_item, plan->item, n_rank,
           n_rank == 1 ? "rank" : "ranks");
    printf("  reads %s, computes %.3g Gflop, needs %s a rank, takes about %s\n",
           mdl_text_bytes(plan->bytes_read, read), plan->flops / 1e9,
           mdl_text_bytes(plan->memory_per_rank, memory), mdl_text_duration(seconds, time));
}
