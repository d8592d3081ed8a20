#include "regress/forecast_steps.h"

#include "core/text.h"
#include "io/candidates_file.h"
#include "io/regress_file.h"
#include "io/rung_file.h"
#include "models/trainer.h"
#include "mpi/agree.h"
#include "mpi/group.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A speed is measured in milliseconds on a machine that may be busier or idler later. */
static const double SPEED_SPREAD = 2;

/* Seconds to ratio 1 of every pair of the zoo. */
static int list_seconds(const mdl_study_t *study, mdl_trainer_t *trainer, double full_seconds,
                        double *seconds, mdl_error_t *err)
{
    int64_t n = 0;
    for (unsigned v = 0; v < study->zoo.n_vision; v++)
        for (unsigned l = 0; l < study->zoo.n_language; l++) {
            mdl_candidate_t pair = {study->zoo.vision[v].name, study->zoo.language[l].name};
            double cost = full_seconds > 0 ? full_seconds : mdl_trainer_seconds(trainer, &pair);
            if (!(cost > 0))
                return mdl_fail(err, MDL_E_MISSING,
                                "the training speed of %s+%s is not known; give --full-seconds, "
                                "those of one candidate to ratio 1",
                                pair.ve, pair.lm);
            seconds[n++] = cost;
        }
    return MDL_OK;
}

/* The number of candidate clusters, 0 while it isn't known. */
static int64_t count_clusters(const mdl_study_t *study)
{
    mdl_candidates_t candidates = {0};
    mdl_error_t ignored;
    char *path = mdl_study_path(study, "clusters/candidates.h5");
    int64_t n = 0;
    if (path != NULL && access(path, R_OK) == 0 &&
        mdl_candidates_read(path, &candidates, &ignored) == MDL_OK)
        n = candidates.n_cluster;
    mdl_candidates_free(&candidates);
    free(path);
    return n;
}

/* What the stages have used so far; NaN where one hasn't run. */
typedef struct {
    double rung[MDL_FORECAST_MAX_RUNG];
    int n_rung;
    double regress, final, lost;
} used_t;

/* Seconds of a candidate at the end of the rungs before number. */
static double seconds_before(const mdl_rung_t *rungs, int64_t n_rung, const char *name)
{
    double seconds = 0;
    for (int64_t k = 0; k < n_rung; k++)
        for (int64_t i = 0; i < rungs[k].n_candidate; i++)
            if (strcmp(rungs[k].candidate[i], name) == 0 && rungs[k].train_seconds[i] > seconds)
                seconds = rungs[k].train_seconds[i];
    return seconds;
}

static void read_final(const mdl_study_t *study, const mdl_regress_t *regress, used_t *used)
{
    char *path = mdl_study_path(study, "regress/final.h5"), *name = NULL;
    mdl_point_t point;
    mdl_error_t ignored;
    if (path != NULL && access(path, R_OK) == 0 &&
        mdl_final_read(path, &name, &point, &ignored) == MDL_OK) {
        used->final = point.train_seconds;
        for (int64_t i = 0; i < regress->n_candidate; i++)
            if (strcmp(regress->candidate[i], name) == 0 && regress->train_seconds[i] > 0)
                used->final -= regress->train_seconds[i];
    }
    free(name);
    free(path);
}

static void read_regress(const mdl_study_t *study, const mdl_rung_t *rungs, used_t *used)
{
    char *path = mdl_study_path(study, "regress/regress.h5");
    mdl_regress_t regress;
    mdl_error_t ignored;
    used->regress = used->final = used->lost = NAN;
    if (path != NULL && access(path, R_OK) == 0 &&
        mdl_regress_read(path, &regress, &ignored) == MDL_OK) {
        used->regress = 0;
        used->lost = regress.lost_seconds;
        for (int64_t i = 0; i < regress.n_candidate; i++)
            if (regress.train_seconds[i] > 0)
                used->regress +=
                    fmax(0, regress.train_seconds[i] -
                                seconds_before(rungs, used->n_rung, regress.candidate[i]));
        read_final(study, &regress, used);
        mdl_regress_free(&regress);
    }
    free(path);
}

