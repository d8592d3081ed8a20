/* Every backward kernel against central differences of its forward kernel.
 *
 * The loss is sum(dout * out), summed in double. The forwards compute in float32 (relative error
 * about 1e-7), so with steps of 1e-2 the differences are good to about 1e-4 of the largest
 * gradient; 2e-3 is asked. */
#include "fill.h"
#include "kernels/attention.h"
#include "kernels/cross_entropy.h"
#include "kernels/geglu.h"
#include "kernels/gelu.h"
#include "kernels/rmsnorm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define STEP      1e-2f
#define TOLERANCE 2e-3

enum { N_ROW = 5, N_LONG = 140, N_FEAT = 12, MAX = 1200 };
static float in[MAX], dout[MAX], weight[MAX], din[MAX];
static mdl_attention_t shape = {4, 2, 6, 48, 0.40824829f, 0, NULL};
static const int32_t target[N_ROW] = {0, 3, 11, 5, 5};

static double weighted(const float *out, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)out[i] * (double)dout[i];
    return sum;
}

static void check_gradient(const char *what, double (*loss)(void), int64_t n)
{
    double numeric[MAX], largest = 0, difference = 0;
    for (int64_t i = 0; i < n; i++) {
        float old = in[i], up = old + STEP, down = old - STEP;
        in[i] = up;
        double above = loss();
        in[i] = down;
        double below = loss();
        in[i] = old;
        numeric[i] = (above - below) / ((double)up - (double)down);
        largest = fmax(largest, fabs(numeric[i]));
    }
    for (int64_t i = 0; i < n; i++)
        difference = fmax(difference, fabs(numeric[i] - (double)din[i]));
    print_message("%-14s %.1e\n", what, difference / largest);
    assert_true(difference <= TOLERANCE * largest);
}

static double rmsnorm_loss(void)
{
    float out[MAX], inverse[N_ROW];
    mdl_rmsnorm_forward(out, inverse, in, weight, N_ROW, N_FEAT, 1e-5f);
    return weighted(out, N_ROW * N_FEAT);
}

/* The gradient is added to what is there: the residual stream's. */
static void rmsnorm(void **state)
{
    (void)state;
    float out[MAX], inverse[N_ROW];
    fill(in, MAX, 1, 1);
    fill(dout, MAX, 1, 2);
    fill(weight, MAX, 1, 3);
    for (int i = 0; i < MAX; i++)
        din[i] = 7.0f;
    mdl_rmsnorm_forward(out, inverse, in, weight, N_ROW, N_FEAT, 1e-5f);
    mdl_rmsnorm_backward(din, dout, in, inverse, weight, N_ROW, N_FEAT);
    for (int i = 0; i < MAX; i++)
        din[i] -= 7.0f;
    check_gradient("rmsnorm", rmsnorm_loss, N_ROW * N_FEAT);
}

static double rope_loss(void)
{
    float frequency[3] = {1.0f, 0.3f, 0.05f}, cosine[15], sine[15], out[MAX];
    mdl_rope_table(cosine, sine, frequency, N_ROW, 3);
    memcpy(out, in, sizeof out);
    mdl_rope_forward(out, cosine, sine, N_ROW, 2, 6, N_FEAT);
    return weighted(out, N_ROW * N_FEAT);
}

static void rope(void **state)
{
    (void)state;
    float frequency[3] = {1.0f, 0.3f, 0.05f}, cosine[15], sine[15];
    fill(in, MAX, 1, 1);
    fill(dout, MAX, 1, 2);
    mdl_rope_table(cosine, sine, frequency, N_ROW, 3);
    memcpy(din, dout, sizeof din);
    mdl_rope_backward(din, cosine, sine, N_ROW, 2, 6, N_FEAT);
    check_gradient("rope", rope_loss, N_ROW * N_FEAT);
}

static double swiglu_loss(void)
{
    float out[MAX];
    mdl_swiglu_forward(out, in, N_ROW, N_FEAT);
    return weighted(out, N_ROW * N_FEAT);
}

static void swiglu(void **state)
{
    (void)state;
    fill(in, MAX, 3, 1);
    fill(dout, MAX, 1, 2);
    mdl_swiglu_backward(din, dout, in, N_ROW, N_FEAT);
    check_gradient("swiglu", swiglu_loss, N_ROW * 2 * N_FEAT);
}

