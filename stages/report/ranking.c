#include "report/ranking.h"

#include "core/text.h"
#include "report/svg.h"

#include <math.h>
#include <string.h>

/* z with P(|Z| < z) = confidence for a normal Z, by bisection. */
static double normal_half_width(double confidence)
{
    double low = 0, high = 10;
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        if (erf(middle / sqrt(2)) < confidence)
            low = middle;
        else
            high = middle;
    }
    return low;
}

void mdl_ranking_set_measured(mdl_regress_t *regress, const char *candidate,
                              const mdl_point_t *point)
{
    static char measured[] = "measured";
    double half_width = normal_half_width(regress->confidence) * point->error_stderr;
    for (int64_t i = 0; i < regress->n_candidate; i++) {
        if (strcmp(regress->candidate[i], candidate) != 0)
            continue;
        regress->status[i] = measured; /* the texts are freed as one block, not one by one */
        regress->predicted[i] = point->error;
        regress->low[i] = isfinite(half_width) ? fmax(0, point->error - half_width) : NAN;
        regress->high[i] = isfinite(half_width) ? fmin(1, point->error + half_width) : NAN;
        regress->ratio_trained[i] = point->ratio;
        regress->train_seconds[i] = point->train_seconds;
    }
}

static void add_cell(mdl_buffer_t *csv, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        mdl_buffer_add(csv, "%s,", text);
        return;
    }
    mdl_buffer_add(csv, "\"");
    for (; *text != '\0'; text++)
        mdl_buffer_add(csv, *text == '"' ? "\"\"" : "%c", *text);
    mdl_buffer_add(csv, "\",");
}

static void add_number(mdl_buffer_t *csv, double value, char end)
{
    if (isfinite(value))
        mdl_buffer_add(csv, "%.9g", value);
    mdl_buffer_add_bytes(csv, &end, 1);
}

void mdl_ranking_csv(mdl_buffer_t *csv, const mdl_regress_t *regress)
{
    mdl_buffer_add(csv, "rank,ve,llm,cluster,status,error,error_low,error_high,ratio_trained,"
                        "train_seconds\n");
    for (int64_t i = 0; i < regress->n_candidate; i++) {
        mdl_buffer_add(csv, "%lld,", (long long)i + 1);
        add_cell(csv, regress->ve[i]);
        add_cell(csv, regress->lm[i]);
        mdl_buffer_add(csv, "%d,", (int)regress->cluster[i]);
        add_cell(csv, regress->status[i]);
        add_number(csv, regress->predicted[i], ',');
        add_number(csv, regress->low[i], ',');
        add_number(csv, regress->high[i], ',');
        add_number(csv, regress->ratio_trained[i], ',');
        add_number(csv, regress->train_seconds[i], '\n');
    }
}

/* The scale of all interval bars: the span of the first n intervals. */
static mdl_scale_t find_scale(const mdl_regress_t *from, int64_t n)
{
    mdl_scale_t scale = {INFINITY, -INFINITY, 4, 96, 0};
    for (int64_t i = 0; i < from->n_candidate && i < n; i++) {
        const double values[3] = {from->predicted[i], from->low[i], from->high[i]};
        for (int k = 0; k < 3; k++) {
            if (!isfinite(values[k]))
                continue;
            scale.low = fmin(scale.low, values[k]);
            scale.high = fmax(scale.high, values[k]);
        }
    }
    return scale;
}

static double clamp(double x)
{
    return fmin(100, fmax(0, x));
}

static void draw_bar(mdl_buffer_t *page, const mdl_scale_t *scale, const mdl_regress_t *from,
                     int64_t row)
{
    mdl_buffer_add(page, "<svg class=\"mini\" viewBox=\"0 0 100 12\" aria-hidden=\"true\">");
    mdl_svg_line(page, 0, 6, 100, 6, "grid");
    if (isfinite(from->low[row]) && isfinite(from->high[row]))
        mdl_svg_line(page, clamp(mdl_scale_at(scale, from->low[row])), 6,
                     clamp(mdl_scale_at(scale, from->high[row])), 6, "interval");
    mdl_svg_circle(page, clamp(mdl_scale_at(scale, from->predicted[row])), 6, 3.6, "predicted");
    mdl_buffer_add(page, "</svg>");
}

static void draw_error(mdl_buffer_t *page, const mdl_scale_t *scale, const mdl_regress_t *from,
                       int64_t row)
{
    mdl_buffer_add(page, "<td class=\"number\">");
    if (!isfinite(from->predicted[row])) {
        mdl_buffer_add(page, "</td><td></td>");
        return;
    }
    mdl_buffer_add(page, "%.3f</td><td>", from->predicted[row]);
    draw_bar(page, scale, from, row);
    if (isfinite(from->low[row]) && isfinite(from->high[row]))
        mdl_buffer_add(page, "<span class=\"small\">%.3f to %.3f</span>", from->low[row],
                       from->high[row]);
    mdl_buffer_add(page, "</td>");
}

