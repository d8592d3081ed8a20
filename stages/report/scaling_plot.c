#include "report/scaling_plot.h"

#include "core/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TITLE = 36, MAX_OTHER = 30 };

static const double panel_width = 320, panel_height = 230, left = 40, right = 52, top = 24,
                    bottom = 36;

typedef struct {
    mdl_scale_t x, y;
} axes_t;

static void widen(double value, double *low, double *high)
{
    if (value > 0 && isfinite(value)) {
        *low = fmin(*low, value);
        *high = fmax(*high, value);
    }
}

/* Axes over the points and predictions; intervals widen them by no more than a factor of 1.5, so
 * that one wild interval doesn't flatten every line. */
static axes_t find_axes(const mdl_report_input_t *input)
{
    const mdl_regress_t *from = &input->regress;
    double x_low = 1, x_high = 1, low = INFINITY, high = 0;
    for (int64_t i = 0; i < from->n_point; i++) {
        if (isnan(from->predicted[from->point_candidate[i]]))
            continue;
        widen(from->point_ratio[i], &x_low, &x_high);
        widen(from->point_error[i], &low, &high);
    }
    for (int64_t i = 0; i < from->n_candidate; i++)
        widen(from->predicted[i], &low, &high);
    if (input->has_final)
        widen(input->final.error, &low, &high);
    if (!(low <= high))
        low = high = 0.5;
    double interval_low = low, interval_high = high;
    for (int64_t i = 0; i < from->n_candidate; i++) {
        widen(from->low[i], &interval_low, &interval_high);
        widen(from->high[i], &interval_low, &interval_high);
    }
    low = fmax(interval_low, low / 1.5) / 1.04;
    high = fmin(interval_high, high * 1.5) * 1.04;
    double decade = pow(10, floor(log10(low))), tick = floor(low / decade) * decade;
    if (low < 1.15 * tick)
        low = 0.998 * tick; /* so that the lowest values have a tick below them */
    x_low = fmin(x_low / 1.15, 0.5);
    return (axes_t){{x_low, 1, left, panel_width - right, 1},
                    {low, high, panel_height - bottom, top, 1}};
}

static void draw_axes(mdl_buffer_t *page, const axes_t *axes)
{
    double ticks[MDL_SVG_MAX_TICK];
    char text[24];
    int n = mdl_scale_ticks(&axes->y, 6, ticks);
    for (int i = 0; i < n; i++) {
        double y = mdl_scale_at(&axes->y, ticks[i]);
        snprintf(text, sizeof text, "%.3g", ticks[i]);
        mdl_svg_line(page, left, y, panel_width - right, y, "grid");
        mdl_svg_text(page, left - 5, y + 4, MDL_SVG_END, 0, NULL, text, 8);
    }
    n = mdl_scale_ticks(&axes->x, 6, ticks);
    for (int i = 0; i < n; i++) {
        double x = mdl_scale_at(&axes->x, ticks[i]);
        snprintf(text, sizeof text, "%.3g", ticks[i]);
        mdl_svg_line(page, x, panel_height - bottom, x, panel_height - bottom + 4, "axis");
        mdl_svg_text(page, x, panel_height - bottom + 16, MDL_SVG_MIDDLE, 0, NULL, text, 8);
    }
    mdl_svg_line(page, left, panel_height - bottom, panel_width - right, panel_height - bottom,
                 "axis");
    mdl_svg_text(page, panel_width - right, panel_height - 5, MDL_SVG_END, 0, "small",
                 "ratio of the alignment run", 40);
    mdl_svg_text(page, 4, top - 8, MDL_SVG_START, 0, "small", "error", 8);
}

/* What lies in the panel's area is cut at its edges. */
static void open_area(mdl_buffer_t *page)
{
    double margin = 5;
    mdl_buffer_add(page,
                   "<svg x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                   "viewBox=\"%.1f %.1f %.1f %.1f\">\n",
                   left, top - margin, panel_width - right - left + margin,
                   panel_height - bottom - top + margin, left, top - margin,
                   panel_width - right - left + margin, panel_height - bottom - top + margin);
}

static double fit_at(const mdl_regress_t *from, int64_t row, double ratio)
{
    return exp(from->intercept[row] + from->slope[row] * log(ratio));
}

static int has_fit(const mdl_regress_t *from, int64_t row)
{
    return isfinite(from->slope[row]) && isfinite(from->intercept[row]);
}

/* The line from ratio from_ratio to to_ratio; the logarithms make it straight. */
static void draw_line(mdl_buffer_t *page, const axes_t *axes, const mdl_regress_t *from,
                      int64_t row, double from_ratio, double to_ratio, const char *class_name)
{
    mdl_svg_line(page, mdl_scale_at(&axes->x, from_ratio),
                 mdl_scale_at(&axes->y, fit_at(from, row, from_ratio)),
                 mdl_scale_at(&axes->x, to_ratio),
                 mdl_scale_at(&axes->y, fit_at(from, row, to_ratio)), class_name);
}

static void draw_others(mdl_buffer_t *page, const axes_t *axes, const mdl_regress_t *from,
                        int64_t except)
{
    int n_drawn = 0;
    for (int64_t row = 0; row < from->n_candidate && n_drawn < MAX_OTHER; row++) {
        if (row == except || !has_fit(from, row) || !isfinite(from->predicted[row]))
            continue;
        draw_line(page, axes, from, row, axes->x.low, 1, "other");
        n_drawn++;
    }
}

