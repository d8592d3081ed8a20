#include "cka/plan.h"

#include "core/log.h"
#include "core/text.h"
#include "mpi/chunks.h"
#include "similarity/batch.h"
#include "similarity/estimate.h"
#include "similarity/rbf_sample.h"
#include "similarity/reader.h"
#include "similarity/row_sample.h"
#include "similarity/row_units.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a sample's id while a file is opened: the ids of two files, each with its pointer. */
enum { ID_BYTES = 40 };

/* Sizes that all routes' costs are made of. */
typedef struct {
    double n, n_model, n_pair, size; /* rows, models, pairs, bytes of a real */
    double sum_feat, max_feat, row_bytes;
} sizes_t;

const char *mdl_plan_route_name(mdl_plan_route_t route)
{
    static const char *const names[] = {"minibatch", "gram", "feature"};
    return names[route];
}

static sizes_t sizes_of(const mdl_cka_settings_t *settings, const mdl_cka_archives_t *archives)
{
    sizes_t s = {.n = (double)archives->n_sample,
                 .n_model = archives->n_model,
                 .n_pair = (double)mdl_cka_pair(archives->n_model, 0),
                 .size = (double)mdl_encoding_size(settings->precision)};
    for (int a = 0; a < archives->n_model; a++) {
        double d = (double)archives->models[a].n_feat;
        s.row_bytes += mdl_cka_archives_row_bytes(archives, a);
        s.sum_feat += d;
        s.max_feat = fmax(s.max_feat, d);
    }
    return s;
}

/* Bytes of a rank's own part of the chunks that are exchanged, and memory for all of them. */
static double chunk_bytes(double n_item, double n_value)
{
    return 8 * n_value * (double)mdl_chunks_count((int64_t)n_item, (int64_t)n_value);
}

/* Memory for rows of all models' widest, n_row at a time, that are read ahead. */
static double reader_bytes(const sizes_t *s, double n_row, int n_kept)
{
    mdl_encoding_t encoding = s->size == sizeof(float) ? MDL_FLOAT32 : MDL_FLOAT64;
    return (double)mdl_reader_bytes(encoding, (int64_t)(n_row * s->max_feat), n_kept);
}

static mdl_cka_plan_t plan_minibatch(const sizes_t *s, const mdl_cka_settings_t *settings)
{
    double batch = fmin((double)settings->batch, s->n);
    double n_batch = (double)mdl_cka_n_batch((int64_t)s->n, settings->batch);
    double chunks = chunk_bytes(n_batch, s->n_pair + 2 * s->n_model);
    return (mdl_cka_plan_t){.n_item = n_batch,
                            .item = "batches",
                            .bytes_read = s->n * s->row_bytes,
                            .flops = s->n * batch * (s->sum_feat + s->n_model * s->n_model / 2),
                            .memory_per_rank =
                                reader_bytes(s, batch, 1) +
                                s->size * batch * (MDL_REAL_DEPTH + batch * (1 + s->n_model / 2)) +
                                2 * chunks + ID_BYTES * s->n,
                            .bytes_sent_per_rank = chunks};
}

static double tile_of(const sizes_t *s)
{
    return fmin((double)mdl_cka_tile((int)s->n_model, s->n * s->sum_feat * s->size), s->n);
}

/* Sums of a tile: of all pairs, and of the units of rows that the standard error comes from. */
static double gram_values(const sizes_t *s)
{
    double n_row = (double)mdl_row_units_rows((int)s->n_model, (int64_t)s->n);
    return (1 + ceil(s->n / n_row)) * (2 * s->n_pair + s->n_model);
}

static mdl_cka_plan_t plan_gram(const sizes_t *s, const mdl_cka_settings_t *settings)
{
    double tile = tile_of(s), n_tile = ceil(s->n / tile), n_item = n_tile * (n_tile + 1) / 2;
    double data = s->n * s->sum_feat * s->size, held = tile * s->sum_feat * s->size;
    double sums = chunk_bytes(n_item, gram_values(s));
    int all = data <= (double)MDL_CKA_HELD_BYTES, some = held <= (double)MDL_CKA_HELD_BYTES;
    int rbf = settings->kernel == MDL_CKA_RBF;
    double n_read = (all ? 2 : some ? 1.5 + n_tile / 2 : 1 + n_tile) + rbf;
    double sample = rbf ? (double)mdl_rbf_sample_size((int)s->n_model, (int64_t)s->n) : 0;
    return (mdl_cka_plan_t){
        .n_item = n_item,
        .item = "Gram tiles",
        .bytes_read = s->n * s->row_bytes * n_read,
        .flops = s->n * (s->n + 2 * sample) * (s->sum_feat + s->n_model * s->n_model / 2),
        .memory_per_rank = reader_bytes(s, tile, 1) +
                           s->size * tile * (2 * s->max_feat + s->n_model * tile) +
                           (all    ? data
                            : some ? held
                                   : 0) +
                           sums + ID_BYTES * s->n,
        .bytes_sent_per_rank = sums + chunk_bytes(n_tile, s->sum_feat + s->n_model)};
}

