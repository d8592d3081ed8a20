/* Where every number of the page came from: files, versions, digests, settings. */
#ifndef MDL_REPORT_PROVENANCE_H
#define MDL_REPORT_PROVENANCE_H

#include "report/buffer.h"
#include "report/input.h"

/* The table of files and, for a study, its settings. Not collective. */
void mdl_provenance_draw(mdl_buffer_t *page, const mdl_report_input_t *input);

#endif
