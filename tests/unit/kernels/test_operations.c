/* Every operation of a backend at odd sizes against the processor's, whose kernels test_forward.c
 * and test_backward.c compare with formulas. Both compute in float32 and sum in other orders, so
 * that sums of some hundred numbers differ by some 1e-6 of the largest; 3e-5 is asked. With
 * bfloat16 both round the factors of linear layers in the same way, but a GPU also takes TF32 for
 * products of what is trained (rounding error 2^-11 at most) and bfloat16 in attention (2^-9), some
 * 3e-3 of the largest: 1e-2 is asked. */
#include "../backends.h"
#include "fill.h"
#include "kernels/bfloat16.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define TOLERANCE          3e-5
#define BFLOAT16_TOLERANCE 1e-2

enum { MAX = 1 << 17, MAX_ARRAY = 16 };

static const mdl_backend_t *be; /* at work */
static void *array[MAX_ARRAY];  /* its memory that a case asked for */
static int n_array;
static float *result; /* [MAX] what the case computed */
static int64_t n_result;

static void *memory(const void *values, size_t n_byte)
{
    mdl_error_t err;
    void *made;
    assert_true(n_array < MAX_ARRAY);
    if (be->alloc(&made, n_byte, "an array", &err) != MDL_OK ||
        (values != NULL && be->upload(made, values, n_byte, &err) != MDL_OK))
        fail_msg("%s", err.text);
    return array[n_array++] = made;
}

/* n numbers in +-range, always the same for a seed. */
static float *numbers(int64_t n, float range, uint32_t seed)
{
    static float values[MAX];
    assert_true(n <= MAX);
    fill(values, n, range, seed);
    return memory(values, (size_t)n * sizeof *values);
}

/* The same as the backend keeps frozen matrices. */
static void *matrix(int64_t n, uint32_t seed)
{
    static float wide[MAX];
    static mdl_bfloat16_t narrow[MAX];
    assert_true(n <= MAX);
    fill(wide, n, 1, seed);
    for (int64_t i = 0; i < n; i++)
        narrow[i] = mdl_to_bfloat16(wide[i]);
    return be->bfloat16 ? memory(narrow, (size_t)n * sizeof *narrow)
                        : memory(wide, (size_t)n * sizeof *wide);
}

/* Adds n numbers to what is compared. */
static void keep(const float *x, int64_t n)
{
    mdl_error_t err;
    assert_true(n_result + n <= MAX);
    if (be->download(result + n_result, x, (size_t)n * sizeof *x, &err) != MDL_OK)
        fail_msg("%s", err.text);
    n_result += n;
}

static void products(void)
{
    static const int64_t shapes[][3] = {{1, 37, 19}, {33, 17, 12}, {70, 65, 130}, {5, 129, 64}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int64_t m = shapes[i][0], n = shapes[i][1], k = shapes[i][2], ld = 131;
        float *a = numbers(131 * ld, 1, 1), *b = numbers(131 * ld, 1, 2),
              *c = numbers(70 * ld, 1, 3);
        be->matmul_nt(c, ld, a, ld, b, ld, m, n, k, 0.5f, 2.0f);
        be->matmul_nn(c, ld, a, ld, b, ld, m, n, k, 1.0f, 1.0f);
        be->matmul_tn(c + 1, ld, a + 1, ld, b, ld, m, n, k, 1.0f, 0.5f);
        keep(c, m * ld);
    }
}

static void linear(void)
{
    int64_t n_row = 37, n_out = 50, n_in = 66;
    float *in = numbers(n_row * n_in, 1, 1);
    const void *weight = matrix(n_out * n_in, 2);
    float *bias = numbers(n_out, 1, 3), *before = numbers(n_row * n_out, 1, 4);
    float *out = numbers(n_row * n_out, 1, 5), *din = numbers(n_row * n_in, 1, 6);
    be->linear_forward(out, NULL, in, weight, NULL, n_row, n_out, n_in);
    keep(out, n_row * n_out);
    be->linear_forward(out, before, in, weight, NULL, n_row, n_out, n_in);
    keep(out, n_row * n_out);
    be->linear_forward(out, NULL, in, weight, bias, n_row, n_out, n_in);
    keep(out, n_row * n_out);
    be->linear_backward(din, out, weight, n_row, n_out, n_in);
    keep(din, n_row * n_in);
}

