/* Every forward kernel against its formula written out in double precision. */
#include "fill.h"
#include "kernels/attention.h"
#include "kernels/cross_entropy.h"
#include "kernels/erff.h"
#include "kernels/expf.h"
#include "kernels/geglu.h"
#include "kernels/gelu.h"
#include "kernels/matmul.h"
#include "kernels/rmsnorm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX = 4096 };
static float in[MAX], weight[MAX], out[MAX], extra[MAX];

static void near(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance * fmax(1.0, fabs(expected))))
        fail_msg("got %.9g where %.9g is right", got, expected);
}

static void exponential(void **state)
{
    (void)state;
    double largest = 0;
    for (float x = -80.0f; x < 80.0f; x += 0.00371f)
        largest = fmax(largest, fabs((double)mdl_expf(x) / exp((double)x) - 1));
    print_message("largest relative error of mdl_expf: %.2e\n", largest);
    assert_true(largest < 3e-7);
    assert_true(mdl_expf(0.0f) == 1.0f);
    assert_true(mdl_expf(-1e30f) < 2e-35f && mdl_expf(-INFINITY) < 2e-35f);
    assert_true(isfinite(mdl_expf(1e30f)) && mdl_expf(INFINITY) > 5e34f);
    assert_true(isnan(mdl_expf(NAN)));
}

/* Shapes small and large, so that every path of the product is used; rows are apart. */
static void matrix_products(void **state)
{
    (void)state;
    static const int shapes[][3] = {{1, 1, 1},   {1, 37, 19}, {3, 5, 8},    {4, 4, 16},  {7, 9, 33},
                                    {14, 24, 7}, {13, 8, 40}, {33, 17, 12}, {40, 40, 30}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        int m = shapes[s][0], n = shapes[s][1], k = shapes[s][2], ld = 50;
        for (int kind = 0; kind < 3; kind++) {
            fill(in, MAX, 1, 1);
            fill(weight, MAX, 1, 2);
            fill(out, MAX, 1, 3);
            memcpy(extra, out, sizeof out);
            if (kind == 0)
                mdl_matmul_nt(out, ld, in, ld, weight, ld, m, n, k, 0.5f, 2.0f);
            else if (kind == 1)
                mdl_matmul_nn(out, ld, in, ld, weight, ld, m, n, k, 0.5f, 2.0f);
            else
                mdl_matmul_tn(out, ld, in, ld, weight, ld, m, n, k, 0.5f, 2.0f);
            for (int i = 0; i < MAX; i++) {
                int row = i / ld, col = i % ld;
                double sum = 0;
                for (int l = 0; row < m && col < n && l < k; l++)
                    sum += (double)(kind == 2 ? in[l * ld + row] : in[row * ld + l]) *
                           (double)(kind == 0 ? weight[col * ld + l] : weight[l * ld + col]);
                double keep = row < m && col < n ? 2.0 : 1.0;
                near(out[i], 0.5 * sum + keep * (double)extra[i], 1e-5);
            }
        }
    }
}

static void product_without_keep_ignores_the_old(void **state)
{
    (void)state;
    static const int rows[] = {1, 5, 40};
    for (int r = 0; r < 3; r++) {
        fill(in, MAX, 1, 1);
        fill(weight, MAX, 1, 2);
        for (int i = 0; i < MAX; i++)
            out[i] = NAN;
        mdl_matmul_nt(out, 9, in, 8, weight, 8, rows[r], 9, 8, 1.0f, 0.0f);
        for (int i = 0; i < rows[r] * 9; i++)
            assert_true(isfinite(out[i]));
    }
}

static void rmsnorm(void **state)
{
    (void)state;
    int n_row = 3, n = 21;
    fill(in, n_row * n, 2, 1);
    fill(weight, n, 1, 2);
    mdl_rmsnorm_forward(out, extra, in, weight, n_row, n, 1e-3f);
    for (int row = 0; row < n_row; row++) {
        double sum = 0;
        for (int i = 0; i < n; i++)
            sum += (double)in[row * n + i] * (double)in[row * n + i];
        double inverse = 1 / sqrt(sum / n + 1e-3);
        near(extra[row], inverse, 1e-6);
        for (int i = 0; i < n; i++)
            near(out[row * n + i], (double)in[row * n + i] * inverse * (double)weight[i], 1e-6);
    }
}

