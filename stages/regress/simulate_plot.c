/* Cost against quality, as a picture. */
#include "io/path.h"
#include "regress/simulate_output.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 720, HEIGHT = 620, LEFT = 64, RIGHT = 700 };

typedef struct {
    double low, high;         /* share of the grid, logarithmic; what costs nothing stands at low */
    double worst, best, step; /* step: between two lines of quality */
    double top, bottom;       /* of the panel, in units */
} panel_t;

static double place(double value, double from, double to, double start, double end)
{
    return start + (value - from) / (to - from) * (end - start);
}

static double x_of(const panel_t *panel, double cost)
{
    return place(log(fmax(cost, panel->low)), log(panel->low), log(panel->high), LEFT, RIGHT);
}

static double y_of(const panel_t *panel, double quality)
{
    return place(quality, panel->worst, panel->best, panel->bottom, panel->top);
}

/* 1, 2 or 5 times a power of ten, at least a fifth of the span. */
static double round_step(double span)
{
    double unit = pow(10, floor(log10(span / 5)));
    return span / 5 <= unit       ? unit
           : span / 5 <= 2 * unit ? 2 * unit
           : span / 5 <= 5 * unit ? 5 * unit
                                  : 10 * unit;
}

/* Draws lines of cost at the digits times powers of ten, or only counts them (out NULL). */
static int mark_costs(FILE *out, const panel_t *panel, const double *digits, int n_digit)
{
    int n = 0;
    for (double unit = 1e-6; unit <= 1; unit *= 10)
        for (int k = 0; k < n_digit; k++) {
            double cost = unit * digits[k], x = x_of(panel, cost);
            if (cost < panel->low || cost > panel->high)
                continue;
            n++;
            if (out != NULL)
                fprintf(out,
                        "<path d=\"M%.1f %.1fV%.1f\" class=\"grid\"/><text x=\"%.1f\" y=\"%.1f\" "
                        "text-anchor=\"middle\">%.3g</text>\n",
                        x, panel->top, panel->bottom, x, panel->bottom + 16, cost);
        }
    return n;
}

static void draw_axes(FILE *out, const panel_t *panel, const char *title)
{
    static const double few[] = {1, 2, 5}, many[] = {1, 1.5, 2, 3, 4, 5, 6, 8};
    fprintf(out, "<text x=\"%d\" y=\"%.1f\" class=\"title\">%s</text>\n", LEFT, panel->top - 10,
            title);
    if (mark_costs(NULL, panel, few, 3) >= 3)
        mark_costs(out, panel, few, 3);
    else
        mark_costs(out, panel, many, 8);
    int n_tick = (int)floor((panel->best - panel->worst) / panel->step + 0.5);
    for (int k = 0; k <= n_tick; k++) {
        double value = panel->worst + k * panel->step, y = y_of(panel, value);
        fprintf(out, "<path d=\"M%d %.1fH%d\" class=\"grid\"/>", LEFT, y, RIGHT);
        fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.3g</text>\n", LEFT - 6, y + 4,
                fabs(value) < 1e-9 ? 0 : value);
    }
}

/* 1 when no other setting is at least as good for less. */
static int is_front(const double *cost, const double *quality, int64_t n, int64_t i)
{
    for (int64_t j = 0; j < n; j++)
        if (quality[j] >= quality[i] && (cost[j] < cost[i] || (cost[j] == cost[i] && j < i)))
            return 0;
    return 1;
}

/* The best of those that cost more than before, NULL = -1; walks along the front. */
static int64_t next_front(const double *cost, const double *quality, const uint8_t *front,
                          int64_t n, int64_t after)
{
    int64_t next = -1;
    for (int64_t i = 0; i < n; i++) {
        if (!front[i] || (after >= 0 && quality[i] <= quality[after]))
            continue;
        if (next < 0 || cost[i] < cost[next])
            next = i;
    }
    return next;
}

/* 1 when an earlier setting stands at the same place. */
static int is_repeated(const double *cost, const double *quality, int64_t i)
{
    for (int64_t j = 0; j < i; j++)
        if (cost[j] == cost[i] && quality[j] == quality[i])
            return 1;
    return 0;
}