static mdl_cka_plan_t plan_feature(const sizes_t *s)
{
    double tile = tile_of(s), n_tile = ceil(s->n / tile), strip = fmin(s->max_feat, 2048);
    double sample = (double)mdl_row_sample_size((int)s->n_model, (int64_t)s->n);
    return (mdl_cka_plan_t){.n_item = s->n_pair,
                            .item = "covariance blocks",
                            .bytes_read = s->n * s->row_bytes * (s->n_model + 1),
                            .flops = (s->n + sample) * s->sum_feat * s->sum_feat,
                            .memory_per_rank =
                                reader_bytes(s, tile, 2) + (8 + s->size) * strip * s->max_feat +
                                s->size * sample * (3 * s->max_feat + strip) + ID_BYTES * s->n,
                            .bytes_sent_per_rank = 8 * (3 + 2 * sample) * s->n_pair +
                                                   chunk_bytes(n_tile, s->sum_feat + s->n_model)};
}

mdl_cka_plan_t mdl_cka_plan(mdl_plan_route_t route, const mdl_cka_settings_t *settings,
                            const mdl_cka_archives_t *archives, int n_rank)
{
    sizes_t s = sizes_of(settings, archives);
    mdl_cka_plan_t plan = route == MDL_PLAN_MINIBATCH ? plan_minibatch(&s, settings)
                          : route == MDL_PLAN_GRAM    ? plan_gram(&s, settings)
                                                      : plan_feature(&s);
    plan.bytes_sent_per_rank = n_rank > 1 ? plan.bytes_sent_per_rank / n_rank : 0;
    return plan;
}

mdl_plan_route_t mdl_cka_route(const mdl_cka_settings_t *settings,
                               const mdl_cka_archives_t *archives)
{
    if (settings->estimator == MDL_CKA_MINIBATCH)
        return MDL_PLAN_MINIBATCH;
    double gram = mdl_cka_plan(MDL_PLAN_GRAM, settings, archives, 1).flops;
    double feature = mdl_cka_plan(MDL_PLAN_FEATURE, settings, archives, 1).flops;
    return settings->kernel == MDL_CKA_LINEAR && feature < gram ? MDL_PLAN_FEATURE : MDL_PLAN_GRAM;
}

/* The best of some small Gram matrices, in seconds a flop. */
static double seconds_per_flop(mdl_encoding_t precision)
{
    enum { ROWS = 384, ROUNDS = 5 };
    const mdl_real_t *real = mdl_real(precision);
    void *x = aligned_alloc(64, ROWS * ROWS * real->size);
    void *gram = aligned_alloc(64, ROWS * ROWS * real->size);
    if (x != NULL)
        memset(x, 0, ROWS * ROWS * real->size);
    double best = 0;
    for (int k = 0; x != NULL && gram != NULL && k < ROUNDS; k++) {
        double start = mdl_log_seconds();
        real->gram(x, ROWS, x, ROWS, ROWS, gram);
        double seconds = mdl_log_seconds() - start;
        best = k == 0 || seconds < best ? seconds : best;
    }
    free(x);
    free(gram);
    return best / (1.0 * ROWS * ROWS * ROWS);
}

/* Reading, checking and converting of the first model's rows, a few MiB of them; 0 when Gram files
 * stand in for all models. */
static int seconds_per_byte(const mdl_cka_settings_t *settings, const mdl_cka_archives_t *archives,
                            double *seconds, mdl_error_t *err)
{
    int model = 0;
    while (model < archives->n_model && mdl_cka_archives_digest(archives, model) == NULL)
        model++;
    if (model == archives->n_model)
        return MDL_OK;
    const mdl_rows_t *rows = &archives->models[model];
    double row_bytes = mdl_cka_archives_row_bytes(archives, model);
    int64_t n = 1 + (int64_t)((double)(4 << 20) / row_bytes);
    n = n < archives->n_sample ? n : archives->n_sample;
    void *x = NULL;
    int rc = mdl_alloc(&x, (size_t)(n * rows->n_feat), mdl_encoding_size(settings->precision),
                       "rows", err);
    for (int k = 0; rc == MDL_OK && k < 3; k++) {
        double start = mdl_log_seconds();
        rc = rows->read(rows, 0, n, settings->precision, x, err);
        double each = (mdl_log_seconds() - start) / ((double)n * row_bytes);
        *seconds = k == 0 || each < *seconds ? each : *seconds;
    }
    free(x);
    return rc;
}

