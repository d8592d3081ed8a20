#include "report/rounds_plot.h"

#include "core/text.h"
#include "report/palette.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LABEL = 24, MOST_ROWS = 48 };

static const double row_height = 22, column_width = 54, cell_width = 46, cell_height = 17,
                    header = 46, character_width = 7.1;

typedef struct {
    int64_t row;  /* in the table */
    int last;     /* round in which it was kept last, 0 = never */
    double value; /* expected then */
} life_t;

typedef struct {
    const mdl_regress_t *from;
    life_t *lives; /* n_life, those who took part, the longest first */
    int64_t n_life;
    int n_round;
    double low, high; /* of all cells */
    double left;
} chart_t;

static int is_kept(const mdl_regress_t *from, int64_t k)
{
    return from->round_kept[k][0] != '\0';
}

static int by_length_and_value(const void *a, const void *b)
{
    const life_t *x = a, *y = b;
    if (x->last != y->last)
        return y->last - x->last;
    int order = (x->value > y->value) - (x->value < y->value);
    return order != 0 ? order : (x->row > y->row) - (x->row < y->row);
}

static int collect(chart_t *chart, mdl_error_t *err)
{
    const mdl_regress_t *from = chart->from;
    int rc = mdl_alloc(&chart->lives, (size_t)from->n_candidate, sizeof *chart->lives, "the rounds",
                       err);
    if (rc != MDL_OK)
        return rc;
    chart->n_round = from->round[from->n_round - 1];
    chart->low = INFINITY;
    chart->high = -INFINITY;
    for (int64_t i = 0; i < from->n_candidate; i++) {
        life_t life = {.row = i, .last = -1};
        for (int64_t k = 0; k < from->n_round; k++) {
            if (from->round_candidate[k] != i || !isfinite(from->round_predicted[k]))
                continue;
            if (is_kept(from, k) || life.last < 0) {
                life.last = is_kept(from, k) ? from->round[k] : 0;
                life.value = from->round_predicted[k];
            }
            chart->low = fmin(chart->low, from->round_predicted[k]);
            chart->high = fmax(chart->high, from->round_predicted[k]);
        }
        if (life.last >= 0)
            chart->lives[chart->n_life++] = life;
    }
    qsort(chart->lives, (size_t)chart->n_life, sizeof *chart->lives, by_length_and_value);
    return MDL_OK;
}

static double centre_of(const chart_t *chart, int round)
{
    return chart->left + ((double)round - 0.5) * column_width;
}

static void draw_header(mdl_buffer_t *page, const chart_t *chart, double height)
{
    const mdl_regress_t *from = chart->from;
    const char *const lines[] = {"round", "ratio", "go on"};
    char text[24];
    for (int i = 0; i < 3; i++)
        mdl_svg_text(page, chart->left - 4, 13 + 12.5 * i, MDL_SVG_END, 0, "small", lines[i], 16);
    for (int64_t k = 0; k < from->n_round;) {
        const int round = from->round[k];
        const double x = centre_of(chart, round), mark = from->round_mark[k];
        int n_kept = 0;
        for (; k < from->n_round && from->round[k] == round; k++)
            n_kept += is_kept(from, k);
        snprintf(text, sizeof text, "%d", round);
        mdl_svg_text(page, x, 13, MDL_SVG_MIDDLE, 0, "strong", text, 8);
        snprintf(text, sizeof text, "%.3g", mark);
        mdl_svg_text(page, x, 25.5, MDL_SVG_MIDDLE, 0, "small", text, 16);
        snprintf(text, sizeof text, "%d", n_kept);
        mdl_svg_text(page, x, 38, MDL_SVG_MIDDLE, 0, "small", text, 16);
        mdl_svg_line(page, x, header - 3, x, height, "grid");
    }
}