static void norms(void)
{
    int64_t n_row = 7, n = 301;
    float *in = numbers(n_row * n, 1, 1), *weight = numbers(n, 1, 2);
    float *out = numbers(n_row * n, 1, 3), *inverse = numbers(n_row, 1, 4);
    be->rmsnorm_forward(out, inverse, in, weight, n_row, n, 1e-5f);
    keep(out, n_row * n);
    keep(inverse, n_row);
    be->rmsnorm_backward(out, in, in, inverse, weight, n_row, n);
    keep(out, n_row * n);
}

static void head_norms(void)
{
    int64_t n_row = 5, n_head = 3, n = 70, ld = 300, ld_plain = 250, ld_inverse = 4;
    float *x = numbers(n_row * ld, 1, 1), *weight = numbers(n, 1, 2);
    float *plain = numbers(n_row * ld_plain, 1, 3), *inverse = numbers(n_row * ld_inverse, 1, 4);
    be->head_norm_forward(x, plain, inverse, weight, n_row, n_head, n, ld, ld_plain, ld_inverse,
                          1e-5f);
    keep(x, n_row * ld);
    keep(plain, n_row * ld_plain);
    be->head_norm_backward(x, plain, inverse, weight, n_row, n_head, n, ld, ld_plain, ld_inverse);
    keep(x, n_row * ld);
    keep(inverse, n_row * ld_inverse);
}

static void rotations(void)
{
    int64_t n_row = 9, n_head = 3, n_feat = 10, ld = 37;
    float *x = numbers(n_row * ld, 1, 1), *cosine = numbers(n_row * 5, 1, 2);
    float *sine = numbers(n_row * 5, 1, 3);
    be->rope_forward(x, cosine, sine, n_row, n_head, n_feat, ld);
    keep(x, n_row * ld);
    be->rope_backward(x, cosine, sine, n_row, n_head, n_feat, ld);
    keep(x, n_row * ld);
}

static void attend(mdl_attention_t shape, int64_t n_row, int64_t cut)
{
    int64_t n_value = n_row * shape.n_head * shape.n_head_feat;
    shape.ld_qkv = (shape.n_head + 2 * shape.n_kv_head) * shape.n_head_feat;
    shape.scale = 1 / sqrtf((float)shape.n_head_feat);
    float *qkv = numbers(n_row * shape.ld_qkv, 2, 1), *out = numbers(n_value, 1, 2);
    float *dout = numbers(n_value, 1, 3), *dqkv = numbers(n_row * shape.ld_qkv, 1, 4);
    float *log_sum = numbers(shape.n_head * (n_row + 3), 1, 5);
    float *scratch = numbers(be->room->attention_n_scratch(&shape, n_row), 1, 6);
    be->attention_forward(out, log_sum, scratch, qkv, &shape, 0, cut, n_row + 3);
    be->attention_forward(out, log_sum, scratch, qkv, &shape, cut, n_row - cut, n_row + 3);
    be->attention_backward(dqkv, scratch, dout, out, log_sum, qkv, &shape, n_row, n_row + 3);
    keep(out, n_value);
    keep(dqkv, n_row * shape.ld_qkv);
}

static void attention(void)
{
    attend((mdl_attention_t){.n_head = 2, .n_kv_head = 1, .n_head_feat = 40}, 71, 33);
    attend((mdl_attention_t){.n_head = 2, .n_kv_head = 2, .n_head_feat = 6, .n_window = 5}, 70, 1);
}

static void attention_in_windows(void)
{
    attend((mdl_attention_t){.n_head = 3, .n_kv_head = 1, .n_head_feat = 66, .n_window = 32}, 97,
           50);
    attend((mdl_attention_t){.n_head = 1, .n_kv_head = 1, .n_head_feat = 256, .n_window = 40}, 65,
           64);
}

static void attention_of_wide_heads(void)
{
    attend((mdl_attention_t){.n_head = 4, .n_kv_head = 2, .n_head_feat = 128}, 34, 2);
    attend((mdl_attention_t){.n_head = 2, .n_kv_head = 1, .n_head_feat = 96}, 31, 30);
}

/* Sequences that begin at multiples of length and at other_begin, so that tiles of 32 and of 64
 * rows hold the ends of some and the middle of others. */
