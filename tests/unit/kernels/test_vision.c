/* The kernels of the vision encoders against their formulas written out in double precision. */
#include "fill.h"
#include "kernels/depthwise_conv.h"
#include "kernels/full_attention.h"
#include "kernels/gelu.h"
#include "kernels/gelu_quick.h"
#include "kernels/layernorm.h"
#include "kernels/patches.h"
#include "kernels/resize_cubic.h"
#include "kernels/rope_pairs.h"
#include "kernels/rows.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX = 4096 };
static float in[MAX], weight[MAX], bias[MAX], out[MAX];

static void near(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance * fmax(1.0, fabs(expected))))
        fail_msg("got %.9g where %.9g is right", got, expected);
}

static void layernorm(void **state)
{
    (void)state;
    int n_row = 3, n = 21;
    fill(in, n_row * n, 2, 1);
    fill(weight, n, 1, 2);
    fill(bias, n, 1, 3);
    for (int i = 0; i < n; i++)
        in[i] += 50.0f; /* a mean that is large beside the spread */
    mdl_layernorm_forward(out, in, weight, bias, n_row, n, 1e-3f);
    for (int row = 0; row < n_row; row++) {
        double mean = 0, square = 0;
        for (int i = 0; i < n; i++)
            mean += (double)in[row * n + i] / n;
        for (int i = 0; i < n; i++)
            square += pow((double)in[row * n + i] - mean, 2) / n;
        for (int i = 0; i < n; i++)
            near(out[row * n + i],
                 ((double)in[row * n + i] - mean) / sqrt(square + 1e-3) * (double)weight[i] +
                     (double)bias[i],
                 row == 0 ? 1e-5 : 1e-6);
    }
}

static void gelus(void **state)
{
    (void)state;
    fill(in, 400, 8, 1);
    mdl_gelu_tanh_forward(out, in, 400);
    for (int i = 0; i < 400; i++) {
        double x = in[i];
        near(out[i], 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x))), 1e-6);
    }
    mdl_gelu_quick_forward(out, in, 400);
    for (int i = 0; i < 400; i++)
        near(out[i], (double)in[i] / (1 + exp(-1.702 * (double)in[i])), 1e-6);
}

static void rows(void **state)
{
    (void)state;
    int n_row = 4, n = 7;
    fill(in, n_row * n, 2, 1);
    fill(weight, n_row * n, 2, 2);
    fill(bias, n, 2, 3);
    memcpy(out, in, sizeof out);
    mdl_rows_add(out, bias, n_row, n);
    for (int i = 0; i < n_row * n; i++)
        near(out[i], (double)in[i] + (double)bias[i % n], 1e-6);
    memcpy(out, in, sizeof out);
    mdl_rows_add_scaled(out, weight, NULL, n_row, n);
    mdl_rows_add_scaled(out, weight, bias, n_row, n);
    for (int i = 0; i < n_row * n; i++)
        near(out[i], (double)in[i] + (double)weight[i] * (1 + (double)bias[i % n]), 1e-6);
    mdl_rows_mean(out, in, n_row, n);
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int row = 0; row < n_row; row++)
            sum += (double)in[row * n + i];
        near(out[i], sum / n_row, 1e-6);
    }
}

/* Queries and keys that differ in number, in rows that are wider than a head. */
static void full_attention(void **state)
{
    (void)state;
    enum { n_head = 3, n = 6, ld = 20, n_query = 4, n_key = 9 };
    const mdl_full_attention_t shape = {.n_image = 1,
                                        .n_query = n_query,
                                        .n_key = n_key,
                                        .n_head = n_head,
                                        .n_head_feat = n,
                                        .ld_q = ld,
                                        .ld_kv = ld};
    float score[36];
    const float *k = weight, *v = bias;
    fill(in, n_query * ld, 1.5f, 1);
    fill(weight, n_key * ld, 1.5f, 2);
    fill(bias, n_key * ld, 1.5f, 3);
    in[0] = 300.0f; /* the largest score decides, nothing overflows */
    mdl_full_attention_forward(out, score, in, k, v, &shape);
    for (int query = 0; query < n_query; query++) {
        for (int head = 0; head < n_head; head++) {
            double y[6] = {0}, total = 0;
            for (int key = 0; key < n_key; key++) {
                double dot = 0;
                for (int i = 0; i < n; i++)
                    dot +=
                        (double)in[query * ld + head * n + i] * (double)k[key * ld + head * n + i];
                double p = exp(dot / sqrt(n));
                total += p;
                for (int i = 0; i < n; i++)
                    y[i] += p * (double)v[key * ld + head * n + i];
            }
            for (int i = 0; i < n; i++)
                near(out[(query * n_head + head) * n + i], y[i] / total, 2e-5);
        }
    }
}

