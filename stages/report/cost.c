#include "report/cost.h"

#include "core/text.h"
#include "report/svg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t row_in_rung(const mdl_rung_t *rung, const char *candidate)
{
    for (int64_t i = 0; i < rung->n_candidate; i++)
        if (strcmp(rung->candidate[i], candidate) == 0)
            return i;
    return -1;
}

static double positive(double seconds)
{
    return isfinite(seconds) && seconds > 0 ? seconds : 0;
}

/* Seconds that candidate had been trained for when rung number n_done - 1 was over. */
static double seconds_before(const mdl_report_input_t *input, int n_done, const char *candidate)
{
    for (int k = n_done - 1; k >= 0; k--) {
        int64_t i = row_in_rung(&input->rungs[k], candidate);
        if (i >= 0)
            return positive(input->rungs[k].train_seconds[i]);
    }
    return 0;
}

static int64_t row_in_regress(const mdl_report_input_t *input, const char *candidate)
{
    for (int64_t i = 0; input->has_regress && i < input->regress.n_candidate; i++)
        if (strcmp(input->regress.candidate[i], candidate) == 0)
            return i;
    return -1;
}

static void add_rungs(const mdl_report_input_t *input, mdl_cost_t *cost)
{
    for (int k = 0; k < input->n_rung; k++) {
        const mdl_rung_t *rung = &input->rungs[k];
        for (int64_t i = 0; i < rung->n_candidate; i++)
            cost->rung[k] += positive(positive(rung->train_seconds[i]) -
                                      seconds_before(input, k, rung->candidate[i]));
        cost->total += cost->rung[k];
    }
}

static void add_regress(const mdl_report_input_t *input, mdl_cost_t *cost)
{
    if (!input->has_regress)
        return;
    const mdl_regress_t *from = &input->regress;
    for (int64_t i = 0; i < from->n_candidate; i++)
        cost->regress += positive(positive(from->train_seconds[i]) -
                                  seconds_before(input, input->n_rung, from->candidate[i]));
    cost->lost = positive(from->lost_seconds);
    cost->total += cost->regress + cost->lost;
}

static void add_final(const mdl_report_input_t *input, mdl_cost_t *cost)
{
    if (!input->has_final)
        return;
    int64_t row = row_in_regress(input, input->final_candidate);
    double before = row >= 0 ? positive(input->regress.train_seconds[row])
                             : seconds_before(input, input->n_rung, input->final_candidate);
    cost->final = positive(positive(input->final.train_seconds) - before);
    cost->total += cost->final;
}

static void add_rate(double seconds, double ratio, double *sum, int64_t *n)
{
    if (positive(seconds) > 0 && ratio > 0) {
        *sum += seconds / ratio;
        (*n)++;
    }
}

static int is_in_later_rung(const mdl_report_input_t *input, int k, const char *candidate)
{
    for (int later = k + 1; later < input->n_rung; later++)
        if (row_in_rung(&input->rungs[later], candidate) >= 0)
            return 1;
    return 0;
}

/* Every trained candidate counts once, at the largest ratio that it reached. */
static void estimate_grid(const mdl_report_input_t *input, mdl_cost_t *cost)
{
    double sum = 0;
    const mdl_regress_t *from = &input->regress;
    for (int64_t i = 0; input->has_regress && i < from->n_candidate; i++) {
        if (input->has_final && strcmp(from->candidate[i], input->final_candidate) == 0)
            add_rate(input->final.train_seconds, input->final.ratio, &sum, &cost->n_trained);
        else
            add_rate(from->train_seconds[i], from->ratio_trained[i], &sum, &cost->n_trained);
    }
    for (int k = 0; !input->has_regress && k < input->n_rung; k++) {
        const mdl_rung_t *rung = &input->rungs[k];
        for (int64_t i = 0; i < rung->n_candidate; i++)
            if (!is_in_later_rung(input, k, rung->candidate[i]))
                add_rate(rung->train_seconds[i], rung->ratio[i], &sum, &cost->n_trained);
    }
    cost->n_pair = input->has_candidates ? input->candidates.n_candidate
                   : input->has_regress  ? from->n_candidate
                                         : 0;
    if (cost->n_trained > 0)
        cost->grid = sum / (double)cost->n_trained * (double)cost->n_pair;
}

