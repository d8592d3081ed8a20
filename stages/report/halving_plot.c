#include "report/halving_plot.h"

#include "core/text.h"
#include "report/palette.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LABEL = 24, MOST_ROWS = 48 };

static const double row_height = 22, column_width = 62, cell_width = 46, cell_height = 17,
                    header = 46, character_width = 7.1;

typedef struct {
    const char *name;
    int64_t *at;       /* n_rung: row of the candidate in each rung, -1 where it took no part */
    int last;          /* index of the last rung that it took part in */
    double last_error; /* infinite when it failed there */
} life_t;

typedef struct {
    const mdl_rung_t *rungs;
    int n_rung;
    life_t *lives; /* n_life */
    int64_t n_life, *cells;
    double low, high; /* of all errors */
    double left;
} chart_t;

static life_t *find_life(chart_t *chart, const char *name)
{
    for (int64_t i = 0; i < chart->n_life; i++)
        if (strcmp(chart->lives[i].name, name) == 0)
            return &chart->lives[i];
    life_t *life = &chart->lives[chart->n_life];
    *life = (life_t){.name = name, .at = chart->cells + chart->n_life * chart->n_rung};
    for (int k = 0; k < chart->n_rung; k++)
        life->at[k] = -1;
    chart->n_life++;
    return life;
}

static int by_length_and_error(const void *a, const void *b)
{
    const life_t *x = a, *y = b;
    if (x->last != y->last)
        return y->last - x->last;
    int order = (x->last_error > y->last_error) - (x->last_error < y->last_error);
    return order != 0 ? order : strcmp(x->name, y->name);
}

static int collect(chart_t *chart, mdl_error_t *err)
{
    size_t n_most = 0;
    int rc;
    for (int k = 0; k < chart->n_rung; k++)
        n_most += (size_t)chart->rungs[k].n_candidate;
    MDL_TRY(mdl_alloc(&chart->lives, n_most, sizeof *chart->lives, "the halving plot", err));
    MDL_TRY(mdl_alloc(&chart->cells, n_most * (size_t)chart->n_rung, sizeof *chart->cells,
                      "the halving plot", err));
    chart->low = INFINITY;
    chart->high = -INFINITY;
    for (int k = 0; k < chart->n_rung; k++) {
        const mdl_rung_t *rung = &chart->rungs[k];
        for (int64_t i = 0; i < rung->n_candidate; i++) {
            life_t *life = find_life(chart, rung->candidate[i]);
            int measured = !rung->failed[i] && isfinite(rung->error[i]);
            life->at[k] = i;
            life->last = k;
            life->last_error = measured ? rung->error[i] : INFINITY;
            if (measured) {
                chart->low = fmin(chart->low, rung->error[i]);
                chart->high = fmax(chart->high, rung->error[i]);
            }
        }
    }
    if (chart->n_life > 0)
        qsort(chart->lives, (size_t)chart->n_life, sizeof *chart->lives, by_length_and_error);
done:
    return rc;
}

static double centre_of(const chart_t *chart, int k)
{
    return chart->left + ((double)k + 0.5) * column_width;
}

static void draw_header(mdl_buffer_t *page, const chart_t *chart, double height)
{
    char text[24];
    const char *const lines[] = {"rung", "ratio", "candidates"};
    for (int i = 0; i < 3; i++)
        mdl_svg_text(page, chart->left - 4, 13 + 12.5 * i, MDL_SVG_END, 0, "small", lines[i], 16);
    for (int k = 0; k < chart->n_rung; k++) {
        const mdl_rung_t *rung = &chart->rungs[k];
        double x = centre_of(chart, k);
        snprintf(text, sizeof text, "%lld", (long long)rung->rung);
        mdl_svg_text(page, x, 13, MDL_SVG_MIDDLE, 0, "strong", text, 8);
        snprintf(text, sizeof text, "%.3g", rung->ratio[0]);
        mdl_svg_text(page, x, 25.5, MDL_SVG_MIDDLE, 0, "small", text, 16);
        snprintf(text, sizeof text, "%lld", (long long)rung->n_candidate);
        mdl_svg_text(page, x, 38, MDL_SVG_MIDDLE, 0, "small", text, 16);
        mdl_svg_line(page, x, header - 3, x, height, "grid");
    }
}