static void read_used(const mdl_study_t *study, used_t *used)
{
    mdl_rung_t rungs[MDL_FORECAST_MAX_RUNG];
    mdl_error_t ignored;
    int finished = 0;
    *used = (used_t){0};
    while (!finished && used->n_rung < MDL_FORECAST_MAX_RUNG) {
        char *path = mdl_study_path(study, "rungs/rung-%d.h5", used->n_rung + 1);
        mdl_rung_t *rung = &rungs[used->n_rung];
        int there = path != NULL && access(path, R_OK) == 0 &&
                    mdl_rung_read(path, rung, &ignored) == MDL_OK;
        free(path);
        if (!there)
            break;
        for (int64_t i = 0; i < rung->n_candidate; i++)
            used->rung[used->n_rung] +=
                fmax(0, rung->train_seconds[i] -
                            seconds_before(rungs, used->n_rung, rung->candidate[i]));
        finished = rung->finished;
        used->n_rung++;
    }
    read_regress(study, rungs, used);
    for (int k = 0; k < used->n_rung; k++)
        mdl_rung_free(&rungs[k]);
}

/* How the ranks share the candidates out. */
typedef struct {
    const char *device;
    int size, n_group; /* ranks a candidate; candidates at once */
} sharing_t;

static sharing_t share_out(const mdl_study_t *study, int n_rank)
{
    int64_t n_pair = (int64_t)study->zoo.n_vision * study->zoo.n_language;
    int size =
        mdl_group_size(n_rank, n_pair, study->trainer.ranks_per_candidate, study->trainer.batch);
    return (sharing_t){study->slurm.gpus_per_node > 0 ? "GPU" : "rank", size, n_rank / size};
}

static void print_used(double used, const char *format)
{
    if (isnan(used))
        printf(" %9s", "-");
    else
        printf(format, used);
}

/* Seconds, hours of ranks, and wall time of a stage with n_group candidates at once. */
static void print_row(const char *stage, const mdl_range_t *range, double used,
                      const sharing_t *sharing, int n_group)
{
    const double hour = sharing->size / 3600.0;
    char low[32], high[32];
    printf("%-17s %9.1f %9.1f %9.1f", stage, range->low, range->expected, range->high);
    print_used(used, " %9.1f");
    printf(" %9.3g %9.3g %9.3g", range->low * hour, range->expected * hour, range->high * hour);
    print_used(used * hour, " %9.3g");
    printf("  %s to %s\n", mdl_text_duration(range->low / n_group, low),
           mdl_text_duration(range->high / n_group, high));
}

static void print_head(const mdl_study_t *study, const sharing_t *sharing, int64_t n_cluster)
{
    const char *device = sharing->device;
    int64_t n_pair = (int64_t)study->zoo.n_vision * study->zoo.n_language;
    printf("training of %lld pairs in ", (long long)n_pair);
    if (mdl_study_in_rounds(study))
        printf("rounds, as long as they can't be told apart");
    else if (n_cluster > 0)
        printf("clusters: %lld", (long long)n_cluster);
    else
        printf("clusters: not known yet, a quarter of the pairs expected");
    printf("; seconds and %s hours, %d %ss a candidate, %d candidates at once\n", device,
           sharing->size, device, sharing->n_group);
    printf("%-17s %9s %9s %9s %9s %9s %9s %9s %9s  wall\n", "stage", "low", "expected", "worst",
           "used", "low_h", "expected_h", "worst_h", "used_h");
}

static double known(double value)
{
    return isnan(value) ? 0 : value;
}

static void print_rungs(const mdl_forecast_t *forecast, const used_t *used,
                        const sharing_t *sharing)
{
    static const mdl_range_t none = {0};
    char name[32];
    for (int k = 0; k < forecast->n_rung || k < used->n_rung; k++) {
        snprintf(name, sizeof name, "rung-%d", k + 1);
        print_row(name, k < forecast->n_rung ? &forecast->rung[k] : &none,
                  k < used->n_rung ? used->rung[k] : NAN, sharing, sharing->n_group);
    }
}

/* The steps that train nothing, which all ranks share; adds their wall time to *wall. */
static void print_steps(const mdl_forecast_step_t *steps, const sharing_t *sharing,
                        mdl_range_t *wall)
{
    const sharing_t single = {sharing->device, 1, sharing->size * sharing->n_group};
    for (int k = 0; k < MDL_N_FORECAST_STEP; k++) {
        if (!steps[k].is_known) {
            printf("%-17s not known without the native trainer\n", steps[k].name);
            continue;
        }
        print_row(steps[k].name, &steps[k].seconds, steps[k].used, &single, single.n_group);
        wall->low += steps[k].seconds.low / single.n_group;
        wall->high += steps[k].seconds.high / single.n_group;
    }
}