/* What shows on hovering over a decision. New memory, or NULL. */
static char *explain(const mdl_regress_t *from, int64_t k)
{
    const char *name = from->candidate[from->round_candidate[k]];
    const char *fate = is_kept(from, k) ? from->round_kept[k] : "out of reach";
    if (from->round_ratio[k] > 0)
        return mdl_text("%s: error %.4f at ratio %.3g, %.4f expected at 1 (sigma %.3f of its "
                        "logarithm); %s",
                        name, from->round_error[k], from->round_ratio[k], from->round_predicted[k],
                        from->round_sigma[k], fate);
    return mdl_text("%s: not trained yet, %.4f expected at 1 from the one most like it (sigma %.3f "
                    "of its logarithm); %s",
                    name, from->round_predicted[k], from->round_sigma[k], fate);
}

static void draw_cell(mdl_buffer_t *page, const chart_t *chart, int64_t k, double y)
{
    const mdl_regress_t *from = chart->from;
    const double x = centre_of(chart, from->round[k]) - cell_width / 2;
    const double spread = chart->high - chart->low, value = from->round_predicted[k];
    const double part = spread > 0 ? (chart->high - value) / spread : 0.5;
    char colour[MDL_COLOUR_SIZE];
    char *title = explain(from, k);
    mdl_palette_colour(part, colour);
    mdl_svg_rect(page, x, y, cell_width, cell_height, is_kept(from, k) ? colour : NULL,
                 is_kept(from, k) ? NULL : "failed", title);
    free(title);
    mdl_buffer_add(page, "<text x=\"%.2f\" y=\"%.2f\" class=\"value\"", x + cell_width / 2,
                   y + 12.5);
    if (is_kept(from, k))
        mdl_buffer_add(page, " style=\"fill:%s\"", mdl_palette_ink(part));
    mdl_buffer_add(page, ">%.3f</text>\n", value);
}

/* Cells of the rounds in which a candidate was kept, and of the one that cut it. */
static void draw_life(mdl_buffer_t *page, const chart_t *chart, const life_t *life, double y)
{
    const mdl_regress_t *from = chart->from;
    const int lives = strcmp(from->candidate[life->row], from->choice) == 0;
    int was_kept = 1;
    mdl_svg_text(page, chart->left - 4, y + cell_height / 2 + 4, MDL_SVG_END, 0,
                 lives ? "strong" : NULL, from->candidate[life->row], MAX_LABEL);
    for (int64_t k = 0; k < from->n_round; k++) {
        if (from->round_candidate[k] != life->row || !isfinite(from->round_predicted[k]))
            continue;
        if (is_kept(from, k) || was_kept)
            draw_cell(page, chart, k, y);
        was_kept = is_kept(from, k);
    }
}

int mdl_rounds_draw(mdl_buffer_t *page, const mdl_regress_t *regress, mdl_error_t *err)
{
    chart_t chart = {.from = regress};
    int rc = collect(&chart, err), n_longest = 8;
    if (rc != MDL_OK)
        return rc;
    const int64_t n = chart.n_life < MOST_ROWS ? chart.n_life : MOST_ROWS;
    const double height = header + (double)n * row_height;
    for (int64_t i = 0; i < n; i++) {
        int length = mdl_html_n_character(regress->candidate[chart.lives[i].row]);
        n_longest = length > n_longest ? length : n_longest;
    }
    chart.left = (n_longest < MAX_LABEL ? n_longest : MAX_LABEL) * character_width + 8;
    mdl_buffer_add(page, "<p>In each round all pairs in play are trained to the same share of the "
                         "alignment data and predicted; those whose interval doesn't reach the "
                         "leader's are cut, the others go on.</p>\n");
    mdl_html_figure_begin(page);
    mdl_svg_begin(page, chart.left + chart.n_round * column_width + 8, height + 2,
                  "Rounds: who was kept how long",
                  "One row a candidate, one column a round. Each cell holds the error expected at "
                  "ratio 1 and says on hovering why the candidate was kept.");
    draw_header(page, &chart, height);
    for (int64_t i = 0; i < n; i++)
        draw_life(page, &chart, &chart.lives[i], header + (double)i * row_height);
    mdl_svg_end(page);
    mdl_html_figure_end(page,
                        "Error expected at ratio 1, %.3f (bright) to %.3f (dark); an empty frame: "
                        "cut. %lld of %lld pairs that took part. Hover for the reason.",
                        chart.low, chart.high, (long long)n, (long long)chart.n_life);
    free(chart.lives);
    return MDL_OK;
}
