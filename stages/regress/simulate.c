#include "regress/simulate.h"

#include "core/log.h"
#include "core/text.h"
#include "io/simulate_file.h"
#include "mpi/agree.h"
#include "mpi/queue.h"
#include "regress/curves.h"
#include "regress/search.h"
#include "regress/setting_grid.h"
#include "regress/simulate_output.h"

#include <limits.h>
#include <stdlib.h>

enum { BLOCK = 32 }; /* settings of an item of work */

typedef struct {
    mdl_stage_t *stage;
    const mdl_simulate_options_t *options;
    const char *curves;
    mdl_curve_table_t table;
    mdl_alike_t alike;
    mdl_scores_t scores;
    mdl_setting_grid_t grid;
    mdl_pool_t *pools; /* [n_pool], tasks that can be used */
    int64_t n_pool;
    mdl_search_t *search;
    double *measure; /* [MDL_N_MEASURE, n_setting, n_pool], zero where another rank works */
    int64_t *choice; /* [n_setting, n_pool] of the first seed */
} run_t;

static int read_alike(run_t *run, mdl_error_t *err)
{
    const char *paths[64];
    int n = 0;
    if (run->options->similarity == NULL && run->stage->n_argument > 0)
        return mdl_fail(err, MDL_E_USAGE,
                        "'%s' is not an option; similarity files follow --similarity",
                        run->stage->arguments[0]);
    if (run->options->similarity != NULL)
        paths[n++] = run->options->similarity;
    for (int i = 0; i < run->stage->n_argument; i++) {
        if (n == 64)
            return mdl_fail(err, MDL_E_USAGE, "--similarity: more than 64 files");
        paths[n++] = run->stage->arguments[i];
    }
    return mdl_alike_read(paths, n, &run->alike, err);
}

static int parse_settings(run_t *run, const char *method, mdl_error_t *err)
{
    mdl_setting_t base = mdl_setting_defaults();
    int rc = MDL_OK;
    if (run->options->n_seed < 1 || run->options->n_seed > 1000000)
        return mdl_fail(err, MDL_E_USAGE, "--seeds takes 1 to 1,000,000");
    if (run->options->strategy != NULL)
        MDL_TRY(mdl_setting_parse(&base, MDL_KEY_STRATEGY, run->options->strategy, err));
    if (method != NULL)
        MDL_TRY(mdl_setting_parse(&base, MDL_KEY_METHOD, method, err));
    rc = mdl_setting_grid_parse(run->options->sweep, &base, &run->grid, err);
done:
    return rc;
}

/* Makes the pools of the tasks; one that has nothing to compare with is left out. */
static int make_pools(run_t *run, mdl_error_t *err)
{
    int64_t largest = 0;
    int rc;
    MDL_TRY(mdl_alloc(&run->pools, (size_t)run->table.n_task, sizeof *run->pools, "tasks", err));
    for (int64_t t = 0; t < run->table.n_task; t++) {
        mdl_pool_t *pool = &run->pools[run->n_pool];
        MDL_TRY(mdl_pool_make(&run->table, t, &run->alike, 1, pool, err));
        if (pool->n == 0) {
            mdl_pool_free(pool);
            continue;
        }
        run->n_pool++;
        MDL_TRY(mdl_pool_take_scores(pool, &run->scores, err));
        largest = pool->n > largest ? pool->n : largest;
    }
    if (run->n_pool == 0)
        MDL_TRY(mdl_fail(err, MDL_E_INPUT, "%s: no task has a model with a point at ratio 1",
                         run->curves));
    size_t n_cell = (size_t)(run->grid.n_setting * run->n_pool);
    MDL_TRY(mdl_alloc(&run->measure, n_cell * MDL_N_MEASURE, sizeof(double), "the table", err));
    MDL_TRY(mdl_alloc(&run->choice, n_cell, sizeof(int64_t), "choices", err));
    rc = mdl_search_new(largest, &run->search, err);
done:
    return rc;
}

static int prepare(run_t *run, const char *method, mdl_error_t *err)
{
    int rc;
    MDL_TRY(parse_settings(run, method, err));
    MDL_TRY(mdl_curve_table_read(run->curves, &run->table, err));
    if (run->stage->rank == 0)
        mdl_curves_warn(&run->table);
    MDL_TRY(read_alike(run, err));
    if (run->options->scores != NULL)
        MDL_TRY(mdl_scores_read(run->options->scores, &run->scores, err));
    rc = make_pools(run, err);
done:
    return rc;
}

static mdl_strategy_t strategy_of(const run_t *run, int64_t s)
{
    return (mdl_strategy_t)run->grid.settings[s].value[MDL_KEY_STRATEGY];
}

/* One setting on one task: means over the seeds, of which one stands for all where none is drawn.
 */
