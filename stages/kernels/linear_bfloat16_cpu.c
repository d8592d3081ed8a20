#include "kernels/linear.h"

#include "kernels/bfloat16.h"
#include "kernels/matmul.h"
#include "kernels/rows.h"

#include <string.h> /* memcpy, memset */

/* Numbers pass through BLAS in float32, a block of the factors at a time. */
enum { BLOCK_ROW = 64, BLOCK_INNER = 128 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* block [n_row, n_col] of numbers that are rounded to bfloat16. */
static void round_block(float *block, const float *in, int64_t ld, int64_t n_row, int64_t n_col)
{
    for (int64_t row = 0; row < n_row; row++)
        for (int64_t i = 0; i < n_col; i++)
            block[row * n_col + i] = mdl_from_bfloat16(mdl_to_bfloat16(in[row * ld + i]));
}

static void widen_block(float *block, const mdl_bfloat16_t *in, int64_t ld, int64_t n_row,
                        int64_t n_col)
{
    for (int64_t row = 0; row < n_row; row++)
        for (int64_t i = 0; i < n_col; i++)
            block[row * n_col + i] = mdl_from_bfloat16(in[row * ld + i]);
}

/* out [n_row, n_out] += the product of rounded in [n_row, n_inner] and W: [n_out, n_inner] where
 * transposed, else [n_inner, n_out], its rows ld_weight apart. */
static void add_product(float *out, const float *in, const mdl_bfloat16_t *weight,
                        int64_t ld_weight, int transposed, int64_t n_row, int64_t n_out,
                        int64_t n_inner)
{
    float left[BLOCK_ROW * BLOCK_INNER], right[BLOCK_ROW * BLOCK_INNER];
    for (int64_t row = 0; row < n_row; row += BLOCK_ROW) {
        int64_t rows = least(BLOCK_ROW, n_row - row);
        for (int64_t k = 0; k < n_inner; k += BLOCK_INNER) {
            int64_t inner = least(BLOCK_INNER, n_inner - k);
            round_block(left, in + row * n_inner + k, n_inner, rows, inner);
            for (int64_t at = 0; at < n_out; at += BLOCK_ROW) {
                int64_t columns = least(BLOCK_ROW, n_out - at);
                float *to = out + row * n_out + at;
                if (transposed) {
                    widen_block(right, weight + at * ld_weight + k, ld_weight, columns, inner);
                    mdl_matmul_nt(to, n_out, left, inner, right, inner, rows, columns, inner, 1.0f,
                                  1.0f);
                } else {
                    widen_block(right, weight + k * ld_weight + at, ld_weight, inner, columns);
                    mdl_matmul_nn(to, n_out, left, inner, right, columns, rows, columns, inner,
                                  1.0f, 1.0f);
                }
            }
        }
    }
}

void mdl_linear_forward_bfloat16(float *out, const float *before, const float *in,
                                 const void *weight, const float *bias, int64_t n_row,
                                 int64_t n_out, int64_t n_in)
{
    if (before != NULL)
        memcpy(out, before, (size_t)(n_row * n_out) * sizeof *out);
    else
        memset(out, 0, (size_t)(n_row * n_out) * sizeof *out);
    add_product(out, in, weight, n_in, 1, n_row, n_out, n_in);
    if (bias != NULL)
        mdl_rows_add(out, bias, n_row, n_out);
}

void mdl_linear_backward_bfloat16(float *din, const float *dout, const void *weight, int64_t n_row,
                                  int64_t n_out, int64_t n_in)
{
    memset(din, 0, (size_t)(n_row * n_in) * sizeof *din);
    add_product(din, dout, weight, n_in, 0, n_row, n_in, n_out);
}