static void rope(void **state)
{
    (void)state;
    float frequency[2] = {1.0f, 0.1f}, cosine[10], sine[10];
    int n_row = 5, n_head = 2, n_feat = 4, ld = 11;
    mdl_rope_table(cosine, sine, frequency, n_row, 2);
    fill(in, n_row * ld, 1, 1);
    memcpy(out, in, sizeof in);
    mdl_rope_forward(out, cosine, sine, n_row, n_head, n_feat, ld);
    for (int row = 0; row < n_row; row++) {
        for (int at = 0; at < ld; at++) {
            int i = at % n_feat, pair = i % 2;
            double angle = row * (double)frequency[pair], x = in[row * ld + at];
            double other = i < 2 ? -(double)in[row * ld + at + 2] : (double)in[row * ld + at - 2];
            double right = at < n_head * n_feat ? x * cos(angle) + other * sin(angle) : x;
            near(out[row * ld + at], right, 1e-6);
        }
    }
    mdl_rope_backward(out, cosine, sine, n_row, n_head, n_feat, ld);
    for (int i = 0; i < n_row * ld; i++)
        near(out[i], in[i], 1e-6); /* the transpose of a rotation undoes it */
}

static void swiglu(void **state)
{
    (void)state;
    int n_row = 4, n = 13;
    fill(in, n_row * 2 * n, 6, 1);
    mdl_swiglu_forward(out, in, n_row, n);
    for (int row = 0; row < n_row; row++) {
        for (int i = 0; i < n; i++) {
            double gate = in[row * 2 * n + i], up = in[row * 2 * n + n + i];
            near(out[row * n + i], gate / (1 + exp(-gate)) * up, 1e-6);
        }
    }
}

static void geglu(void **state)
{
    (void)state;
    int n_row = 4, n = 13;
    fill(in, n_row * 2 * n, 6, 1);
    mdl_geglu_forward(out, in, n_row, n);
    for (int row = 0; row < n_row; row++) {
        for (int i = 0; i < n; i++) {
            double gate = in[row * 2 * n + i], up = in[row * 2 * n + n + i];
            double inner = sqrt(2 / acos(-1)) * (gate + 0.044715 * gate * gate * gate);
            near(out[row * n + i], 0.5 * gate * (1 + tanh(inner)) * up, 2e-6);
        }
    }
}

/* Every so many of the float32 numbers from 1e-18 to 6, of both signs. */
static void error_function(void **state)
{
    (void)state;
    uint32_t bits, last;
    float first = 1e-18f, most = 6.0f;
    double worst = 0;
    memcpy(&bits, &first, sizeof bits);
    memcpy(&last, &most, sizeof last);
    for (; bits < last; bits += 1009) {
        float x;
        memcpy(&x, &bits, sizeof x);
        double exact = erf((double)x), unit = (double)nextafterf((float)exact, 2) - (float)exact;
        double off = fabs((double)mdl_erff(x) - exact) / unit;
        worst = off > worst ? off : worst;
        assert_true(mdl_erff(-x) == -mdl_erff(x));
    }
    if (!(worst <= 3))
        fail_msg("off by %.2f units in the last place", worst);
    assert_true(mdl_erff(0) == 0 && mdl_erff(INFINITY) == 1 && isnan(mdl_erff(NAN)));
}

static void gelu(void **state)
{
    (void)state;
    fill(in, 200, 5, 1);
    mdl_gelu_forward(out, in, 200);
    for (int i = 0; i < 200; i++)
        near(out[i], 0.5 * (double)in[i] * erfc(-(double)in[i] / sqrt(2.0)), 1e-6);
}

static void cross_entropy(void **state)
{
    (void)state;
    int32_t target[3] = {0, 16, 7};
    int n = 17;
    double loss = 0;
    fill(in, 3 * n, 8, 1);
    in[n] = 200.0f; /* the largest logit decides, nothing overflows */
    for (int row = 0; row < 3; row++) {
        double sum = 0;
        for (int i = 0; i < n; i++)
            sum += exp((double)in[row * n + i]);
        loss += log(sum) - (double)in[row * n + target[row]];
    }
    double sum = 2;
    mdl_cross_entropy_forward(&sum, extra, in, target, 3, n);
    near(sum - 2, loss, 1e-6);
    in[5] = NAN;
    mdl_cross_entropy_forward(&sum, extra, in, target, 3, n);
    assert_true(isnan(sum));
}

/* Attention of one query, in double. */
static void attend(double *y, const float *qkv, const mdl_attention_t *shape, int64_t head,
                   int64_t position)
{
    int64_t n = shape->n_head_feat;
    const float *q = qkv + position * shape->ld_qkv + head * n;
    int64_t kv_head = head / (shape->n_head / shape->n_kv_head);
    double total = 0;
    for (int64_t i = 0; i < n; i++)
        y[i] = 0;
    for (int64_t s = 0; s <= position; s++) {
        if (shape->n_window > 0 && s <= position - shape->n_window)
            continue;
        if (shape->begin != NULL && s < shape->begin[position])
            continue;
        const float *k = qkv + s * shape->ld_qkv + (shape->n_head + kv_head) * n;
        const float *v = k + shape->n_kv_head * n;
        double score = 0;
        for (int64_t i = 0; i < n; i++)
            score += (double)q[i] * (double)k[i];
        double p = exp(score * (double)shape->scale);
        total += p;
        for (int64_t i = 0; i < n; i++)
            y[i] += p * (double)v[i];
    }
    for (int64_t i = 0; i < n; i++)
        y[i] /= total;
}

