/* Training on a tiny synthetic task; run with 1 to 4 ranks, which compare themselves with one. */
#include "../backends.h"
#include "synthetic_study.h"

#include "models/sample_order.h"
#include "models/training.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* NEEDED: positions that the loss of a synthetic sample depends on. */
enum { N_STEP = 40, FEW_STEPS = 10, NEEDED = 5 };

typedef struct {
    mdl_decoder_t *decoder;
    mdl_corpus_t *corpus;
    mdl_features_t *features;
    mdl_adapter_t *adapter;
    mdl_workspace_t *workspace;
    mdl_training_t *training;
} run_t;

static char folder[64];
static mdl_study_t *study;
static int rank, n_rank;

static void check(int rc, const mdl_error_t *err)
{
    if (rc != MDL_OK)
        fail_msg("%s", err->text);
}

static void open_run_on(run_t *run, const mdl_backend_t *backend, int64_t epochs, int64_t batch)
{
    mdl_error_t err;
    mdl_adapter_options_t options = {2, 4, 0};
    mdl_training_settings_t settings = mdl_training_settings(study);
    settings.epochs = epochs;
    settings.batch = batch;
    char *archive = mdl_study_path(study, "archive/vision/eye.h5");
    check(mdl_linear_targets("q_proj,v_proj", &options.targets, &err), &err);
    check(mdl_decoder_load(backend, study->zoo.language[0].checkpoint, &run->decoder, &err), &err);
    check(mdl_corpus_read(study->zoo.language[0].corpus, &run->corpus, &err), &err);
    check(mdl_features_read(archive, run->corpus, &run->features, &err), &err);
    check(mdl_adapter_new(backend, mdl_decoder_config(run->decoder), run->features->n_feat,
                          &options, 1, &run->adapter, &err),
          &err);
    int64_t n_position = mdl_training_max_length(&settings, mdl_decoder_config(run->decoder),
                                                 run->corpus->max_length + 1);
    check(mdl_workspace_new(run->decoder, run->adapter, n_position, settings.keep, &run->workspace,
                            &err),
          &err);
    check(mdl_training_new(&settings, run->corpus, run->features, run->adapter, run->workspace,
                           &run->training, &err),
          &err);
    free(archive);
}

static void open_run(run_t *run, int64_t epochs, int64_t batch)
{
    open_run_on(run, mdl_backend_cpu(), epochs, batch);
}

static void close_run(run_t *run)
{
    mdl_training_free(run->training);
    mdl_workspace_free(run->workspace);
    mdl_adapter_free(run->adapter);
    mdl_features_free(run->features);
    mdl_corpus_free(run->corpus);
    mdl_decoder_free(run->decoder);
}

static void train(run_t *run, MPI_Comm group, int n_step, double *losses)
{
    mdl_error_t err;
    for (int i = 0; i < n_step; i++) {
        mdl_step_t step;
        check(mdl_training_step(run->training, group, 0, &step, &err), &err);
        losses[i] = step.loss;
    }
}

static void loss_falls(void **state)
{
    (void)state;
    run_t run;
    double losses[N_STEP];
    open_run(&run, 5, 6);
    assert_int_equal(run.training->total_steps, 80);
    train(&run, MPI_COMM_WORLD, N_STEP, losses);
    assert_true(losses[0] > 3);
    assert_true(losses[N_STEP - 1] < 0.5 * losses[0]);
    close_run(&run);
}

static void compare_with_one_rank(int64_t batch)
{
    run_t shared, alone;
    double losses[N_STEP], expected[N_STEP];
    open_run(&shared, 1, batch);
    open_run(&alone, 1, batch);
    int n_step = shared.training->total_steps < 8 ? (int)shared.training->total_steps : 8;
    train(&shared, MPI_COMM_WORLD, n_step, losses);
    train(&alone, MPI_COMM_SELF, n_step, expected);
    size_t n_byte = (size_t)alone.adapter->n_param * sizeof(float);
    if (n_rank != 3) {
        assert_memory_equal(losses, expected, (size_t)n_step * sizeof *losses);
        assert_memory_equal(shared.adapter->param, alone.adapter->param, n_byte);
        assert_memory_equal(shared.training->adam_m, alone.training->adam_m, n_byte);
        assert_memory_equal(shared.training->adam_v, alone.training->adam_v, n_byte);
    }
    for (int i = 0; i < n_step; i++)
        assert_true(fabs(losses[i] - expected[i]) <= 1e-5 * expected[i]);
    close_run(&shared);
    close_run(&alone);
}

