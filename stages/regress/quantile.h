/* Quantiles for confidence intervals. */
#ifndef MDL_REGRESS_QUANTILE_H
#define MDL_REGRESS_QUANTILE_H

/* The q quantile (0 < q < 1) of the standard normal distribution, to 1e-12. Not collective. */
double mdl_quantile_normal(double q);

/* The q quantile of Student's t distribution with dof >= 1 degrees of freedom, to about 1e-8
 * relative (the incomplete beta function by its continued fraction: Abramowitz and Stegun 26.5.8,
 * 26.7.1; inverted by bisection). Not collective. */
double mdl_quantile_t(double q, int dof);

#endif
