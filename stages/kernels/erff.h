/* The error function in float32, written so that loops over it become vector code. */
#ifndef MDL_KERNELS_ERFF_H
#define MDL_KERNELS_ERFF_H

#include "kernels/expf.h"

/* erf(x) to within 3 units in the last place for |x| from 1e-18 on. Up to .95 a polynomial, odd in
 * x; above, 1 - exp(-q(|x|)) with a polynomial q for -log(erfc); both fitted by least squares at
 * Chebyshev nodes. NaN stays NaN. */
static inline float mdl_erff(float x)
{
    float size = x < 0 ? -x : x, square = x * x;
    float odd = 8.179480937542394e-05f;
    odd = odd * square - 8.096167002804577e-04f;
    odd = odd * square + 5.196793936192989e-03f;
    odd = odd * square - 2.685762941837311e-02f;
    odd = odd * square + 1.128366217017174e-01f;
    odd = odd * square - 3.761263191699982e-01f;
    odd = odd * square + 1.283792257308960e-01f; /* 2 / sqrt(pi) - 1, so that little is rounded */
    odd = x + x * odd;
    float far = size > 4.0f ? 4.0f : size;
    float q = -1.926682452904061e-04f;
    q = q * far + 3.010402433574200e-03f;
    q = q * far - 2.209326252341270e-02f;
    q = q * far + 1.036486476659775e-01f;
    q = q * far + 6.375108957290649e-01f;
    q = q * far + 1.127476930618286f;
    q = q * far + 2.446215949021280e-04f;
    float tail = 1.0f - mdl_expf(-q);
    tail = x < 0 ? -tail : tail;
    return size > 0.95f ? tail : odd;
}

#endif
