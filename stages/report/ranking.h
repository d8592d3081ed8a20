/* The ranking of the whole zoo: as CSV, as a table of the page and on the terminal. */
#ifndef MDL_REPORT_RANKING_H
#define MDL_REPORT_RANKING_H

#include "io/regress_file.h"
#include "report/buffer.h"

#include <stdio.h>

/* Puts the measured error at ratio 1 in place of the candidate's prediction, with the interval of
 * regress->confidence that its standard error gives (normal), and the status measured. Not
 * collective. */
void mdl_ranking_set_measured(mdl_regress_t *regress, const char *candidate,
                              const mdl_point_t *point);

/* ranking.csv as docs/formats/ranking.md says: quoted where RFC 4180 asks for it, cells without a
 * value empty. Not collective. */
void mdl_ranking_csv(mdl_buffer_t *csv, const mdl_regress_t *regress);

/* The table with interval bars; rows after the first n_open are folded away. Not collective. */
void mdl_ranking_draw(mdl_buffer_t *page, const mdl_regress_t *regress, int n_open);

/* The first n_row rows as aligned text. Not collective. */
void mdl_ranking_print(FILE *out, const mdl_regress_t *regress, int n_row);

#endif
