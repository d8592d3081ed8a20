#include "models/halving.h"

#include "core/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double mdl_halving_ratio(const mdl_halving_t *halving, int64_t rung)
{
    return halving->start_ratio * pow(halving->eta, (double)(rung - 1));
}

/* 1 when row a is better than row b. A loss that isn't known doesn't decide. */
static int is_better(const mdl_rung_t *rung, int64_t a, int64_t b)
{
    if (rung->error[a] != rung->error[b])
        return rung->error[a] < rung->error[b];
    if (isfinite(rung->loss[a]) && isfinite(rung->loss[b]) && rung->loss[a] != rung->loss[b])
        return rung->loss[a] < rung->loss[b];
    return strcmp(rung->candidate[a], rung->candidate[b]) < 0;
}

static int64_t best_left(const mdl_rung_t *rung)
{
    int64_t best = -1;
    for (int64_t i = 0; i < rung->n_candidate; i++)
        if (!rung->failed[i] && !rung->promoted[i] && (best < 0 || is_better(rung, i, best)))
            best = i;
    return best;
}

static int is_last(const mdl_halving_t *halving, const mdl_rung_t *rung)
{
    return mdl_halving_ratio(halving, rung->rung + 1) > halving->max_ratio * (1 + 1e-9);
}

static int conclude(const mdl_halving_t *halving, mdl_rung_t *rung, int64_t n_promoted,
                    mdl_error_t *err)
{
    double next = mdl_halving_ratio(halving, rung->rung + 1);
    rung->finished = n_promoted <= halving->keep;
    if (rung->finished)
        rung->note = mdl_text("clusters left: %lld, no more than K = %lld", (long long)n_promoted,
                              (long long)halving->keep);
    else
        rung->note =
            mdl_text("clusters that go on: %lld, to ratio %.6g", (long long)n_promoted, next);
    if (rung->note == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for the rung's note");
    return MDL_OK;
}

int mdl_halving_promote(const mdl_halving_t *halving, mdl_rung_t *rung, mdl_error_t *err)
{
    int64_t n_promoted = 0;
    int64_t n_wanted = (int64_t)ceil((double)rung->n_candidate / halving->eta - 1e-9);
    if (n_wanted < halving->keep || is_last(halving, rung))
        n_wanted = halving->keep;
    memset(rung->promoted, 0, (size_t)rung->n_candidate);
    while (n_promoted < n_wanted) {
        int64_t best = best_left(rung);
        if (best < 0)
            break;
        rung->promoted[best] = 1;
        n_promoted++;
    }
    if (n_promoted == 0)
        return mdl_fail(err, MDL_E_TRAINER, "all %lld candidates of rung %lld failed; %s: %s",
                        (long long)rung->n_candidate, (long long)rung->rung, rung->candidate[0],
                        rung->reason[0]);
    return conclude(halving, rung, n_promoted, err);
}

int mdl_halving_pass_all(const mdl_halving_t *halving, mdl_rung_t *rung, mdl_error_t *err)
{
    for (int64_t i = 0; i < rung->n_candidate; i++)
        rung->promoted[i] = 1;
    rung->finished = 1;
    rung->note = mdl_text("clusters: %lld, no more than K = %lld: nothing to halve",
                          (long long)rung->n_candidate, (long long)halving->keep);
    if (rung->note == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for the rung's note");
    return MDL_OK;
}
