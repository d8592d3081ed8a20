#include "report/report.h"

#include "core/text.h"
#include "core/version.h"
#include "report/cost.h"
#include "report/halving_plot.h"
#include "report/heatmap.h"
#include "report/html.h"
#include "report/provenance.h"
#include "report/ranking.h"
#include "report/rounds_plot.h"
#include "report/scaling_plot.h"
#include "report/style.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_OPEN_ROW = 15, N_PANEL = 6 };

static void missing(mdl_buffer_t *page, const mdl_report_input_t *input, const char *what,
                    const char *program, const char *options)
{
    char *command = input->study_path == NULL
                        ? mdl_text("%s", program)
                        : mdl_text("%s --study %s%s", program, input->study_path, options);
    mdl_html_missing(page, what, command == NULL ? program : command);
    free(command);
}

static void heading(mdl_buffer_t *page, const char *id, const char *title)
{
    mdl_buffer_add(page, "</section>\n<section id=\"%s\">\n<h2>%s</h2>\n", id, title);
}

static void begin(mdl_buffer_t *page, const mdl_report_input_t *input)
{
    const char *name = input->study == NULL ? "search" : input->study->name;
    mdl_buffer_add(page,
                   "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
                   "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"/>\n"
                   "<title>Mordal: ");
    mdl_html_text(page, "%s", name);
    mdl_buffer_add(page,
                   "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<section "
                   "id=\"answer\">\n<h1>Mordal: ",
                   mdl_report_style);
    mdl_html_text(page, "%s", name);
    mdl_buffer_add(page, "</h1>\n");
}

static void end(mdl_buffer_t *page)
{
    mdl_buffer_add(page,
                   "</section>\n</main>\n<footer>Made by mordal-report %s.</footer>\n"
                   "</body>\n</html>\n",
                   MDL_VERSION);
}

static int has_final_of_choice(const mdl_report_input_t *input)
{
    return input->has_final && strcmp(input->final_candidate, input->regress.choice) == 0;
}

static int64_t row_of_choice(const mdl_regress_t *regress)
{
    for (int64_t i = 0; i < regress->n_candidate; i++)
        if (strcmp(regress->candidate[i], regress->choice) == 0)
            return i;
    return -1;
}

/* Whether the search itself trained the choice to ratio 1, so that nothing was predicted. */
static int is_choice_measured(const mdl_regress_t *from)
{
    int64_t row = row_of_choice(from);
    return row >= 0 && strcmp(from->status[row], "measured") == 0;
}

static void draw_prediction(mdl_buffer_t *page, const mdl_report_input_t *input)
{
    const mdl_regress_t *from = &input->regress;
    int64_t row = row_of_choice(from);
    if (is_choice_measured(from)) {
        mdl_buffer_add(page, ". Trained for the whole alignment run, it measured an error of %.3f",
                       from->predicted[row]);
        if (has_final_of_choice(input) && isfinite(input->final.error_stderr))
            mdl_buffer_add(page, " (standard error %.3f)", input->final.error_stderr);
        mdl_buffer_add(page, ".");
        return;
    }
    if (row < 0 || !isfinite(from->predicted[row])) {
        mdl_buffer_add(page, ".");
        return;
    }
    mdl_buffer_add(page, ", with a predicted error of %.3f", from->predicted[row]);
    if (isfinite(from->low[row]) && isfinite(from->high[row]))
        mdl_buffer_add(page, " (%.3g %% interval %.3f to %.3f)", 100 * from->confidence,
                       from->low[row], from->high[row]);
    mdl_buffer_add(page, " after the whole alignment run.");
}

static int is_outside(const mdl_regress_t *from, double error)
{
    int64_t row = row_of_choice(from);
    return row >= 0 && (error < from->low[row] || error > from->high[row]);
}

static void draw_measurement(mdl_buffer_t *page, const mdl_report_input_t *input)
{
    int same = !input->has_regress || has_final_of_choice(input);
    if (!input->has_final || (input->has_regress && same && is_choice_measured(&input->regress)))
        return;
    mdl_buffer_add(page, " Trained that far, ");
    mdl_html_text(page, "%s", same ? "it" : input->final_candidate);
    mdl_buffer_add(page, " measured %.3f", input->final.error);
    if (isfinite(input->final.error_stderr))
        mdl_buffer_add(page, " (standard error %.3f)", input->final.error_stderr);
    if (input->has_regress && same && is_outside(&input->regress, input->final.error))
        mdl_buffer_add(page, ", outside that interval");
    mdl_buffer_add(page, ".");
}