static void draw_points(mdl_buffer_t *page, const axes_t *axes, const mdl_regress_t *from,
                        int64_t row, double *smallest_used, double *largest_used)
{
    for (int64_t i = 0; i < from->n_point; i++) {
        double ratio = from->point_ratio[i], error = from->point_error[i];
        double spread = from->point_stderr[i];
        if (from->point_candidate[i] != row || !(error > 0) || !(ratio > 0))
            continue;
        double x = mdl_scale_at(&axes->x, ratio), lowest = fmax(error - spread, error / 100);
        if (spread > 0)
            mdl_svg_line(page, x, mdl_scale_at(&axes->y, lowest), x,
                         mdl_scale_at(&axes->y, error + spread), "whisker");
        mdl_svg_circle(page, x, mdl_scale_at(&axes->y, error), 3.2,
                       from->point_used[i] ? "point" : "point unused");
        if (from->point_used[i]) {
            *smallest_used = fmin(*smallest_used, ratio);
            *largest_used = fmax(*largest_used, ratio);
        }
    }
}

static void draw_interval(mdl_buffer_t *page, const axes_t *axes, const mdl_regress_t *from,
                          int64_t row)
{
    if (!(from->low[row] > 0) || !isfinite(from->high[row]))
        return;
    double x = mdl_scale_at(&axes->x, 1);
    mdl_svg_line(page, x, mdl_scale_at(&axes->y, from->low[row]), x,
                 mdl_scale_at(&axes->y, from->high[row]), "interval");
}

static int is_final(const mdl_report_input_t *input, int64_t row)
{
    return input->has_final && input->final.error > 0 &&
           strcmp(input->final_candidate, input->regress.candidate[row]) == 0;
}

/* The numbers at ratio 1, beside the panel; moved apart when they would touch. */
static void draw_numbers(mdl_buffer_t *page, const axes_t *axes, const mdl_report_input_t *input,
                         int64_t row)
{
    char text[24];
    double x = panel_width - right + 9, predicted = input->regress.predicted[row];
    double y = mdl_scale_at(&axes->y, predicted), y_final = y;
    if (is_final(input, row)) {
        y_final = mdl_scale_at(&axes->y, input->final.error);
        double apart = 13 - fabs(y_final - y);
        double push = apart > 0 ? (y_final >= y ? apart / 2 : -apart / 2) : 0;
        y -= push;
        y_final += push;
        snprintf(text, sizeof text, "%.3f", input->final.error);
        mdl_svg_text(page, x, y_final + 4, MDL_SVG_START, 0, "measured", text, 8);
    }
    snprintf(text, sizeof text, "%.3f", predicted);
    mdl_svg_text(page, x, y + 4, MDL_SVG_START, 0, "strong", text, 8);
}

static void draw_panel(mdl_buffer_t *page, const axes_t *axes, const mdl_report_input_t *input,
                       int64_t row)
{
    const mdl_regress_t *from = &input->regress;
    double smallest = INFINITY, largest = 0;
    char *title = mdl_text("%lld. %s", (long long)row + 1, from->candidate[row]);
    mdl_svg_begin(page, panel_width, panel_height, title == NULL ? "" : title,
                  "Error against the ratio of the alignment run, both logarithmic: measured points "
                  "with their standard errors, the fitted line and its extrapolation to ratio 1.");
    draw_axes(page, axes);
    mdl_svg_text(page, panel_width / 2 + 16, 12, MDL_SVG_MIDDLE, 0, "strong",
                 title == NULL ? "" : title, MAX_TITLE);
    open_area(page);
    draw_others(page, axes, from, row);
    draw_interval(page, axes, from, row);
    draw_points(page, axes, from, row, &smallest, &largest);
    if (has_fit(from, row) && largest > 0) {
        draw_line(page, axes, from, row, smallest, largest, "fit");
        draw_line(page, axes, from, row, largest, 1, "fit extrapolated");
    }
    mdl_buffer_add(page, "</svg>\n");
    mdl_svg_circle(page, mdl_scale_at(&axes->x, 1), mdl_scale_at(&axes->y, from->predicted[row]),
                   3.6, "predicted");
    if (is_final(input, row))
        mdl_buffer_add(page, "<path class=\"measured-mark\" d=\"M%.2f %.2fl5 5l-5 5l-5-5z\"/>\n",
                       mdl_scale_at(&axes->x, 1), mdl_scale_at(&axes->y, input->final.error) - 5);
    draw_numbers(page, axes, input, row);
    mdl_svg_end(page);
    free(title);
}

void mdl_scaling_draw(mdl_buffer_t *page, const mdl_report_input_t *input, int n_panel)
{
    const mdl_regress_t *from = &input->regress;
    axes_t axes = find_axes(input);
    int n_drawn = 0;
    mdl_html_figure_begin(page);
    mdl_buffer_add(page, "<div class=\"panels\">\n");
    for (int64_t row = 0; row < from->n_candidate && n_drawn < n_panel; row++) {
        if (!(from->predicted[row] > 0))
            continue;
        draw_panel(page, &axes, input, row);
        n_drawn++;
    }
    mdl_buffer_add(page, "</div>\n");
    if (n_drawn == 0) {
        mdl_html_figure_end(page, "No predicted error is above 0, so none has a logarithm.");
        return;
    }
    mdl_html_figure_end(
        page,
        "The best %d predictions. Filled points are in the fit, hollow ones are "
        "not; bars are standard errors. Dashes extrapolate to ratio 1, where the "
        "thick bar is the %.3g %% interval%s. Grey: the other candidates' lines, the best "
        "%d of them.",
        n_drawn, 100 * from->confidence,
        input->has_final ? " and the diamond the error measured there" : "", MAX_OTHER);
}