static void draw_points(FILE *out, const panel_t *panel, const mdl_simulation_t *s,
                        const double *quality, const uint8_t *front)
{
    const double *cost = s->mean[MDL_MEASURE_COST];
    const char *move = "M";
    fprintf(out, "<path class=\"front\" d=\"");
    for (int64_t i = next_front(cost, quality, front, s->n_setting, -1); i >= 0;
         i = next_front(cost, quality, front, s->n_setting, i)) {
        fprintf(out, "%s%.1f %.1f", move, x_of(panel, cost[i]), y_of(panel, quality[i]));
        move = "L";
    }
    fprintf(out, "\"/>\n");
    for (int64_t i = 0; i < s->n_setting; i++) {
        if (isnan(quality[i]) || is_repeated(cost, quality, i))
            continue;
        fprintf(out,
                "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%s\" class=\"%s\"><title>%s: cost %.4f, "
                "quality %.4f</title></circle>\n",
                x_of(panel, cost[i]), y_of(panel, quality[i]), front[i] ? "4" : "2.5",
                front[i] ? "best" : "other", s->setting[i], cost[i], quality[i]);
    }
}

/* Ranges of cost and of the measure: shares from 0 to 1, others to round numbers. */
static panel_t make_panel(double top, const mdl_simulation_t *s, mdl_measure_t measure)
{
    const double *cost = s->mean[MDL_MEASURE_COST], *quality = s->mean[measure];
    panel_t panel = {1, 1e-3, 1, 0, 0.2, top, top + 220};
    for (int64_t i = 0; i < s->n_setting; i++) {
        panel.low = cost[i] > 0 ? fmin(panel.low, cost[i]) : panel.low;
        panel.high = fmax(panel.high, cost[i]);
        panel.worst = fmin(panel.worst, quality[i]);
        panel.best = fmax(panel.best, quality[i]);
    }
    panel.low *= 0.9;
    panel.high *= 1.1;
    if (measure == MDL_MEASURE_TAU) {
        panel.step = round_step(fmax(panel.best - panel.worst, 0.01));
        panel.worst = panel.step * floor(panel.worst / panel.step);
        panel.best = panel.step * fmax(ceil(panel.best / panel.step), panel.worst / panel.step + 1);
    } else {
        panel.worst = 0;
        panel.best = 1;
    }
    return panel;
}

static void draw_panel(FILE *out, double top, const mdl_simulation_t *s, mdl_measure_t measure,
                       const char *title, uint8_t *front)
{
    const double *cost = s->mean[MDL_MEASURE_COST], *quality = s->mean[measure];
    const panel_t panel = make_panel(top, s, measure);
    for (int64_t i = 0; i < s->n_setting; i++)
        front[i] = !isnan(quality[i]) && (uint8_t)is_front(cost, quality, s->n_setting, i);
    draw_axes(out, &panel, title);
    draw_points(out, &panel, s, quality, front);
}

static void draw(FILE *out, const mdl_simulation_t *s, uint8_t *front)
{
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "height=\"%d\">\n<style>text{font:12px sans-serif;fill:#57606a}.title{font-size:14px;"
            "fill:#1b1f24}.grid{stroke:#d3d8de;stroke-width:.5;fill:none}.front{stroke:#31688e;"
            "fill:none}.best{fill:#31688e}.other{fill:#b8c0c8}</style>\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
            WIDTH, HEIGHT, WIDTH, HEIGHT);
    draw_panel(out, 36, s, MDL_MEASURE_TAU, "Weighted Kendall tau of the final ranking", front);
    draw_panel(out, 336, s, MDL_MEASURE_WITHIN_STDERR,
               "Share of searches that chose the best, or one within its standard error", front);
    fprintf(out,
            "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">cost: share of the full grid's "
            "training seconds; one point a setting</text>\n</svg>\n",
            (LEFT + RIGHT) / 2, HEIGHT - 16);
}

int mdl_simulate_draw(const char *path, const mdl_simulation_t *simulation, mdl_error_t *err)
{
    char *temporary = mdl_path_temporary(path);
    uint8_t *front = malloc((size_t)simulation->n_setting);
    int rc;
    if (temporary == NULL || front == NULL) {
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for a picture");
        goto done;
    }
    MDL_TRY(mdl_path_make_parent(path, err));
    FILE *out = fopen(temporary, "w");
    if (out == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_IO, "%s: cannot be written", temporary));
    draw(out, simulation, front);
    int failed = ferror(out);
    failed |= fclose(out) != 0;
    if (failed)
        MDL_TRY(mdl_fail(err, MDL_E_IO, "%s: writing failed; is the disk full?", temporary));
    rc = mdl_path_commit(temporary, path, err);
done:
    free(temporary);
    free(front);
    return rc;
}
