/* Products with few rows, where BLAS spends its time on repacking the large matrix. */
#ifndef MDL_KERNELS_MATMUL_FEW_ROWS_H
#define MDL_KERNELS_MATMUL_FEW_ROWS_H

#include <stdint.h>

/* 1 when mdl_matmul_nt_few_rows is the faster way for n_row rows on this processor. */
int mdl_matmul_suits_few_rows(int64_t n_row);

/* As mdl_matmul_nt. Only for processors for which mdl_matmul_suits_few_rows says so. */
void mdl_matmul_nt_few_rows(float *out, int64_t ld_out, const float *a, int64_t ld_a,
                            const float *b, int64_t ld_b, int64_t n_row, int64_t n_col,
                            int64_t n_inner, float scale, float keep);

#endif