static const int32_t *sequences(int64_t n_row, int32_t length, int32_t other_begin)
{
    static int32_t begin[128];
    for (int32_t row = 0; row < n_row; row++) {
        begin[row] = row / length * length;
        if (row >= other_begin && begin[row] < other_begin)
            begin[row] = other_begin;
    }
    return memory(begin, (size_t)n_row * sizeof *begin);
}

static void attention_of_sequences(void)
{
    attend(
        (mdl_attention_t){
            .n_head = 2, .n_kv_head = 1, .n_head_feat = 40, .begin = sequences(128, 70, 90)},
        128, 91);
    attend((mdl_attention_t){.n_head = 4,
                             .n_kv_head = 2,
                             .n_head_feat = 64,
                             .n_window = 9,
                             .begin = sequences(115, 12, 39)},
           115, 24);
}

/* Single positions of sequences behind one another; what isn't asked for stays. */
static void attention_of_single_positions(void)
{
    static const int32_t begin[80] = {[3] = 3, 3, 3, 3}, at[4] = {79, 2, 6, 40};
    static int32_t all[80];
    for (int row = 0; row < 80; row++)
        all[row] = row < 7 ? begin[row] : 7;
    mdl_attention_t shape = {4, 2, 40, 8 * 40, 0.15f, 0, NULL};
    shape.begin = memory(all, sizeof all);
    const int32_t *positions = memory(at, sizeof at);
    float *qkv = numbers(80 * 8 * 40, 2, 1), *out = numbers(80 * 4 * 40, 1, 2);
    float *log_sum = numbers(4 * 83, 1, 3);
    float *scratch = numbers(be->room->attention_n_scratch(&shape, 80), 1, 4);
    for (shape.n_window = 0; shape.n_window <= 33; shape.n_window += 33) {
        be->attention_each(out, log_sum, scratch, qkv, &shape, positions, 4, 83);
        keep(out, 80 * 4 * 40);
        keep(log_sum, 4 * 83);
    }
}

static void attention_of_short_sequences(void)
{
    attend(
        (mdl_attention_t){
            .n_head = 1, .n_kv_head = 1, .n_head_feat = 128, .begin = sequences(100, 1, 1)},
        100, 64);
}

static void gates(void)
{
    int64_t n_row = 5, n = 131;
    float *in = numbers(2 * n_row * n, 4, 1), *out = numbers(n_row * n, 1, 2);
    float *din = numbers(2 * n_row * n, 1, 3);
    be->swiglu_forward(out, in, n_row, n);
    keep(out, n_row * n);
    be->swiglu_backward(din, out, in, n_row, n);
    keep(din, 2 * n_row * n);
    be->geglu_forward(out, in, n_row, n);
    keep(out, n_row * n);
    be->geglu_backward(din, out, in, n_row, n);
    keep(din, 2 * n_row * n);
    be->gelu_forward(out, in, n_row * n);
    keep(out, n_row * n);
    be->gelu_backward(out, out, in, n_row * n);
    keep(out, n_row * n);
}

static void gelus(void)
{
    int64_t n = 1001;
    float *in = numbers(n, 6, 1), *out = numbers(n, 1, 2);
    be->gelu_tanh_forward(out, in, n);
    keep(out, n);
    be->gelu_quick_forward(in, in, n);
    keep(in, n);
}

static void layer_norms(void)
{
    static const int64_t widths[] = {1, 70, 301};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        int64_t n_row = 7, n = widths[i];
        float *in = numbers(n_row * n, 1, 1), *out = numbers(n_row * n, 1, 2);
        float *weight = numbers(n, 1, 3), *bias = numbers(n, 1, 4);
        be->layernorm_forward(out, in, weight, bias, n_row, n, 1e-5f);
        keep(out, n_row * n);
        be->layernorm_forward(in, in, weight, bias, n_row, n, 1e-5f);
        keep(in, n_row * n);
    }
}

static void rotations_of_pairs(void)
{
    int64_t n_row = 9, n_head = 3, n_feat = 12, ld = 37;
    float *x = numbers(n_row * ld, 1, 1), *cosine = numbers(n_row * 6, 1, 2);
    be->rope_pairs_forward(x + 1, cosine, numbers(n_row * 6, 1, 3), n_row, n_head, n_feat, ld);
    keep(x, n_row * ld);
}

