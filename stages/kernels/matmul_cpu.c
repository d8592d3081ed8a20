#include "kernels/matmul.h"

#include "kernels/matmul_small.h"

#include <cblas.h> /* cblas_sgemm */

void mdl_matmul_nt(float *out, int64_t ld_out, const float *a, int64_t ld_a, const float *b,
                   int64_t ld_b, int64_t n_row, int64_t n_col, int64_t n_inner, float scale,
                   float keep)
{
    if (mdl_matmul_nt_small(out, ld_out, a, ld_a, b, ld_b, n_row, n_col, n_inner, scale, keep))
        return;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n_row, (blasint)n_col,
                (blasint)n_inner, scale, a, (blasint)ld_a, b, (blasint)ld_b, keep, out,
                (blasint)ld_out);
}

void mdl_matmul_nn(float *out, int64_t ld_out, const float *a, int64_t ld_a, const float *b,
                   int64_t ld_b, int64_t n_row, int64_t n_col, int64_t n_inner, float scale,
                   float keep)
{
    if (mdl_matmul_xn_small(out, ld_out, a, ld_a, 1, b, ld_b, n_row, n_col, n_inner, scale, keep))
        return;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)n_row, (blasint)n_col,
                (blasint)n_inner, scale, a, (blasint)ld_a, b, (blasint)ld_b, keep, out,
                (blasint)ld_out);
}

void mdl_matmul_tn(float *out, int64_t ld_out, const float *a, int64_t ld_a, const float *b,
                   int64_t ld_b, int64_t n_row, int64_t n_col, int64_t n_inner, float scale,
                   float keep)
{
    if (mdl_matmul_xn_small(out, ld_out, a, 1, ld_a, b, ld_b, n_row, n_col, n_inner, scale, keep))
        return;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)n_row, (blasint)n_col,
                (blasint)n_inner, scale, a, (blasint)ld_a, b, (blasint)ld_b, keep, out,
                (blasint)ld_out);
}