/* Who else measured within one standard error of the choice, and who may yet be better. */
static void draw_rivals(mdl_buffer_t *page, const mdl_report_input_t *input)
{
    enum { MOST_NAMED = 3 };
    const mdl_regress_t *from = &input->regress;
    long long n_within = 0, n_open = 0;
    if (!input->has_regress || !has_final_of_choice(input))
        return;
    for (int64_t i = 0; i < from->n_candidate; i++) {
        if (strcmp(from->candidate[i], from->choice) == 0)
            continue;
        n_open +=
            strncmp(from->status[i], "predicted", 9) == 0 && from->low[i] < input->final.error;
        if (strcmp(from->status[i], "measured") != 0 ||
            !(from->predicted[i] <= input->final.error + input->final.error_stderr))
            continue;
        if (n_within < MOST_NAMED) {
            mdl_buffer_add(page, n_within == 0 ? " Also within its standard error: " : ", ");
            mdl_html_text(page, "%s (%.4f)", from->candidate[i], from->predicted[i]);
        }
        n_within++;
    }
    if (n_within > MOST_NAMED)
        mdl_buffer_add(page, " and %lld more", n_within - MOST_NAMED);
    if (n_within > 0)
        mdl_buffer_add(page, "; a search with another <code>seed</code> tells chance from "
                             "difference.");
    if (n_open > 0)
        mdl_buffer_add(page, " %lld that %s not trained that far could still be better.", n_open,
                       n_open == 1 ? "was" : "were");
}

static void draw_spent(mdl_buffer_t *page, const mdl_cost_t *cost)
{
    char spent[32], grid[32];
    if (!(cost->total > 0))
        return;
    mdl_buffer_add(page, " The search trained for %s", mdl_text_duration(cost->total, spent));
    if (cost->grid > 0)
        mdl_buffer_add(page,
                       ", %.3g %% of the %s that training all %lld pairs would take (estimate)",
                       100 * cost->total / cost->grid, mdl_text_duration(cost->grid, grid),
                       (long long)cost->n_pair);
    mdl_buffer_add(page, ".");
}

static void draw_answer(mdl_buffer_t *page, const mdl_report_input_t *input, const mdl_cost_t *cost)
{
    mdl_buffer_add(page, "<p class=\"answer\">");
    if (!input->has_regress) {
        mdl_buffer_add(page, "The search isn't over: no pair is chosen yet.");
    } else {
        mdl_buffer_add(page, "The best pair is <strong>");
        mdl_html_text(page, "%s", input->regress.choice);
        mdl_buffer_add(page, "</strong>");
        draw_prediction(page, input);
    }
    draw_measurement(page, input);
    draw_rivals(page, input);
    draw_spent(page, cost);
    mdl_buffer_add(page, "</p>\n");
}

static void draw_ranking(mdl_buffer_t *page, const mdl_report_input_t *input)
{
    heading(page, "ranking", "Ranking");
    if (!input->has_regress) {
        missing(page, input, "The ranking is", "mordal-regress", "");
        return;
    }
    mdl_buffer_add(page,
                   "<p>Error is 1 minus the score on the target task, predicted for the whole "
                   "alignment run. Pairs of dropped clusters have no prediction; pairs that rounds "
                   "never trained have an estimate from those that are like them. The same table "
                   "is in <code>ranking.csv</code>.</p>\n");
    mdl_ranking_draw(page, &input->regress, N_OPEN_ROW);
}

static int draw_language(mdl_buffer_t *page, const mdl_report_input_t *input, mdl_error_t *err)
{
    double low = 1;
    int rc = MDL_OK;
    mdl_buffer_add(page, "<h3>Language models</h3>\n");
    for (int i = 0; i < input->n_language; i++)
        if (input->language[i].has_similarity)
            low = fmin(low, mdl_heatmap_low(&input->language[i]));
    if (low == 1) {
        missing(page, input, "The similarity of the language models is", "mordal-cka",
                " --side language");
        return MDL_OK;
    }
    mdl_buffer_add(page, "<p>What the language models make of the same images depends on the "
                         "encoder through which they see them, so they are compared once for each "
                         "medoid encoder.</p>\n<div class=\"pair\">\n");
    for (int i = 0; rc == MDL_OK && i < input->n_language; i++) {
        if (!input->language[i].has_similarity)
            continue;
        char *what = mdl_text("Seen through %s", input->language[i].name);
        rc = mdl_heatmap_draw(page, &input->language[i], low, what == NULL ? "" : what, err);
        free(what);
    }
    mdl_buffer_add(page, "</div>\n");
    return rc;
}