/* Widths of heads of every kernel, tiles that are full and not, one query and many. */
static void full_attention(void)
{
    static const mdl_full_attention_t shapes[] = {
        {.n_image = 2, .n_query = 70, .n_key = 70, .n_head = 2, .n_head_feat = 6},
        {.n_image = 3, .n_query = 1, .n_key = 33, .n_head = 2, .n_head_feat = 72},
        {.n_image = 1, .n_query = 32, .n_key = 64, .n_head = 3, .n_head_feat = 64},
        {.n_image = 2, .n_query = 5, .n_key = 9, .n_head = 1, .n_head_feat = 128},
        {.n_image = 1, .n_query = 35, .n_key = 31, .n_head = 1, .n_head_feat = 256},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        mdl_full_attention_t shape = shapes[i];
        int64_t d = shape.n_head * shape.n_head_feat, n_out = shape.n_image * shape.n_query * d;
        shape.ld_q = d + 3;
        shape.ld_kv = 2 * d + 1;
        float *q = numbers(shape.n_image * shape.n_query * shape.ld_q, 2, 1);
        float *kv = numbers(shape.n_image * shape.n_key * shape.ld_kv, 2, 2);
        float *score = numbers(shape.n_query * shape.n_key, 1, 3), *out = numbers(n_out, 1, 4);
        be->full_attention_forward(out, score, q, kv, kv + d, &shape);
        keep(out, n_out);
        while (n_array > 0)
            be->release(array[--n_array]);
    }
}

static void images(void)
{
    int64_t n_channel = 3, height = 23, width = 31, n = n_channel * height * width;
    const mdl_image_layout_t planes = {n_channel, height, width, height * width, width, 1},
                             last = {n_channel, height, width, 1, width * n_channel, n_channel};
    float *image = numbers(n, 1, 1), *out = numbers(n, 1, 2);
    be->patches(out, image, &planes, 7);
    keep(out, n);
    be->patches(out, image, &last, 2);
    keep(out, n);
    be->depthwise_conv_forward(out, image, numbers(49 * n_channel, 1, 3), numbers(n_channel, 1, 4),
                               height, width, n_channel, 7);
    keep(out, n);
    be->depthwise_conv_forward(out, image, numbers(9 * n_channel, 1, 3), numbers(n_channel, 1, 4),
                               1, 2, n_channel, 3);
    keep(out, n);
}

static void rows(void)
{
    static const int32_t to[3] = {4, 0, 2}, from[3] = {6, 1, 1};
    int64_t n_row = 7, n = 300;
    const int32_t *to_row = memory(to, sizeof to), *from_row = memory(from, sizeof from);
    float *x = numbers(n_row * n, 1, 1), *y = numbers(n_row * n, 1, 2), *sum = numbers(n, 1, 3);
    float *mean = numbers(n, 1, 5);
    be->rows_set(x, sum, 3, n);
    be->rows_add_scaled(x, y, NULL, 2, n);
    be->rows_add_scaled(x, y, sum, n_row, n);
    be->rows_sum(sum, x, n_row, n);
    be->rows_mean(mean, y, n_row, n);
    be->rows_move(x, to_row, y, from_row, 3, n, 0.5f);
    be->rows_move(x + n, NULL, y, from_row, 2, n, 1.0f);
    be->rows_move(x, to_row, y, NULL, 3, n, -2.0f);
    be->rows_embed(y, to_row, matrix(n_row * n, 4), from_row, 3, n, 1.5f);
    keep(y, n_row * n);
    keep(x, n_row * n);
    keep(sum, n);
    keep(mean, n);
}

/* The first of equals, wherever they are, and rows shorter than a block of threads. */
static void largest(void)
{
    static const int64_t widths[] = {1, 5, 300, 1027};
    float values[3 * 1027];
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        mdl_error_t err;
        int32_t at[3];
        int64_t n = widths[i];
        fill(values, 3 * n, 1, 7);
        values[n + n / 2] = values[2 * n - 1] = 2;
        int32_t *place = memory(NULL, sizeof at);
        be->rows_largest(place, memory(values, (size_t)(3 * n) * sizeof *values), 3, n);
        assert_int_equal(be->download(at, place, sizeof at, &err), MDL_OK);
        for (int row = 0; row < 3; row++)
            result[n_result++] = (float)at[row];
    }
}

