/* The page as a whole: one self-contained HTML file. */
#ifndef MDL_REPORT_REPORT_H
#define MDL_REPORT_REPORT_H

#include "report/buffer.h"
#include "report/input.h"

/* Writes the page on input into page: the answer, ranking, similarity, halving, scaling, cost,
 * provenance. A part whose files aren't there says which command makes them. Returns MDL_E_MEMORY.
 * Not collective. */
int mdl_report_page(mdl_buffer_t *page, const mdl_report_input_t *input, mdl_error_t *err);

#endif
