/* Inline SVG: a picture that scales with the page, its primitives, and axes with round numbers.
 * Coordinates are units of the viewBox, y downwards. Colours of ink and lines come from classes of
 * the page's style sheet, so that a picture follows the colour scheme. Not collective. */
#ifndef MDL_REPORT_SVG_H
#define MDL_REPORT_SVG_H

#include "report/html.h"

enum { MDL_SVG_MAX_TICK = 16 };

typedef enum { MDL_SVG_START, MDL_SVG_MIDDLE, MDL_SVG_END } mdl_svg_anchor_t;

/* Opens a picture of width x height. title and description are read out to those who can't see
 * it; both are escaped. A wide picture scrolls inside its frame on a narrow screen. */
void mdl_svg_begin(mdl_buffer_t *page, double width, double height, const char *title,
                   const char *description);
void mdl_svg_end(mdl_buffer_t *page);

void mdl_svg_line(mdl_buffer_t *page, double x1, double y1, double x2, double y2,
                  const char *class_name);

/* fill is a colour, or NULL when the class gives it; title (escaped, or NULL) shows on hovering. */
void mdl_svg_rect(mdl_buffer_t *page, double x, double y, double width, double height,
                  const char *fill, const char *class_name, const char *title);
void mdl_svg_circle(mdl_buffer_t *page, double x, double y, double radius, const char *class_name);

/* One line of escaped text with its baseline at y, of at most n_max characters (the rest is cut and
 * shows on hovering). angle in degrees turns it about (x, y). */
void mdl_svg_text(mdl_buffer_t *page, double x, double y, mdl_svg_anchor_t anchor, double angle,
                  const char *class_name, const char *text, int n_max);

/* A scale from data to units: linear, or logarithmic with low > 0. */
typedef struct {
    double low, high; /* data */
    double from, to;  /* units */
    int logarithmic;
} mdl_scale_t;

/* Where value lies, in units; values outside of low..high lie outside of from..to. */
double mdl_scale_at(const mdl_scale_t *scale, double value);

/* Round numbers inside of low..high, about n_wanted of them (at most MDL_SVG_MAX_TICK); returns
 * their number. */
int mdl_scale_ticks(const mdl_scale_t *scale, int n_wanted, double ticks[MDL_SVG_MAX_TICK]);

#endif