/* The training choice's last part is one candidate's: it isn't shared out. */
static void print_total(const mdl_forecast_t *forecast, double used, const sharing_t *sharing,
                        const mdl_range_t *steps_wall)
{
    const double n_group = sharing->n_group, alone = 1 - 1 / n_group;
    char low[32], high[32];
    print_row("total", &forecast->total, used, sharing, sharing->n_group);
    printf("full grid: %.1f s; expected share %.3f (%.3f to %.3f)\n", forecast->grid,
           forecast->total.expected / forecast->grid, forecast->total.low / forecast->grid,
           forecast->total.high / forecast->grid);
    printf("wall time of all: %s to %s, and about a second of start a step\n",
           mdl_text_duration(
               steps_wall->low + forecast->total.low / n_group + forecast->final.low * alone, low),
           mdl_text_duration(steps_wall->high + forecast->total.high / n_group +
                                 forecast->final.high * alone,
                             high));
}

static void print_forecast(const mdl_study_t *study, const mdl_forecast_t *forecast,
                           const mdl_forecast_step_t *steps, int64_t n_cluster, int n_rank)
{
    const sharing_t sharing = share_out(study, n_rank);
    mdl_range_t steps_wall = {0};
    used_t used;
    double sum = 0;
    read_used(study, &used);
    print_head(study, &sharing, n_cluster);
    print_steps(steps, &sharing, &steps_wall);
    print_rungs(forecast, &used, &sharing);
    print_row("regress", &forecast->regress, used.regress, &sharing, sharing.n_group);
    print_row("final", &forecast->final, used.final, &sharing, 1);
    for (int k = 0; k < used.n_rung; k++)
        sum += used.rung[k];
    sum += known(used.regress) + known(used.final) + known(used.lost);
    if (used.lost > 0)
        print_row("lost", &(mdl_range_t){0}, used.lost, &sharing, sharing.n_group);
    print_total(forecast, sum > 0 ? sum : NAN, &sharing, &steps_wall);
}

/* How many pairs a search in rounds trains: one column and one row of the zoo, or all that may be
 * told apart by training alone. */
static int64_t count_in_play(const mdl_study_t *study)
{
    const int64_t n_vision = study->zoo.n_vision, n_language = study->zoo.n_language;
    int is_cross = strcmp(study->search.strategy, "cross") == 0;
    return is_cross ? n_vision + n_language - 1 : n_vision * n_language;
}

static int make_forecast(const mdl_study_t *study, const double *seconds, double spread,
                         int64_t n_cluster, mdl_forecast_t *forecast, mdl_error_t *err)
{
    const mdl_halving_t halving = {study->search.start_ratio, study->search.eta,
                                   study->search.max_ratio, study->search.keep};
    const int64_t n = (int64_t)study->zoo.n_vision * study->zoo.n_language;
    const int train_choice = study->regress.train_choice;
    if (mdl_study_in_rounds(study))
        return mdl_forecast_rounds(seconds, spread, n, count_in_play(study), halving.start_ratio,
                                   halving.max_ratio, train_choice, forecast, err);
    return mdl_forecast(seconds, spread, n, n_cluster, &halving, train_choice, forecast, err);
}

int mdl_forecast_print(mdl_stage_t *stage, const mdl_study_t *study, double full_seconds,
                       mdl_error_t *err)
{
    const int64_t n = (int64_t)study->zoo.n_vision * study->zoo.n_language;
    const int64_t n_cluster = count_clusters(study);
    mdl_trainer_t *trainer = NULL;
    const double spread = full_seconds > 0 ? 1 : SPEED_SPREAD;
    mdl_forecast_step_t steps[MDL_N_FORECAST_STEP];
    mdl_forecast_t forecast;
    double *seconds = NULL;
    int rc;
    MDL_TRY(mdl_trainer_open(stage->comm, study, 1, &trainer, err));
    MDL_TRY(mdl_alloc(&seconds, (size_t)n, sizeof *seconds, "seconds", err));
    MDL_TRY(list_seconds(study, trainer, full_seconds, seconds, err));
    MDL_TRY(make_forecast(study, seconds, spread, n_cluster, &forecast, err));
    MDL_TRY(mdl_forecast_steps(study, seconds, spread, steps, err));
    if (stage->rank == 0)
        print_forecast(study, &forecast, steps, n_cluster, stage->n_rank);
done:
    mdl_trainer_free(trainer);
    free(seconds);
    return rc;
}