static int run_cell(run_t *run, int64_t s, int64_t t, mdl_error_t *err)
{
    const int64_t n_cell = run->grid.n_setting * run->n_pool, cell = s * run->n_pool + t;
    const int64_t n_seed = mdl_strategy_draws(strategy_of(run, s)) ? run->options->n_seed : 1;
    const double weight = 1 / (double)n_seed;
    for (int64_t seed = 0; seed < n_seed; seed++) {
        mdl_outcome_t outcome;
        int rc = mdl_search_run(run->search, &run->pools[t], &run->grid.settings[s],
                                (uint64_t)seed + 1, &outcome, err);
        if (rc != MDL_OK)
            return rc;
        const double values[MDL_N_MEASURE] = {
            [MDL_MEASURE_TAU] = outcome.tau,
            [MDL_MEASURE_TOP1] = outcome.top1,
            [MDL_MEASURE_WITHIN_STDERR] = outcome.within_stderr,
            [MDL_MEASURE_REGRET] = outcome.regret,
            [MDL_MEASURE_RELATIVE_REGRET] = outcome.relative,
            [MDL_MEASURE_COST] = outcome.cost,
        };
        for (int m = 0; m < MDL_N_MEASURE; m++)
            run->measure[m * n_cell + cell] += weight * values[m];
        if (seed == 0)
            run->choice[cell] = outcome.choice;
    }
    return MDL_OK;
}

/* What the settings from first on take on the task, in some unit: searches and their predictions go
 * by the square of the candidates, those by interval do it round by round. */
static double price(const run_t *run, int64_t first, int64_t end, int64_t t)
{
    const double n = (double)run->pools[t].n;
    double sum = 0;
    for (int64_t s = first; s < end; s++) {
        mdl_strategy_t strategy = strategy_of(run, s);
        double rounds = strategy == MDL_STRATEGY_INTERVAL || strategy == MDL_STRATEGY_CROSS ? 4 : 1;
        sum += rounds * (mdl_strategy_draws(strategy) ? (double)run->options->n_seed : 1);
    }
    return sum * n * n;
}

/* A block of neighbouring settings on one task is an item of a queue that the ranks empty together:
 * neighbours have predictions in common. */
static int run_items(run_t *run, mdl_error_t *err)
{
    const int64_t n_setting = run->grid.n_setting, n_block = (n_setting + BLOCK - 1) / BLOCK;
    const int64_t n_item = n_block * run->n_pool;
    mdl_queue_t *queue = NULL;
    double *prices;
    int rc = mdl_alloc(&prices, (size_t)n_item, sizeof *prices, "a work queue", err);
    for (int64_t k = 0; rc == MDL_OK && k < n_item; k++) {
        int64_t first = k % n_block * BLOCK, end = first + BLOCK;
        prices[k] = price(run, first, end < n_setting ? end : n_setting, k / n_block);
    }
    MDL_TRY(mdl_agree(run->stage->comm, rc, err));
    MDL_TRY(mdl_queue_open(run->stage->comm, n_item, prices, &queue, err));
    for (int64_t k = mdl_queue_take(queue); k >= 0 && rc == MDL_OK; k = mdl_queue_take(queue)) {
        int64_t first = k % n_block * BLOCK;
        for (int64_t s = first; rc == MDL_OK && s < first + BLOCK && s < n_setting; s++)
            rc = run_cell(run, s, k / n_block, err);
        if (rc != MDL_OK)
            mdl_queue_stop(queue);
    }
    mdl_queue_close(queue);
    rc = mdl_agree(run->stage->comm, rc, err);
done:
    free(prices);
    return rc;
}

/* Brings the shares together on rank 0. */
static int collect(run_t *run, mdl_error_t *err)
{
    const int64_t n_cell = run->grid.n_setting * run->n_pool;
    const int on_root = run->stage->rank == 0;
    if (n_cell > INT_MAX)
        return mdl_fail(err, MDL_E_USAGE, "--sweep: too many settings for %lld tasks",
                        (long long)run->n_pool);
    for (int m = 0; m < MDL_N_MEASURE; m++) {
        double *part = run->measure + m * n_cell;
        MPI_Reduce(on_root ? MPI_IN_PLACE : part, part, (int)n_cell, MPI_DOUBLE, MPI_SUM, 0,
                   run->stage->comm);
    }
    MPI_Reduce(on_root ? MPI_IN_PLACE : run->choice, run->choice, (int)n_cell, MPI_INT64_T, MPI_SUM,
               0, run->stage->comm);
    return MDL_OK;
}

int mdl_simulate_run(mdl_stage_t *stage, const mdl_simulate_options_t *options, const char *curves,
                     const char *method, mdl_error_t *err)
{
    run_t run = {.stage = stage, .options = options, .curves = curves};
    int rc;
    MDL_TRY(mdl_agree(stage->comm, prepare(&run, method, err), err));
    double start = MPI_Wtime();
    MDL_TRY(run_items(&run, err));
    MDL_TRY(collect(&run, err));
    mdl_log(MDL_LOG_INFO, "searches: %lld in %.2f s",
            (long long)(run.grid.n_setting * run.n_pool * options->n_seed), MPI_Wtime() - start);
    const mdl_simulate_result_t result = {.curves = curves,
                                          .grid = &run.grid,
                                          .pools = run.pools,
                                          .n_pool = run.n_pool,
                                          .n_seed = options->n_seed,
                                          .measure = run.measure,
                                          .choice = run.choice};
    rc = mdl_on_root(stage->comm, stage->rank, mdl_simulate_put_out(&result, options->output, err),
                     err);
done:
    for (int64_t t = 0; t < run.n_pool; t++)
        mdl_pool_free(&run.pools[t]);
    free(run.pools);
    free(run.measure);
    free(run.choice);
    mdl_search_free(run.search);
    mdl_setting_grid_free(&run.grid);
    mdl_scores_free(&run.scores);
    mdl_alike_free(&run.alike);
    mdl_curve_table_free(&run.table);
    return rc;
}