/* All at once, and in two parts where the second one uses the first one's keys and values. */
static void attend_in_parts(mdl_attention_t shape)
{
    int64_t n_row = 9, n = shape.n_head_feat, ld = shape.n_head * n;
    float score[2 * 81], log_sum[4 * 12];
    double y[6];
    fill(in, n_row * shape.ld_qkv, 1.5f, 1);
    for (int64_t cut = 0; cut < n_row; cut += 4) {
        memset(out, 0, sizeof out);
        if (cut > 0)
            mdl_attention_forward(out, log_sum, score, in, &shape, 0, cut, 12);
        mdl_attention_forward(out, log_sum, score, in, &shape, cut, n_row - cut, 12);
        for (int64_t position = 0; position < n_row; position++) {
            for (int64_t head = 0; head < shape.n_head; head++) {
                attend(y, in, &shape, head, position);
                for (int64_t i = 0; i < n; i++)
                    near(out[position * ld + head * n + i], y[i], 2e-6);
            }
        }
    }
}

static void attention(void **state)
{
    (void)state;
    static const int64_t windows[] = {0, 1, 3, 8, 9, 100};
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++)
        attend_in_parts((mdl_attention_t){4, 2, 6, 48, 0.40824829f, windows[i], NULL});
    attend_in_parts((mdl_attention_t){4, 2, 6, 48, 0.25f, 0, NULL});
}

/* Several sequences behind one another, of which the cuts of attend_in_parts hit some. */
static void attention_of_sequences(void **state)
{
    (void)state;
    static const int64_t windows[] = {0, 1, 2, 3, 100};
    static const int32_t begins[][9] = {
        {0, 0, 0, 0, 4, 4, 4, 4, 4}, {0, 1, 1, 1, 1, 1, 6, 7, 7}, {0, 1, 2, 3, 4, 5, 6, 7, 8}};
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++)
        for (size_t b = 0; b < sizeof begins / sizeof *begins; b++)
            attend_in_parts((mdl_attention_t){4, 2, 6, 48, 0.40824829f, windows[i], begins[b]});
}

/* More positions than the scores that are held at a time have rows, in two parts. */
static void attention_of_long_sequences(void **state)
{
    (void)state;
    enum { N = 300, CUT = 133 };
    static const int64_t windows[] = {0, 40, 150};
    static const int32_t at[3] = {299, 19, 170};
    static int32_t begin[N];
    static float qkv[N * 16], result[N * 8], log_sum[2 * N], score[2 * N * N];
    fill(qkv, N * 16, 1.5f, 1);
    for (int i = 0; i < N; i++)
        begin[i] = i < 20 ? 0 : 20;
    for (int k = 0; k < 6; k++) {
        const mdl_attention_t shape = {2, 1, 4, 16, 0.5f, windows[k / 2], k % 2 ? begin : NULL};
        assert_true(mdl_attention_n_scratch(&shape, N) < 2 * N * N);
        mdl_attention_forward(result, log_sum, score, qkv, &shape, 0, CUT, N);
        mdl_attention_forward(result, log_sum, score, qkv, &shape, CUT, N - CUT, N);
        memset(result + at[1] * 8, 0, 8 * sizeof *result);
        mdl_attention_each(result, log_sum, score, qkv, &shape, at, 3, N);
        for (int64_t position = 0; position < N; position++)
            for (int64_t head = 0; head < 2; head++) {
                double y[4];
                attend(y, qkv, &shape, head, position);
                for (int64_t i = 0; i < 4; i++)
                    near(result[position * 8 + head * 4 + i], y[i], 2e-6);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exponential),
        cmocka_unit_test(matrix_products),
        cmocka_unit_test(product_without_keep_ignores_the_old),
        cmocka_unit_test(rmsnorm),
        cmocka_unit_test(rope),
        cmocka_unit_test(swiglu),
        cmocka_unit_test(geglu),
        cmocka_unit_test(error_function),
        cmocka_unit_test(gelu),
        cmocka_unit_test(cross_entropy),
        cmocka_unit_test(attention),
        cmocka_unit_test(attention_of_sequences),
        cmocka_unit_test(attention_of_long_sequences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