static void rope_pairs(void **state)
{
    (void)state;
    int height = 2, width = 3, n_head = 2, n = 8, ld = 19, n_row = height * width;
    float cosine[24], sine[24];
    mdl_rope_pairs_table(cosine, sine, height, width, 1.0f, 0.5f, n, 100.0);
    fill(in, n_row * ld, 1, 1);
    memcpy(out, in, sizeof in);
    mdl_rope_pairs_forward(out, cosine, sine, n_row, n_head, n, ld);
    for (int row = 0; row < n_row; row++) {
        for (int at = 0; at < ld; at++) {
            int pair = at % n / 2;
            double position = pair < 2 ? row / width : 0.5 * (row % width);
            double angle = position * pow(100.0, -(pair % 2) / 2.0), x = in[row * ld + at];
            double other =
                at % 2 == 0 ? -(double)in[row * ld + at + 1] : (double)in[row * ld + at - 1];
            near(out[row * ld + at], at < n_head * n ? x * cos(angle) + other * sin(angle) : x,
                 1e-6);
        }
    }
}

/* Channels first and channels last, with an edge that is left over. */
static void patches(void **state)
{
    (void)state;
    int n_channel = 3, height = 5, width = 7, patch = 2;
    mdl_image_layout_t first = {n_channel, height, width, height * width, width, 1};
    mdl_image_layout_t last = {n_channel, height, width, 1, width * n_channel, n_channel};
    fill(in, n_channel * height * width, 1, 1);
    for (int kind = 0; kind < 2; kind++) {
        mdl_patches(out, in, kind == 0 ? &first : &last, patch);
        for (int i = 0; i < 2 * 3 * n_channel * 4; i++) {
            int x = i / 12 % 3 * patch + i % 2, y = i / 36 * patch + i / 2 % 2, c = i / 4 % 3;
            assert_true(
                out[i] ==
                in[kind == 0 ? (c * height + y) * width + x : (y * width + x) * n_channel + c]);
        }
    }
}

static void depthwise_conv(void **state)
{
    (void)state;
    int height = 5, width = 4, n = 3, k = 7;
    fill(in, height * width * n, 1, 1);
    fill(weight, k * k * n, 1, 2);
    fill(bias, n, 1, 3);
    mdl_depthwise_conv_forward(out, in, weight, bias, height, width, n, k);
    for (int i = 0; i < height * width * n; i++) {
        int c = i % n, x = i / n % width, y = i / n / width;
        double sum = bias[c];
        for (int v = 0; v < height; v++)
            for (int u = 0; u < width; u++)
                if (abs(v - y) <= 3 && abs(u - x) <= 3)
                    sum += (double)weight[((v - y + 3) * k + u - x + 3) * n + c] *
                           (double)in[(v * width + u) * n + c];
        near(out[i], sum, 2e-6);
    }
}

/* Keys' kernel with a = -0.75 at the distance x. */
static double cubic(double x)
{
    double a = -0.75;
    x = fabs(x);
    if (x <= 1)
        return (a + 2) * x * x * x - (a + 3) * x * x + 1;
    return x < 2 ? a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a : 0;
}

static void resize_cubic(void **state)
{
    (void)state;
    static const int sizes[][2] = {{4, 5}, {7, 3}, {9, 12}};
    int height = 4, width = 5, n = 2;
    fill(in, height * width * n, 1, 1);
    for (int s = 0; s < 3; s++) {
        int h = sizes[s][0], w = sizes[s][1];
        mdl_resize_cubic(out, h, w, in, height, width, n);
        for (int i = 0; i < h * w * n; i++) {
            double y = (i / n / w + 0.5) * height / h - 0.5, sum = 0;
            double x = (i / n % w + 0.5) * width / w - 0.5;
            for (int v = -4; v < height + 4; v++)
                for (int u = -4; u < width + 4; u++) {
                    int row = v < 0 ? 0 : v >= height ? height - 1 : v;
                    int column = u < 0 ? 0 : u >= width ? width - 1 : u;
                    sum += cubic(y - v) * cubic(x - u) *
                           (double)in[(row * width + column) * n + i % n];
                }
            near(out[i], sum, 2e-6);
            if (s == 0)
                near(out[i], in[i], 1e-7); /* the same size changes nothing */
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layernorm),      cmocka_unit_test(gelus),        cmocka_unit_test(rows),
        cmocka_unit_test(full_attention), cmocka_unit_test(rope_pairs),   cmocka_unit_test(patches),
        cmocka_unit_test(depthwise_conv), cmocka_unit_test(resize_cubic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