/* Batches that ranks share evenly, unevenly, and whose last is short; with samples that pass one at
 * a time, some together, and all of a batch, so that some ranks have nothing to do. */
static void ranks_agree(void **state)
{
    (void)state;
    static const int64_t cases[][2] = {{1, 0},  {5, 0},          {6, 0},    {8, 0},
                                       {36, 0}, {6, 2 * NEEDED}, {8, 1000}, {36, 3 * NEEDED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        study->trainer.pack_length = cases[i][1];
        compare_with_one_rank(cases[i][0]);
    }
    study->trainer.pack_length = 0;
}

/* Sums in other orders: losses of the first step differ by some 1e-7, and Adam, which divides by
 * the gradients' size, lets that grow along the way. */
static void packs_change_rounding_alone(void **state)
{
    (void)state;
    run_t one_by_one, packed;
    double expected[FEW_STEPS], losses[FEW_STEPS];
    open_run(&one_by_one, 5, 6);
    study->trainer.pack_length = 4 * NEEDED;
    open_run(&packed, 5, 6);
    study->trainer.pack_length = 0;
    train(&one_by_one, MPI_COMM_WORLD, FEW_STEPS, expected);
    train(&packed, MPI_COMM_WORLD, FEW_STEPS, losses);
    assert_int_equal(one_by_one.training->packs.n_pack, 6);
    assert_int_equal(packed.training->packs.n_pack, 2);
    print_message("losses differ by %.1e at the first step, %.1e at the last\n",
                  fabs(losses[0] / expected[0] - 1),
                  fabs(losses[FEW_STEPS - 1] / expected[FEW_STEPS - 1] - 1));
    assert_true(fabs(losses[0] - expected[0]) <= 1e-6 * expected[0]);
    for (int i = 0; i < FEW_STEPS; i++)
        assert_true(fabs(losses[i] - expected[i]) <= 1e-5 * expected[i]);
    close_run(&one_by_one);
    close_run(&packed);
}

/* Packs of one sample each, whose positions they don't hold: as without packs, bit by bit. */
static void long_samples_pass_alone(void **state)
{
    (void)state;
    run_t one_by_one, alone;
    double expected[FEW_STEPS], losses[FEW_STEPS];
    open_run(&one_by_one, 5, 6);
    study->trainer.pack_length = NEEDED - 1;
    open_run(&alone, 5, 6);
    study->trainer.pack_length = 0;
    train(&one_by_one, MPI_COMM_WORLD, FEW_STEPS, expected);
    train(&alone, MPI_COMM_WORLD, FEW_STEPS, losses);
    assert_memory_equal(losses, expected, sizeof losses);
    assert_memory_equal(alone.adapter->param, one_by_one.adapter->param,
                        (size_t)alone.adapter->n_param * sizeof(float));
    close_run(&one_by_one);
    close_run(&alone);
}

/* Same bits where the same functions compute; a GPU sums in other orders, so that losses of some 3
 * differ by some 1e-6 and the more the further training goes. */
static void backends_agree(void **state)
{
    (void)state;
    const mdl_backend_t *backends[MAX_BACKEND];
    int n_backend = find_backends(backends);
    run_t reference;
    double expected[N_STEP], losses[N_STEP];
    open_run(&reference, 1, 6);
    int n_step = (int)reference.training->total_steps;
    train(&reference, MPI_COMM_WORLD, n_step, expected);
    size_t n_byte = (size_t)reference.adapter->n_param * sizeof(float);
    float *param = malloc(n_byte);
    assert_non_null(param);
    for (int b = 1; b < n_backend; b++) {
        mdl_error_t err;
        run_t run;
        open_run_on(&run, backends[b], 1, 6);
        train(&run, MPI_COMM_WORLD, n_step, losses);
        check(backends[b]->download(param, run.adapter->param, n_byte, &err), &err);
        if (backends[b] == mdl_backend_strict())
            assert_memory_equal(param, reference.adapter->param, n_byte);
        for (int i = 0; i < n_step; i++)
            assert_true(fabs(losses[i] - expected[i]) <= 1e-4 * expected[i]);
        close_run(&run);
    }
    free(param);
    close_run(&reference);
}

/* One step of the batch against the gradient summed over its samples by hand. */
static void step_is_adam_on_the_mean_gradient(void **state)
{
    (void)state;
    run_t run;
    mdl_error_t err;
    mdl_step_t step;
    int64_t order[SYNTHETIC_TRAIN];
    open_run(&run, 5, 6);
    int64_t n_param = run.adapter->n_param;
    float *before = malloc((size_t)n_param * sizeof *before);
    double *grad = calloc((size_t)n_param, sizeof *grad), loss = 0;
    memcpy(before, run.adapter->param, (size_t)n_param * sizeof *before);
    mdl_sample_order(order, SYNTHETIC_TRAIN, study->seed, 0);
    for (int i = 0; i < 6; i++) {
        double one_loss;
        mdl_sample_t one = mdl_training_sample(run.corpus, run.features, order[i]);
        memset(run.adapter->grad, 0, (size_t)n_param * sizeof(float));
        check(mdl_sample_gradient(run.workspace, &one, 1, &one_loss, &err), &err);
        for (int64_t k = 0; k < n_param; k++)
            grad[k] += run.adapter->grad[k] / 12.0;
        loss += one_loss / 12;
    }
    check(mdl_training_step(run.training, MPI_COMM_WORLD, 0, &step, &err), &err);
    assert_true(fabs(step.loss - loss) < 1e-12 * loss);
    /* The first step of Adam with bias correction: lr g / (|g| + eps). */
    for (int64_t k = 0; k < n_param; k++) {
        double expected = before[k] - 0.01 * grad[k] / (fabs(grad[k]) + 1e-8);
        if (fabs(grad[k]) > 1e-5)
            assert_true(fabs(run.adapter->param[k] - expected) < 1e-5);
    }
    free(before);
    free(grad);
    close_run(&run);
}

/* Activation checkpointing changes no bit of a training, and none of a warm-up. */
static void checkpointing_changes_no_bit(void **state)
{
    (void)state;
    mdl_error_t err;
    run_t run[2];
    mdl_adapter_t *warm[2];
    double losses[2][N_STEP];
    for (int i = 0; i < 2; i++) {
        study->trainer.activation_checkpointing = i;
        mdl_training_settings_t settings = mdl_training_settings(study);
        open_run(&run[i], 5, 6);
        train(&run[i], MPI_COMM_WORLD, N_STEP, losses[i]);
        check(mdl_training_warm_up(&settings, run[i].decoder, run[i].corpus, run[i].features, 5,
                                   &warm[i], &err),
              &err);
    }
    study->trainer.activation_checkpointing = 0;
    assert_memory_equal(losses[0], losses[1], sizeof losses[0]);
    assert_memory_equal(run[0].adapter->param, run[1].adapter->param,
                        (size_t)run[0].adapter->n_param * sizeof(float));
    assert_memory_equal(warm[0]->param, warm[1]->param, (size_t)warm[0]->n_param * sizeof(float));
    for (int i = 0; i < 2; i++) {
        mdl_adapter_free(warm[i]);
        close_run(&run[i]);
    }
}

static void orders_are_permutations(void **state)
{
    (void)state;
    int64_t first[500], second[500], other[500];
    int seen[500] = {0}, n_fixed = 0;
    mdl_sample_order(first, 500, 3, 0);
    mdl_sample_order(second, 500, 3, 1);
    mdl_sample_order(other, 500, 4, 0);
    for (int i = 0; i < 500; i++) {
        assert_in_range(first[i], 0, 499);
        seen[first[i]]++;
        n_fixed += first[i] == i;
    }
    for (int i = 0; i < 500; i++)
        assert_int_equal(seen[i], 1);
    assert_true(n_fixed < 10);
    assert_memory_not_equal(first, second, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
    mdl_sample_order(second, 500, 3, 0);
    assert_memory_equal(first, second, sizeof first);
}

/* Every sample of an epoch once: the batches of 96 / 5 run on across the ends of epochs. */
static void an_epoch_takes_every_sample_once(void **state)
{
    (void)state;
    run_t run;
    double loss;
    int seen[SYNTHETIC_TRAIN] = {0};
    open_run(&run, 5, 5);
    assert_int_equal(run.training->total_steps, SYNTHETIC_TRAIN);
    for (int position = 0; position < SYNTHETIC_TRAIN * 5; position++) {
        if (position % 5 == 0)
            train(&run, MPI_COMM_SELF, 1, &loss);
        seen[run.training->place[position % 5]]++;
        for (int i = 0; (position + 1) % SYNTHETIC_TRAIN == 0 && i < SYNTHETIC_TRAIN; i++)
            assert_int_equal(seen[i], (position + 1) / SYNTHETIC_TRAIN);
    }
    close_run(&run);
}

static void features_are_standardised(void **state)
{
    (void)state;
    run_t run;
    open_run(&run, 5, 1);
    const mdl_features_t *features = run.features;
    assert_int_equal(features->n_image, SYNTHETIC_TRAIN + SYNTHETIC_EVAL);
    for (int k = 0; k < SYNTHETIC_FEAT; k++) {
        double sum = 0, square = 0;
        for (int i = 0; i < SYNTHETIC_TRAIN; i++) {
            double value = mdl_features_of(features, i)[k];
            sum += value;
            square += value * value;
        }
        assert_true(fabs(sum / SYNTHETIC_TRAIN) < 1e-5);
        double expected = k == SYNTHETIC_FEAT - 1 ? 0 : 1;
        assert_true(fabs(square / SYNTHETIC_TRAIN - expected) < 1e-4);
    }
    close_run(&run);
}

static void a_diverged_loss_is_named(void **state)
{
    (void)state;
    run_t run;
    mdl_error_t err;
    mdl_step_t step;
    open_run(&run, 5, 4);
    for (int64_t i = 0; i < run.adapter->n_param; i++)
        run.adapter->param[i] = 1e30f;
    assert_int_equal(mdl_training_step(run.training, MPI_COMM_WORLD, 0, &step, &err),
                     MDL_E_TRAINER);
    assert_non_null(strstr(err.text, "step 1"));
    assert_int_equal(run.training->step, 0);
    close_run(&run);
}

static void warm_up_is_a_projector_alone(void **state)
{
    (void)state;
    run_t run;
    mdl_error_t err;
    mdl_adapter_t *start, *adapter;
    mdl_training_settings_t settings = mdl_training_settings(study);
    open_run(&run, 5, 4);
    check(mdl_training_warm_up(&settings, run.decoder, run.corpus, run.features, 0, &start, &err),
          &err);
    check(
        mdl_training_warm_up(&settings, run.decoder, run.corpus, run.features, 10, &adapter, &err),
        &err);
    assert_int_equal(adapter->n_slice, 4);
    assert_memory_not_equal(adapter->param, start->param, (size_t)start->n_param * sizeof(float));
    mdl_adapter_free(start);
    mdl_adapter_free(adapter);
    close_run(&run);
}

static void marks_are_steps(void **state)
{
    (void)state;
    assert_int_equal(mdl_training_step_at(1, 80), 80);
    assert_int_equal(mdl_training_step_at(0.5, 81), 41);
    assert_int_equal(mdl_training_step_at(0.001, 80), 1);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_rank);
    snprintf(folder, sizeof folder, "study-np%d", n_rank);
    study = rank == 0 ? synthetic_study(folder, 1) : NULL;
    MPI_Barrier(MPI_COMM_WORLD);
    study = rank == 0 ? study : synthetic_study(folder, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_falls),
        cmocka_unit_test(ranks_agree),
        cmocka_unit_test(packs_change_rounding_alone),
        cmocka_unit_test(long_samples_pass_alone),
        cmocka_unit_test(backends_agree),
        cmocka_unit_test(step_is_adam_on_the_mean_gradient),
        cmocka_unit_test(checkpointing_changes_no_bit),
        cmocka_unit_test(orders_are_permutations),
        cmocka_unit_test(an_epoch_takes_every_sample_once),
        cmocka_unit_test(features_are_standardised),
        cmocka_unit_test(a_diverged_loss_is_named),
        cmocka_unit_test(warm_up_is_a_projector_alone),
        cmocka_unit_test(marks_are_steps),
    };
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    synthetic_free(study);
    MPI_Finalize();
    return n_failed;
}