static void draw_row(mdl_buffer_t *page, const mdl_scale_t *scale, const mdl_regress_t *from,
                     int64_t row)
{
    char duration[32];
    int chosen = strcmp(from->candidate[row], from->choice) == 0;
    mdl_buffer_add(page, "<tr%s><td class=\"number\">%lld</td><th scope=\"row\">",
                   chosen ? " class=\"chosen\"" : "", (long long)row + 1);
    mdl_html_text(page, "%s", from->ve[row]);
    mdl_buffer_add(page, " + ");
    mdl_html_text(page, "%s", from->lm[row]);
    if (chosen)
        mdl_buffer_add(page, "<span class=\"small\">the choice</span>");
    int trained_for_it = strcmp(from->status[row], "measured") == 0 ||
                         strncmp(from->status[row], "predicted", 9) == 0;
    mdl_buffer_add(page, "</th><td%s>", trained_for_it ? "" : " class=\"missing\"");
    mdl_html_text(page, "%s", from->status[row]);
    mdl_buffer_add(page, "</td>");
    draw_error(page, scale, from, row);
    mdl_buffer_add(page, "<td class=\"number\">%d</td><td class=\"number\">",
                   (int)from->cluster[row]);
    int trained = isfinite(from->ratio_trained[row]) && from->ratio_trained[row] > 0;
    if (trained)
        mdl_buffer_add(page, "%.3g", from->ratio_trained[row]);
    mdl_buffer_add(page, "</td><td class=\"number\">");
    if (trained && isfinite(from->train_seconds[row]))
        mdl_buffer_add(page, "%s", mdl_text_duration(from->train_seconds[row], duration));
    mdl_buffer_add(page, "</td></tr>\n");
}

static void draw_table(mdl_buffer_t *page, const mdl_scale_t *scale, const mdl_regress_t *from,
                       int64_t first, int64_t end)
{
    mdl_buffer_add(
        page,
        "<div class=\"table\" tabindex=\"0\" role=\"group\" aria-label=\"Ranking\">"
        "<table>\n<thead><tr><th scope=\"col\" class=\"number\">rank</th><th "
        "scope=\"col\">pair</th><th scope=\"col\">status</th>"
        "<th scope=\"col\" class=\"number\">error</th><th scope=\"col\">%.3g %% interval</th>"
        "<th scope=\"col\" class=\"number\">cluster</th>"
        "<th scope=\"col\" class=\"number\">trained to</th><th scope=\"col\" "
        "class=\"number\">training time</th></tr></thead>\n"
        "<tbody>\n",
        100 * from->confidence);
    for (int64_t row = first; row < end; row++)
        draw_row(page, scale, from, row);
    mdl_buffer_add(page, "</tbody></table></div>\n");
}

void mdl_ranking_draw(mdl_buffer_t *page, const mdl_regress_t *regress, int n_open)
{
    int64_t n = regress->n_candidate, n_first = n < n_open ? n : n_open;
    mdl_scale_t scale = find_scale(regress, n_first);
    draw_table(page, &scale, regress, 0, n_first);
    if (n <= n_first)
        return;
    mdl_buffer_add(page, "<details><summary>The other %lld pairs</summary>\n",
                   (long long)(n - n_first));
    draw_table(page, &scale, regress, n_first, n);
    mdl_buffer_add(page, "</details>\n");
}

static void print_number(FILE *out, double value)
{
    if (isfinite(value))
        fprintf(out, "  %9.4f", value);
    else
        fprintf(out, "  %9s", "");
}

void mdl_ranking_print(FILE *out, const mdl_regress_t *regress, int n_row)
{
    int64_t n = regress->n_candidate < n_row ? regress->n_candidate : n_row;
    int widest = 4;
    for (int64_t i = 0; i < n; i++) {
        int width = mdl_html_n_character(regress->candidate[i]);
        widest = width > widest ? width : widest;
    }
    fprintf(out, "rank  %-*s  %9s  %9s  %9s  status\n", widest, "pair", "error", "low", "high");
    for (int64_t i = 0; i < n; i++) {
        fprintf(out, "%4lld  %-*s", (long long)i + 1, widest, regress->candidate[i]);
        print_number(out, regress->predicted[i]);
        print_number(out, regress->low[i]);
        print_number(out, regress->high[i]);
        fprintf(out, "  %s\n", regress->status[i]);
    }
    if (n < regress->n_candidate)
        fprintf(out, "      and %lld more\n", (long long)(regress->n_candidate - n));
}