static double geglu_loss(void)
{
    float out[MAX];
    mdl_geglu_forward(out, in, N_ROW, N_FEAT);
    return weighted(out, N_ROW * N_FEAT);
}

static void geglu(void **state)
{
    (void)state;
    fill(in, MAX, 3, 1);
    fill(dout, MAX, 1, 2);
    mdl_geglu_backward(din, dout, in, N_ROW, N_FEAT);
    check_gradient("geglu", geglu_loss, N_ROW * 2 * N_FEAT);
}

static double gelu_loss(void)
{
    float out[MAX];
    mdl_gelu_forward(out, in, N_ROW * N_FEAT);
    return weighted(out, N_ROW * N_FEAT);
}

static void gelu(void **state)
{
    (void)state;
    fill(in, MAX, 3, 1);
    fill(dout, MAX, 1, 2);
    mdl_gelu_backward(din, dout, in, N_ROW * N_FEAT);
    check_gradient("gelu", gelu_loss, N_ROW * N_FEAT);
}

static double cross_entropy_loss(void)
{
    float log_sum[N_ROW];
    double sum = 0;
    mdl_cross_entropy_forward(&sum, log_sum, in, target, N_ROW, N_FEAT);
    return 0.25 * sum;
}

static void cross_entropy(void **state)
{
    (void)state;
    float log_sum[N_ROW];
    double sum = 0;
    fill(in, MAX, 3, 1);
    mdl_cross_entropy_forward(&sum, log_sum, in, target, N_ROW, N_FEAT);
    memcpy(din, in, sizeof din); /* in place */
    mdl_cross_entropy_backward(din, din, log_sum, target, N_ROW, N_FEAT, 0.25f);
    check_gradient("cross_entropy", cross_entropy_loss, N_ROW * N_FEAT);
}

static int64_t n_position = N_ROW; /* of attention */
static float scratch[2 * N_LONG * N_LONG];

static double attention_loss(void)
{
    float out[MAX], log_sum[4 * N_LONG];
    mdl_attention_forward(out, log_sum, scratch, in, &shape, 0, n_position, n_position);
    return weighted(out, n_position * shape.n_head * shape.n_head_feat);
}

static void attention_gradient(const char *what)
{
    float out[MAX], log_sum[4 * N_LONG];
    fill(in, MAX, 1.5f, 1);
    fill(dout, MAX, 1, 2);
    for (int i = 0; i < MAX; i++)
        din[i] = NAN;
    mdl_attention_forward(out, log_sum, scratch, in, &shape, 0, n_position, n_position);
    mdl_attention_backward(din, scratch, dout, out, log_sum, in, &shape, n_position, n_position);
    check_gradient(what, attention_loss, n_position * shape.ld_qkv);
}

static void attention(void **state)
{
    (void)state;
    attention_gradient("attention");
}

static void window(void **state)
{
    (void)state;
    shape.n_window = 3;
    attention_gradient("window");
    shape.n_window = 0;
}

static void sequences(void **state)
{
    (void)state;
    static const int32_t begin[N_ROW] = {0, 0, 2, 2, 2};
    shape.begin = begin;
    attention_gradient("sequences");
    shape.n_window = 2;
    attention_gradient("windows in them");
    shape.n_window = 0;
    shape.begin = NULL;
}

/* More positions than the scores that are held at a time have rows. */
static void long_sequences(void **state)
{
    (void)state;
    mdl_attention_t before = shape;
    shape = (mdl_attention_t){2, 1, 2, 8, 0.7f, 0, NULL};
    n_position = N_LONG;
    attention_gradient("long");
    shape.n_window = 20;
    attention_gradient("long, window");
    shape = before;
    n_position = N_ROW;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_sequences), cmocka_unit_test(rmsnorm),
        cmocka_unit_test(rope),           cmocka_unit_test(swiglu),
        cmocka_unit_test(gelu),           cmocka_unit_test(cross_entropy),
        cmocka_unit_test(attention),      cmocka_unit_test(geglu),
        cmocka_unit_test(window),         cmocka_unit_test(sequences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
