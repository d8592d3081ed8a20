/* Schedule, clipping and AdamW against PyTorch and transformers
 * (tests/reference/make_optimiser_reference.py). */
#include "models/optimiser.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { N_PARAM = 12 };

static void read_floats(FILE *file, float values[N_PARAM])
{
    for (int i = 0; i < N_PARAM; i++)
        assert_int_equal(fscanf(file, "%f", &values[i]), 1);
}

/* Both sides compute in float32 with other roundings: each step's change, at most 3 learning rates,
 * is off by a few units of 2^-24 of itself and of the parameter. */
static void assert_near(const float *values, const float *expected, double rate, int n_step)
{
    for (int i = 0; i < N_PARAM; i++) {
        double unit = 0x1p-24 * (fabs((double)expected[i]) + 3 * rate);
        assert_true(fabs((double)values[i] - (double)expected[i]) <= 4 * unit * n_step);
    }
}

static double clip(float *grad, int64_t n_param, double max_norm)
{
    double norm;
    assert_int_equal(mdl_gradient_clip(mdl_backend_cpu(), grad, n_param, max_norm, &norm, NULL),
                     MDL_OK);
    return norm;
}

static void run_case(FILE *file, const char *schedule)
{
    mdl_optimiser_settings_t settings = {0};
    float param[N_PARAM], m[N_PARAM] = {0}, v[N_PARAM] = {0}, grad[N_PARAM], expected[N_PARAM];
    double rate, norm;
    int n_step;
    settings.schedule = strcmp(schedule, "cosine") == 0 ? MDL_SCHEDULE_COSINE : MDL_SCHEDULE_LINEAR;
    assert_int_equal(fscanf(file, "%d %lf %lf %lf %lf %lf %lf %lf", &n_step, &settings.warmup_ratio,
                            &settings.learning_rate, &settings.beta1, &settings.beta2,
                            &settings.epsilon, &settings.weight_decay, &settings.clip_norm),
                     8);
    int64_t n_warmup = (int64_t)ceil(settings.warmup_ratio * n_step);
    read_floats(file, param);
    for (int step = 0; step < n_step; step++) {
        assert_int_equal(fscanf(file, "%lf", &rate), 1);
        read_floats(file, grad);
        assert_int_equal(fscanf(file, "%lf", &norm), 1);
        read_floats(file, expected);
        double share = mdl_schedule_share(settings.schedule, step, n_warmup, n_step);
        assert_true(fabs(share * settings.learning_rate - rate) <= 4e-16 * settings.learning_rate);
        float clipped[N_PARAM];
        memcpy(clipped, grad, sizeof grad);
        assert_true(fabs(clip(clipped, N_PARAM, 1) - norm) <= 1e-6 * norm);
        assert_int_equal(mdl_optimiser_step(mdl_backend_cpu(), &settings, param, grad, m, v,
                                            N_PARAM, step, n_step, NULL),
                         MDL_OK);
        assert_near(param, expected, settings.learning_rate, step + 1);
    }
}

static void steps_are_those_of_pytorch(void **state)
{
    (void)state;
    FILE *file = fopen(MORDAL_SOURCE_DIR "/tests/reference/optimiser_cases.txt", "r");
    char schedule[16];
    int n_case = 0;
    assert_non_null(file);
    for (; fscanf(file, "%15s", schedule) == 1; n_case++)
        run_case(file, schedule);
    assert_int_equal(n_case, 5);
    fclose(file);
}

static void a_short_gradient_is_left_alone(void **state)
{
    (void)state;
    float grad[2] = {0.3f, -0.4f}, before[2];
    memcpy(before, grad, sizeof grad);
    assert_true(fabs(clip(grad, 2, 0.6) - 0.5) < 1e-7);
    assert_memory_equal(grad, before, sizeof grad);
    clip(grad, 2, 0.25);
    assert_true(fabs(hypot((double)grad[0], (double)grad[1]) - 0.25) < 1e-6);
}

static void rates_end_at_nothing(void **state)
{
    (void)state;
    for (mdl_schedule_t schedule = MDL_SCHEDULE_LINEAR; schedule <= MDL_SCHEDULE_COSINE;
         schedule++) {
        assert_true(mdl_schedule_share(schedule, 0, 0, 1) == 1);
        assert_true(mdl_schedule_share(schedule, 3, 3, 3) == 0);
        assert_true(mdl_schedule_share(schedule, 10, 2, 10) == 0);
        assert_true(mdl_schedule_share(schedule, 2, 2, 10) == 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_those_of_pytorch),
        cmocka_unit_test(a_short_gradient_is_left_alone),
        cmocka_unit_test(rates_end_at_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
