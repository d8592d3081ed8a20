/* LEEP: the log likelihood of the labels when each row's source classes are translated into target
 * classes (Nguyen, Hassner, Seeger, Archambeau 2020, ICML, arXiv 2002.12462, equation 2). */
#ifndef MDL_SCORE_LEEP_H
#define MDL_SCORE_LEEP_H

#include "core/error.h"

#include <stdint.h>

/* Mean over the rows of log sum_z P(y_i | z) theta_iz, where P(y, z) is the mean of theta_iz over
 * the rows of class y. probability: theta, [n_sample, n_source], row-major, rows >= 0 that sum
 * to 1. class_of: [n_sample], 0 to n_class - 1. Not collective. Returns MDL_E_MEMORY. */
int mdl_leep(const double *probability, int64_t n_sample, int64_t n_source, const int32_t *class_of,
             int64_t n_class, double *score, mdl_error_t *err);

/* Makes rows that sum to 1 within 1 % (stored as float16) sum to 1. Not collective. Returns
 * MDL_E_INPUT naming the first other row. */
int mdl_leep_normalise(double *probability, int64_t n_sample, int64_t n_source, mdl_error_t *err);

#endif