static void cross_entropy(void)
{
    static const int32_t target[3] = {0, 998, 513};
    static const int64_t widths[] = {3, 999};
    for (int i = 0; i < 2; i++) {
        mdl_error_t err;
        double sum = 1.5;
        int64_t n = widths[i], n_row = i == 0 ? 1 : 3;
        float *logit = numbers(3 * n, 9, 1), *log_sum = numbers(3, 1, 2);
        double *loss = memory(&sum, sizeof sum);
        const int32_t *at = memory(target, sizeof target);
        be->cross_entropy_forward(loss, log_sum, logit, at, n_row, n);
        be->cross_entropy_forward(loss, log_sum, logit, at, n_row, n);
        be->cross_entropy_backward(logit, logit, log_sum, at, n_row, n, 0.25f);
        assert_int_equal(be->download(&sum, loss, sizeof sum, &err), MDL_OK);
        result[n_result++] = (float)sum;
        keep(logit, n_row * n);
        keep(log_sum, n_row);
    }
}

static void vectors(void)
{
    mdl_error_t err;
    int64_t n = 1000;
    double sum;
    float *x = numbers(n, 1, 1), *y = numbers(n, 1, 2), *m = numbers(n, 0, 3),
          *v = numbers(n, 0, 4);
    be->vector_add(x, y, n);
    be->vector_scale(x, 0.7f, n);
    assert_int_equal(be->vector_square_sum(&sum, x, n, &err), MDL_OK);
    result[n_result++] = (float)sum;
    for (int step = 1; step <= 3; step++)
        be->adam_step(x, y, m, v, n, step, 1e-2, 0.9, 0.999, 1e-8);
    keep(x, n);
    keep(m, n);
    keep(v, n);
}

static void run(void (*operation)(void), const mdl_backend_t *backend, float *out)
{
    be = backend;
    result = out;
    n_array = 0;
    n_result = 0;
    operation();
    while (n_array > 0)
        be->release(array[--n_array]);
}

/* All against the first. */
static void compare(void (*operation)(void), const mdl_backend_t *const *backends, int n_backend,
                    double tolerance)
{
    static float expected[MAX], got[MAX];
    run(operation, backends[0], expected);
    for (int b = 1; b < n_backend; b++) {
        double difference = 0, scale = 0;
        run(operation, backends[b], got);
        for (int64_t i = 0; i < n_result; i++) {
            double apart = fabs((double)got[i] - (double)expected[i]);
            scale = fmax(scale, fabs((double)expected[i]));
            difference = isfinite(apart) ? fmax(difference, apart) : (double)INFINITY;
        }
        print_message("%s: %.1e of the largest\n", backends[b]->name, difference / scale);
        assert_true(difference <= tolerance * scale);
        if (backends[b] == mdl_backend_strict())
            assert_true(difference == 0);
    }
}

static void same_results(void **state)
{
    const mdl_backend_t *backends[MAX_BACKEND];
    void (*operation)(void) = *(void (**)(void)) * state;
    int n_backend = find_backends(backends);
    compare(operation, backends, n_backend, TOLERANCE);
    n_backend = find_bfloat16_backends(backends);
    compare(operation, backends, n_backend, BFLOAT16_TOLERANCE);
}

int main(void)
{
    static struct {
        const char *name;
        void (*operation)(void);
    } cases[] = {
        {"products", products},
        {"linear", linear},
        {"norms", norms},
        {"head_norms", head_norms},
        {"rotations", rotations},
        {"attention", attention},
        {"attention_in_windows", attention_in_windows},
        {"attention_of_sequences", attention_of_sequences},
        {"attention_of_short_sequences", attention_of_short_sequences},
        {"attention_of_single_positions", attention_of_single_positions},
        {"attention_of_wide_heads", attention_of_wide_heads},
        {"gates", gates},
        {"gelus", gelus},
        {"layer_norms", layer_norms},
        {"rotations_of_pairs", rotations_of_pairs},
        {"full_attention", full_attention},
        {"images", images},
        {"rows", rows},
        {"largest", largest},
        {"cross_entropy", cross_entropy},
        {"vectors", vectors},
    };
    enum { N_CASE = sizeof cases / sizeof *cases };
    struct CMUnitTest tests[N_CASE];
    for (int i = 0; i < N_CASE; i++)
        tests[i] = (struct CMUnitTest){
            .name = cases[i].name, .test_func = same_results, .initial_state = &cases[i].operation};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
