#include "report/svg.h"

#include <math.h>
#include <stdio.h>

/* Beyond this width, text would shrink too far on a phone and the picture scrolls instead. */
static const double widest_on_phone = 440;

void mdl_svg_begin(mdl_buffer_t *page, double width, double height, const char *title,
                   const char *description)
{
    mdl_buffer_add(page, "<div class=\"plot\"");
    if (width > widest_on_phone) {
        mdl_buffer_add(page, " tabindex=\"0\" role=\"group\" aria-label=\"");
        mdl_html_text(page, "%s", title);
        mdl_buffer_add(page, "\"");
    }
    mdl_buffer_add(page,
                   "><svg viewBox=\"0 0 %.6g %.6g\" role=\"img\" preserveAspectRatio=\"xMinYMin\" "
                   "xmlns=\"http://www.w3.org/2000/svg\" style=\"max-width:%.0fpx",
                   width, height, 1.3 * width);
    if (width > widest_on_phone)
        mdl_buffer_add(page, ";min-width:%.0fpx", 0.85 * width);
    mdl_buffer_add(page, "\"><title>");
    mdl_html_text(page, "%s", title);
    mdl_buffer_add(page, "</title><desc>");
    mdl_html_text(page, "%s", description);
    mdl_buffer_add(page, "</desc>\n");
}

void mdl_svg_end(mdl_buffer_t *page)
{
    mdl_buffer_add(page, "</svg></div>\n");
}

void mdl_svg_line(mdl_buffer_t *page, double x1, double y1, double x2, double y2,
                  const char *class_name)
{
    mdl_buffer_add(page, "<line x1=\"%.2f\" y1=\"%.2f\" x2=\"%.2f\" y2=\"%.2f\" class=\"%s\"/>\n",
                   x1, y1, x2, y2, class_name);
}

void mdl_svg_rect(mdl_buffer_t *page, double x, double y, double width, double height,
                  const char *fill, const char *class_name, const char *title)
{
    mdl_buffer_add(page, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"", x, y, width,
                   height);
    if (fill != NULL)
        mdl_buffer_add(page, " fill=\"%s\"", fill);
    if (class_name != NULL)
        mdl_buffer_add(page, " class=\"%s\"", class_name);
    if (title == NULL) {
        mdl_buffer_add(page, "/>\n");
        return;
    }
    mdl_buffer_add(page, "><title>");
    mdl_html_text(page, "%s", title);
    mdl_buffer_add(page, "</title></rect>\n");
}

void mdl_svg_circle(mdl_buffer_t *page, double x, double y, double radius, const char *class_name)
{
    mdl_buffer_add(page, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"%.2f\" class=\"%s\"/>\n", x, y,
                   radius, class_name);
}

void mdl_svg_text(mdl_buffer_t *page, double x, double y, mdl_svg_anchor_t anchor, double angle,
                  const char *class_name, const char *text, int n_max)
{
    static const char *const anchors[] = {"start", "middle", "end"};
    mdl_buffer_add(page, "<text x=\"%.2f\" y=\"%.2f\"", x, y);
    if (anchor != MDL_SVG_START)
        mdl_buffer_add(page, " text-anchor=\"%s\"", anchors[anchor]);
    if (angle != 0)
        mdl_buffer_add(page, " transform=\"rotate(%.4g %.2f %.2f)\"", angle, x, y);
    if (class_name != NULL)
        mdl_buffer_add(page, " class=\"%s\"", class_name);
    mdl_buffer_add(page, ">");
    mdl_html_short_text(page, text, n_max);
    if (mdl_html_n_character(text) > n_max) {
        mdl_buffer_add(page, "<title>");
        mdl_html_text(page, "%s", text);
        mdl_buffer_add(page, "</title>");
    }
    mdl_buffer_add(page, "</text>\n");
}

double mdl_scale_at(const mdl_scale_t *scale, double value)
{
    double low = scale->low, high = scale->high;
    if (scale->logarithmic) {
        low = log(low);
        high = log(high);
        value = log(value);
    }
    double part = high > low ? (value - low) / (high - low) : 0.5;
    return scale->from + part * (scale->to - scale->from);
}

static int linear_ticks(double low, double high, int n_wanted, double ticks[MDL_SVG_MAX_TICK])
{
    static const double steps[] = {1, 2, 5, 10};
    double rough = (high - low) / n_wanted;
    if (!(rough > 0) || !isfinite(rough))
        return 0;
    double decade = pow(10, floor(log10(rough))), step = 10 * decade;
    for (int i = 3; i >= 0; i--)
        if (steps[i] * decade >= rough * 0.999)
            step = steps[i] * decade;
    int n = 0;
    for (double k = ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++)
        if (n < MDL_SVG_MAX_TICK)
            ticks[n++] = k * step;
    return n;
}

/* 1, 2 and 5 of every decade, or the powers of ten alone when these are too many. */
static int decade_ticks(double low, double high, int n_wanted, double ticks[MDL_SVG_MAX_TICK])
{
    static const double parts[] = {1, 2, 5};
    int n_part = log10(high / low) * 3 > 1.6 * n_wanted ? 1 : 3, n = 0;
    for (double decade = floor(log10(low)); decade <= log10(high); decade++)
        for (int i = 0; i < n_part; i++) {
            double tick = parts[i] * pow(10, decade);
            if (tick >= low * 0.999 && tick <= high * 1.001 && n < MDL_SVG_MAX_TICK)
                ticks[n++] = tick;
        }
    return n;
}

int mdl_scale_ticks(const mdl_scale_t *scale, int n_wanted, double ticks[MDL_SVG_MAX_TICK])
{
    if (!scale->logarithmic)
        return linear_ticks(scale->low, scale->high, n_wanted, ticks);
    int n = decade_ticks(scale->low, scale->high, n_wanted, ticks);
    return n >= 3 ? n : linear_ticks(scale->low, scale->high, n_wanted, ticks);
}