static int draw_similarity(mdl_buffer_t *page, const mdl_report_input_t *input, mdl_error_t *err)
{
    int rc = MDL_OK;
    heading(page, "similarity", "Similarity");
    mdl_buffer_add(page, "<p>Centred kernel alignment (CKA) of the models' activations on the same "
                         "samples. Models that join to the right of the dashed threshold form a "
                         "cluster, and its medoid stands for all of them.</p>\n"
                         "<h3>Vision encoders</h3>\n");
    if (input->vision.has_similarity)
        rc = mdl_heatmap_draw(page, &input->vision, mdl_heatmap_low(&input->vision),
                              "Vision encoders", err);
    else
        missing(page, input, "The similarity of the vision encoders is", "mordal-cka",
                " --side vision");
    return rc == MDL_OK ? draw_language(page, input, err) : rc;
}

static int draw_halving(mdl_buffer_t *page, const mdl_report_input_t *input, mdl_error_t *err)
{
    heading(page, "halving", "Halving");
    if (input->n_rung == 0) {
        missing(page, input, "The first rung is", "mordal-rung", "");
        return MDL_OK;
    }
    const mdl_rung_t *last = &input->rungs[input->n_rung - 1];
    mdl_buffer_add(page, "<p>The medoid of every candidate cluster is trained on a small share of "
                         "the alignment data; the better ones go on to a larger share.");
    if (last->finished && last->note[0] != '\0') {
        mdl_buffer_add(page, " It ended after rung %lld: ", (long long)last->rung);
        mdl_html_text(page, "%s.", last->note);
    }
    mdl_buffer_add(page, "</p>\n");
    if (!last->finished)
        missing(page, input, "The next rung is", "mordal-rung", "");
    return mdl_halving_draw(page, input->rungs, input->n_rung, err);
}

static int draw_search(mdl_buffer_t *page, const mdl_report_input_t *input, mdl_error_t *err)
{
    if (input->has_regress && input->regress.n_round > 0) {
        heading(page, "rounds", "Rounds");
        return mdl_rounds_draw(page, &input->regress, err);
    }
    if (input->study != NULL && mdl_study_in_rounds(input->study)) {
        heading(page, "rounds", "Rounds");
        missing(page, input, "The search is", "mordal-regress", "");
        return MDL_OK;
    }
    return draw_halving(page, input, err);
}

static void draw_scaling(mdl_buffer_t *page, const mdl_report_input_t *input)
{
    heading(page, "scaling", "Scaling");
    if (!input->has_regress) {
        missing(page, input, "The fit of the scaling lines is", "mordal-regress", "");
        return;
    }
    mdl_buffer_add(page, "<p>The best candidates of those that were trained: the logarithm of the "
                         "error against the logarithm of the share of alignment data.</p>\n");
    mdl_scaling_draw(page, input, N_PANEL);
}

static int draw_cost(mdl_buffer_t *page, const mdl_report_input_t *input, const mdl_cost_t *cost,
                     mdl_error_t *err)
{
    heading(page, "cost", "Cost");
    if (!(cost->total > 0)) {
        missing(page, input, "A training time is", "mordal-rung", "");
        return MDL_OK;
    }
    return mdl_cost_draw(page, cost, input, err);
}

int mdl_report_page(mdl_buffer_t *page, const mdl_report_input_t *input, mdl_error_t *err)
{
    mdl_cost_t cost = {0};
    int rc;
    MDL_TRY(mdl_cost_of(input, &cost, err));
    begin(page, input);
    draw_answer(page, input, &cost);
    draw_ranking(page, input);
    MDL_TRY(draw_similarity(page, input, err));
    MDL_TRY(draw_search(page, input, err));
    draw_scaling(page, input);
    MDL_TRY(draw_cost(page, input, &cost, err));
    heading(page, "provenance", "Where every number came from");
    mdl_provenance_draw(page, input);
    end(page);
done:
    mdl_cost_free(&cost);
    return rc;
}
