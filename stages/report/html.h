/* Text that is safe inside HTML and SVG, and the few elements that every section uses. */
#ifndef MDL_REPORT_HTML_H
#define MDL_REPORT_HTML_H

#include "report/buffer.h"

/* Appends printf-style text escaped: markup characters become entities, control characters and
 * bytes that are no UTF-8 become U+FFFD. For everything that comes from a file. Not collective. */
void mdl_html_text(mdl_buffer_t *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same for text of which no more than n_max characters are shown, the last one an ellipsis when
 * it was cut. Not collective. */
void mdl_html_short_text(mdl_buffer_t *page, const char *text, int n_max);

/* Number of characters (not bytes) of a text. Not collective. */
int mdl_html_n_character(const char *text);

/* A paragraph that says that what isn't there yet and which command makes it. Not collective. */
void mdl_html_missing(mdl_buffer_t *page, const char *what, const char *command);

/* Opens and closes a figure's group; the caption follows the graphics. Not collective. */
void mdl_html_figure_begin(mdl_buffer_t *page);
void mdl_html_figure_end(mdl_buffer_t *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