int mdl_cost_of(const mdl_report_input_t *input, mdl_cost_t *cost, mdl_error_t *err)
{
    *cost = (mdl_cost_t){.n_rung = input->n_rung};
    int rc;
    MDL_TRY(mdl_alloc(&cost->rung, (size_t)input->n_rung, sizeof *cost->rung, "the cost", err));
    add_rungs(input, cost);
    add_regress(input, cost);
    add_final(input, cost);
    estimate_grid(input, cost);
done:
    return rc;
}

void mdl_cost_free(mdl_cost_t *cost)
{
    free(cost->rung);
    *cost = (mdl_cost_t){0};
}

typedef struct {
    char name[40];
    double seconds;
} bar_t;

static void draw_bars(mdl_buffer_t *page, const bar_t *bars, int n_bar, const char *title)
{
    enum { WIDTH = 400, LABEL = 104, NUMBER = 80, ROW = 24 };
    double longest = 0;
    char duration[32];
    for (int i = 0; i < n_bar; i++)
        longest = fmax(longest, bars[i].seconds);
    mdl_svg_begin(page, WIDTH, n_bar * ROW + 4, title, "Bars of training seconds.");
    for (int i = 0; i < n_bar; i++) {
        double length = longest > 0 ? bars[i].seconds / longest * (WIDTH - LABEL - NUMBER) : 0;
        double y = i * ROW + 4;
        mdl_svg_text(page, LABEL - 6, y + 13, MDL_SVG_END, 0, NULL, bars[i].name, 18);
        mdl_svg_rect(page, LABEL, y, fmax(length, 0.6), ROW - 6, NULL, "bar", NULL);
        mdl_svg_text(page, LABEL + length + 6, y + 13, MDL_SVG_START, 0, "strong",
                     mdl_text_duration(bars[i].seconds, duration), 16);
    }
    mdl_svg_end(page);
}

static void add_bar(bar_t *bars, int *n_bar, const char *name, double seconds)
{
    bars[*n_bar].seconds = seconds;
    snprintf(bars[*n_bar].name, sizeof bars[*n_bar].name, "%s", name);
    (*n_bar)++;
}

static void draw_stages(mdl_buffer_t *page, const mdl_cost_t *cost, const mdl_report_input_t *input,
                        bar_t *bars)
{
    int n_bar = 0;
    char name[40];
    for (int k = 0; k < cost->n_rung; k++) {
        snprintf(name, sizeof name, "rung %lld", (long long)input->rungs[k].rung);
        add_bar(bars, &n_bar, name, cost->rung[k]);
    }
    if (input->has_regress)
        add_bar(bars, &n_bar, input->regress.n_round > 0 ? "rounds" : "regression", cost->regress);
    if (input->has_final)
        add_bar(bars, &n_bar, "final training", cost->final);
    if (input->has_regress)
        add_bar(bars, &n_bar, "lost", cost->lost);
    mdl_html_figure_begin(page);
    draw_bars(page, bars, n_bar, "Training time by stage");
    mdl_html_figure_end(page,
                        "Training time by stage. Each stage counts what it added to a candidate's "
                        "run%s.",
                        input->has_regress ? "; lost time was repeated or thrown away" : "");
}

static void draw_grid(mdl_buffer_t *page, const mdl_cost_t *cost)
{
    bar_t bars[2];
    int n_bar = 0;
    add_bar(bars, &n_bar, "this search", cost->total);
    add_bar(bars, &n_bar, "full grid", cost->grid);
    mdl_html_figure_begin(page);
    draw_bars(page, bars, n_bar, "Training time against a full grid");
    mdl_html_figure_end(page,
                        "This search took %.3g %% of the estimated full grid. The estimate: "
                        "training seconds divided by the ratio reached, averaged over the %lld "
                        "trained candidates, times the %lld pairs of the zoo.",
                        100 * cost->total / cost->grid, (long long)cost->n_trained,
                        (long long)cost->n_pair);
}

int mdl_cost_draw(mdl_buffer_t *page, const mdl_cost_t *cost, const mdl_report_input_t *input,
                  mdl_error_t *err)
{
    bar_t *bars;
    int rc = mdl_alloc(&bars, (size_t)cost->n_rung + 3, sizeof *bars, "the cost", err);
    if (rc != MDL_OK)
        return rc;
    if (cost->grid > 0)
        draw_grid(page, cost);
    draw_stages(page, cost, input, bars);
    free(bars);
    return MDL_OK;
}