static void draw_cell(mdl_buffer_t *page, const chart_t *chart, const life_t *life, int k, double y)
{
    const mdl_rung_t *rung = &chart->rungs[k];
    int64_t i = life->at[k];
    double x = centre_of(chart, k) - cell_width / 2, error = rung->error[i];
    if (rung->failed[i] || !isfinite(error)) {
        char *title = mdl_text("%s failed: %s", life->name, rung->reason[i]);
        mdl_svg_rect(page, x, y, cell_width, cell_height, NULL, "failed", title);
        mdl_svg_text(page, x + cell_width / 2, y + 12.5, MDL_SVG_MIDDLE, 0, "small", "failed", 8);
        free(title);
        return;
    }
    double spread = chart->high - chart->low;
    double part = spread > 0 ? (chart->high - error) / spread : 0.5;
    char colour[MDL_COLOUR_SIZE];
    mdl_palette_colour(part, colour);
    char *title = isfinite(rung->error_stderr[i])
                      ? mdl_text("%s: error %.4f, standard error %.4f", life->name, error,
                                 rung->error_stderr[i])
                      : mdl_text("%s: error %.4f", life->name, error);
    mdl_svg_rect(page, x, y, cell_width, cell_height, colour, NULL, title);
    free(title);
    mdl_buffer_add(page,
                   "<text x=\"%.2f\" y=\"%.2f\" class=\"value\" style=\"fill:%s\">%.3f</text>\n",
                   x + cell_width / 2, y + 12.5, mdl_palette_ink(part), error);
}

static void draw_life(mdl_buffer_t *page, const chart_t *chart, const life_t *life, double y)
{
    const mdl_rung_t *last = &chart->rungs[life->last];
    int lives = life->last == chart->n_rung - 1 && last->promoted[life->at[life->last]];
    double middle = y + cell_height / 2;
    double end = centre_of(chart, life->last) + (lives ? column_width / 2 + 4 : 0);
    mdl_svg_text(page, chart->left - 4, middle + 4, MDL_SVG_END, 0, lives ? "strong" : NULL,
                 life->name, MAX_LABEL);
    mdl_svg_rect(page, chart->left, middle - 3, end - chart->left, 6, NULL, "life", NULL);
    if (lives)
        mdl_buffer_add(page, "<path class=\"mark\" d=\"M%.2f %.2fl9 6l-9 6z\"/>\n", end - 2,
                       middle - 6);
    for (int k = 0; k <= life->last; k++)
        if (life->at[k] >= 0)
            draw_cell(page, chart, life, k, y);
}

static void draw_rows(mdl_buffer_t *page, const chart_t *chart, int64_t first, int64_t end)
{
    double height = header + (double)(end - first) * row_height;
    mdl_html_figure_begin(page);
    mdl_svg_begin(page, chart->left + chart->n_rung * column_width + 16, height + 2,
                  "Successive halving: who lived how long",
                  "One row a candidate cluster, one column a rung. A bar reaches as far as the "
                  "candidate lived; each cell holds the error measured at that rung.");
    draw_header(page, chart, height);
    for (int64_t i = first; i < end; i++)
        draw_life(page, chart, &chart->lives[i], header + (double)(i - first) * row_height);
    mdl_svg_end(page);
    mdl_html_figure_end(page,
                        "Error at each rung, %.3f (bright) to %.3f (dark); a bar ends where its "
                        "cluster was dropped, an arrow goes on to the regression.",
                        chart->low, chart->high);
}

int mdl_halving_draw(mdl_buffer_t *page, const mdl_rung_t *rungs, int n_rung, mdl_error_t *err)
{
    chart_t chart = {.rungs = rungs, .n_rung = n_rung};
    int rc, n_longest = 8;
    MDL_TRY(collect(&chart, err));
    for (int64_t i = 0; i < chart.n_life; i++) {
        int n = mdl_html_n_character(chart.lives[i].name);
        n_longest = n > n_longest ? n : n_longest;
    }
    chart.left = (n_longest < MAX_LABEL ? n_longest : MAX_LABEL) * character_width + 8;
    int64_t n_figure = (chart.n_life + MOST_ROWS - 1) / MOST_ROWS;
    for (int64_t i = 0; i < n_figure; i++)
        draw_rows(page, &chart, i * chart.n_life / n_figure, (i + 1) * chart.n_life / n_figure);
done:
    free(chart.lives);
    free(chart.cells);
    return rc;
}