static void print_route(const mdl_cka_plan_t *plan, const char *name, int chosen, double seconds)
{
    char read[32], memory[32], time[32], sent[32];
    printf("  %s %s: %.0f %s, computes %.3g Gflop, reads %s, needs %s a rank, sends %s a rank, "
           "takes about %s\n",
           chosen ? "*" : " ", name, plan->n_item, plan->item, plan->flops / 1e9,
           mdl_text_bytes(plan->bytes_read, read), mdl_text_bytes(plan->memory_per_rank, memory),
           mdl_text_bytes(plan->bytes_sent_per_rank, sent), mdl_text_duration(seconds, time));
}

int mdl_cka_plan_print(const mdl_cka_settings_t *settings, mdl_plan_route_t chosen,
                       const mdl_cka_archives_t *archives, int n_rank, const char *output,
                       mdl_error_t *err)
{
    double read_rate = 0, flop_rate = seconds_per_flop(settings->precision);
    int rc = seconds_per_byte(settings, archives, &read_rate, err);
    if (rc != MDL_OK)
        return rc;
    printf("%s: %d models, %lld rows, %s, %d %s; one core: %.1f Gflop/s", output, archives->n_model,
           (long long)archives->n_sample, mdl_encoding_name(settings->precision), n_rank,
           n_rank == 1 ? "rank" : "ranks", 1e-9 / flop_rate);
    if (read_rate > 0)
        printf(", reads %.2f GB/s", 1e-9 / read_rate);
    printf("\n");
    for (int route = 0; route < MDL_PLAN_N; route++) {
        if (route == MDL_PLAN_FEATURE && settings->kernel == MDL_CKA_RBF)
            continue;
        mdl_cka_plan_t plan = mdl_cka_plan(route, settings, archives, n_rank);
        double workers = fmin(n_rank, plan.n_item);
        print_route(&plan, mdl_plan_route_name(route), route == (int)chosen,
                    (plan.flops * flop_rate + plan.bytes_read * read_rate) / workers);
    }
    return MDL_OK;
}

void mdl_cka_plan_print_stop(const mdl_cka_settings_t *settings, const mdl_cka_archives_t *archives)
{
    int64_t looks[MDL_STOPPING_MOST],
        n_batch = mdl_cka_n_batch(archives->n_sample, settings->batch);
    int n_look = mdl_stopping_looks(n_batch, looks);
    double share = (double)looks[0] / (double)n_batch;
    char read[32];
    printf("  stop: batches in a random order, looked at %d %s; at the earliest after %lld of %lld "
           "batches, which reads %s and takes %.0f %% of the time\n",
           n_look, n_look == 1 ? "time" : "times", (long long)looks[0], (long long)n_batch,
           mdl_text_bytes(
               share * sizes_of(settings, archives).row_bytes * (double)archives->n_sample, read),
           100 * share);
}

void mdl_cka_plan_print_cache(const mdl_cka_settings_t *settings,
                              const mdl_cka_archives_t *archives, const char *folder,
                              const char *kept)
{
    double n = (double)archives->n_sample, read = 0, grams = 0, made = 0, flops = 0;
    double batch = fmin((double)settings->batch, n);
    double file = n * (batch - 1) / 2 * (double)mdl_encoding_size(settings->precision);
    char read_text[32], grams_text[32], made_text[32];
    int n_kept = 0;
    for (int a = 0; a < archives->n_model; a++) {
        n_kept += kept[a] != 0;
        grams += kept[a] ? file : 0;
        read += kept[a] ? 0 : n * mdl_cka_archives_row_bytes(archives, a);
        flops += kept[a] ? 0 : n * batch * (double)archives->models[a].n_feat;
        made += kept[a] || folder == NULL ? 0 : file;
    }
    flops += n * batch * (double)archives->n_model * (double)archives->n_model / 2;
    printf(
        "  Gram cache: %d of %d models are kept: computes %.3g Gflop, reads %s of activations and "
        "%s of Gram matrices, writes %s of them\n",
        n_kept, archives->n_model, flops / 1e9, mdl_text_bytes(read, read_text),
        mdl_text_bytes(grams, grams_text), mdl_text_bytes(made, made_text));
}
