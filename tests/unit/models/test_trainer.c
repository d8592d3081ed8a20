/* The native trainer through the interface of all trainers: resume, stop, damage, divergence,
 * measuring. Run with 1 to 4 ranks; rank 0 makes and breaks files between the collective steps. */
#include "synthetic_study.h"

#include "core/text.h"
#include "io/checkpoint_file.h"
#include "io/h5.h"
#include "models/greedy.h"
#include "models/native_memory.h"
#include "models/native_score.h"
#include "models/trainer_native.h"
#include "models/trainer_settings.h"
#include "mpi/stop.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* 96 samples x 5 epochs in batches of 6 are 80 steps; the marks are 1/16, 1/8, 1/4, 1/2 and 1. */
enum { N_MARK = 5 };
static const int64_t mark_steps[N_MARK] = {5, 10, 20, 40, 80};

static const mdl_candidate_t candidate = {"eye", "mouth"};
static int rank, n_rank;
static mdl_study_t *undisturbed; /* trained to ratio 1 in one go */

static void check(int rc, const mdl_error_t *err)
{
    if (rc != MDL_OK)
        fail_msg("%s", err->text);
}

static void wait_for_all(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
}

static mdl_study_t *new_study(const char *name)
{
    char folder[64];
    snprintf(folder, sizeof folder, "%s-np%d", name, n_rank);
    mdl_study_t *study = rank == 0 ? synthetic_study(folder, 1) : NULL;
    wait_for_all();
    return rank == 0 ? study : synthetic_study(folder, 0);
}

/* Trains in a trainer of its own, as a process that starts anew does. */
static int train(const mdl_study_t *study, double ratio, mdl_error_t *err)
{
    mdl_trainer_t *trainer;
    check(mdl_trainer_open(MPI_COMM_WORLD, study, 0, &trainer, err), err);
    int rc = mdl_trainer_train(trainer, MPI_COMM_WORLD, &candidate, ratio, err);
    mdl_trainer_free(trainer);
    wait_for_all();
    return rc;
}

static int measure(const mdl_study_t *study, double ratio, mdl_point_t *point, mdl_error_t *err)
{
    mdl_trainer_t *trainer;
    check(mdl_trainer_open(MPI_COMM_WORLD, study, 0, &trainer, err), err);
    int rc = mdl_trainer_measure(trainer, MPI_COMM_WORLD, &candidate, ratio, point, err);
    mdl_trainer_free(trainer);
    wait_for_all();
    return rc;
}

static char *checkpoint_path(const mdl_study_t *study, int64_t step)
{
    return mdl_study_path(study, "candidates/eye+mouth/checkpoint-%08lld.h5", (long long)step);
}

static float *read_values(const char *path, const char *name, int64_t n_value)
{
    hid_t file;
    mdl_error_t err;
    float *values;
    int64_t dims[2] = {-1, -1};
    check(mdl_h5_open(path, "", &file, &err), &err);
    check(mdl_h5_read_float(file, name, 2, dims, &values, &err), &err);
    mdl_h5_close(file);
    assert_int_equal(dims[0] * dims[1], n_value);
    return values;
}

/* The checkpoints of step hold the same parameters and moments, bit for bit. */
static void assert_same_state(const mdl_study_t *left, const mdl_study_t *right, int64_t step)
{
    static const char *const names[] = {"/param/projector.W1", "/adam_m/projector.W1",
                                        "/adam_v/projector.W1", "/param/projector.W2"};
    char *paths[2] = {checkpoint_path(left, step), checkpoint_path(right, step)};
    for (int i = 0; rank == 0 && i < 4; i++) {
        int64_t n_value = i < 3 ? 48 * SYNTHETIC_FEAT : 48 * 48;
        float *a = read_values(paths[0], names[i], n_value);
        float *b = read_values(paths[1], names[i], n_value);
        assert_memory_equal(a, b, (size_t)n_value * sizeof *a);
        free(a);
        free(b);
    }
    free(paths[0]);
    free(paths[1]);
}

static void assert_other_state(const mdl_study_t *left, const mdl_study_t *right, int64_t step)
{
    char *paths[2] = {checkpoint_path(left, step), checkpoint_path(right, step)};
    if (rank == 0) {
        float *a = read_values(paths[0], "/param/projector.W2", 48 * 48);
        float *b = read_values(paths[1], "/param/projector.W2", 48 * 48);
        assert_memory_not_equal(a, b, 48 * 48 * sizeof *a);
        free(a);
        free(b);
    }
    free(paths[0]);
    free(paths[1]);
}

static void remove_checkpoint(const mdl_study_t *study, int64_t step)
{
    char *path = checkpoint_path(study, step);
    if (rank == 0)
        assert_int_equal(unlink(path), 0);
    free(path);
    wait_for_all();
}

static void damage_checkpoint(const mdl_study_t *study, int64_t step)
{
    char *path = checkpoint_path(study, step);
    if (rank == 0) {
        FILE *file = fopen(path, "r+b");
        assert_non_null(file);
        fseek(file, 5000, SEEK_SET);
        int byte = fgetc(file);
        fseek(file, 5000, SEEK_SET);
        fputc(byte ^ 1, file);
        fclose(file);
    }
    free(path);
    wait_for_all();
}

static int has_checkpoint(const mdl_study_t *study, int64_t step)
{
    char *path = checkpoint_path(study, step);
    int there = access(path, F_OK) == 0;
    free(path);
    return there;
}

static void marks_are_rungs_and_points(void **state)
{
    (void)state;
    mdl_study_t study = {.search = {.start_ratio = 0.03, .eta = 2, .max_ratio = 0.125},
                         .regress = {.divisor = 2, .max_points = 3}};
    static const double expected[] = {0.03, 0.03125, 0.06, 0.0625, 0.12, 0.125, 1};
    double *marks;
    int n_mark;
    mdl_error_t err;
    check(mdl_trainer_marks(&study, &marks, &n_mark, &err), &err);
    assert_int_equal(n_mark, 7);
    for (int i = 0; i < n_mark; i++)
        assert_true(fabs(marks[i] - expected[i]) < 1e-12);
    free(marks);
    study.search.eta = 1;
    assert_int_equal(mdl_trainer_marks(&study, &marks, &n_mark, &err), MDL_E_INPUT);
}

static void training_leaves_a_checkpoint_at_every_mark(void **state)
{
    (void)state;
    mdl_error_t err;
    undisturbed = new_study("undisturbed");
    check(train(undisturbed, 0.5, &err), &err);
    for (int i = 0; i < N_MARK; i++)
        assert_int_equal(has_checkpoint(undisturbed, mark_steps[i]), mark_steps[i] <= 40);
    check(train(undisturbed, 1, &err), &err);
    assert_true(has_checkpoint(undisturbed, 80));
}

/* One that is resumed at every mark; one that was killed between checkpoints (what it wrote after
 * the last one is gone) and had periodic ones at every step. */
static void resuming_changes_nothing(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_study_t *resumed = new_study("resumed"), *killed = new_study("killed");
    check(train(resumed, 0.125, &err), &err);
    check(train(resumed, 0.25, &err), &err);
    check(train(resumed, 0.5, &err), &err);
    killed->trainer.checkpoint_seconds = 1e-9;
    check(train(killed, 0.25, &err), &err);
    assert_true(has_checkpoint(killed, 19) && has_checkpoint(killed, 18));
    assert_false(has_checkpoint(killed, 17));
    remove_checkpoint(killed, 20);
    check(train(killed, 0.5, &err), &err);
    for (int i = 2; i < 4; i++) {
        assert_same_state(undisturbed, resumed, mark_steps[i]);
        assert_same_state(undisturbed, killed, mark_steps[i]);
    }
    synthetic_free(resumed);
    synthetic_free(killed);
}

/* Activation checkpointing may be switched on and off on the way. */
static void a_checkpointed_run_is_resumed(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_point_t plain, checkpointed;
    mdl_study_t *switched = new_study("switched");
    for (int i = 0; i < 3; i++) {
        switched->trainer.activation_checkpointing = i % 2 == 0;
        check(train(switched, mark_steps[i + 1] / 80.0, &err), &err);
    }
    for (int i = 1; i < 4; i++)
        assert_same_state(undisturbed, switched, mark_steps[i]);
    check(measure(undisturbed, 0.5, &plain, &err), &err);
    check(measure(switched, 0.5, &checkpointed, &err), &err);
    assert_true(plain.error == checkpointed.error && plain.loss == checkpointed.loss);
    synthetic_free(switched);
}

/* Packs follow from the step, as the samples do. */
static void a_packed_run_is_resumed(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_study_t *studies[2] = {new_study("packed"), new_study("packed-parts")};
    for (int i = 0; i < 2; i++)
        studies[i]->trainer.pack_length = 20;
    check(train(studies[0], 0.25, &err), &err);
    check(train(studies[1], 0.0625, &err), &err);
    check(train(studies[1], 0.125, &err), &err);
    check(train(studies[1], 0.25, &err), &err);
    assert_same_state(studies[0], studies[1], 20);
    assert_other_state(studies[0], undisturbed, 20);
    synthetic_free(studies[0]);
    synthetic_free(studies[1]);
}

/* With everything on that the optimiser has: what it does at a step follows from the step. */
static void every_schedule_is_resumed(void **state)
{
    (void)state;
    static const char *const schedules[] = {"linear", "cosine"};
    mdl_error_t err;
    for (int i = 0; i < 2; i++) {
        mdl_study_t *studies[2] = {new_study("whole"), new_study("parts")};
        for (int j = 0; j < 2; j++) {
            studies[j]->trainer.schedule = (char *)schedules[i];
            studies[j]->trainer.warmup_ratio = 0.1;
            studies[j]->trainer.weight_decay = 0.05;
            studies[j]->trainer.clip_norm = 0.5;
        }
        check(train(studies[0], 0.25, &err), &err);
        check(train(studies[1], 0.0625, &err), &err);
        check(train(studies[1], 0.125, &err), &err);
        check(train(studies[1], 0.25, &err), &err);
        assert_same_state(studies[0], studies[1], 20);
        assert_other_state(studies[0], undisturbed, 20);
        synthetic_free(studies[0]);
        synthetic_free(studies[1]);
    }
}

/* A single rank is told to stop; all of them leave after a checkpoint. */
static void a_stop_is_resumed(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_study_t *stopped = new_study("stopped");
    int n_stop = 0, rc;
    do {
        mdl_stop_setup(rank == n_rank - 1 && n_stop < 3 ? 1e-9 : 0);
        rc = train(stopped, 0.5, &err);
        n_stop += rc == MDL_E_AGAIN;
    } while (rc == MDL_E_AGAIN);
    check(rc, &err);
    assert_int_equal(n_stop, 3);
    assert_same_state(undisturbed, stopped, 40);
    synthetic_free(stopped);
}

/* Weights shared out over the ranks: stopped by one of them, gone on with on another backend,
 * measured, each time the same numbers as with whole ones. */
static void sharding_changes_nothing(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_point_t whole, parts;
    mdl_study_t *sharded = new_study("sharded");
    sharded->trainer.shard = 1;
    sharded->trainer.backend = (char *)"strict";
    mdl_stop_setup(rank == n_rank - 1 ? 1e-9 : 0);
    assert_int_equal(train(sharded, 0.25, &err), MDL_E_AGAIN);
    mdl_stop_setup(0);
    check(train(sharded, 0.25, &err), &err);
    check(measure(sharded, 0.25, &parts, &err), &err);
    check(measure(undisturbed, 0.25, &whole, &err), &err);
    assert_true(parts.error == whole.error && parts.loss == whole.loss);
    sharded->trainer.backend = (char *)"cpu";
    check(train(sharded, 0.5, &err), &err);
    assert_same_state(undisturbed, sharded, 20);
    assert_same_state(undisturbed, sharded, 40);
    synthetic_free(sharded);
}

static void a_damaged_checkpoint_is_passed_over(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_study_t *damaged = new_study("damaged");
    check(train(damaged, 0.25, &err), &err);
    damage_checkpoint(damaged, 20);
    check(train(damaged, 0.5, &err), &err);
    assert_same_state(undisturbed, damaged, 40);
    assert_same_state(undisturbed, damaged, 20);
    char *aside = mdl_study_path(damaged, "candidates/eye+mouth/checkpoint-00000020.h5.damaged");
    assert_int_equal(access(aside, F_OK), 0);
    free(aside);
    synthetic_free(damaged);
}

/* Trained all the way it answers; the same numbers on these ranks and on one. */
static void measuring_counts_right_answers(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_point_t early, late, again, alone = {0};
    mdl_study_t *single = new_study("single");
    check(measure(undisturbed, 0.0625, &early, &err), &err);
    check(measure(undisturbed, 1, &late, &err), &err);
    assert_true(early.error > 0.5);
    assert_true(late.error < 0.1);
    assert_true(late.loss < early.loss);
    assert_true(late.train_seconds > early.train_seconds && early.train_seconds > 0);
    assert_true(fabs(late.error * SYNTHETIC_EVAL - round(late.error * SYNTHETIC_EVAL)) < 1e-9);
    check(measure(undisturbed, 1, &again, &err), &err);
    assert_memory_equal(&late, &again, sizeof late);
    if (rank == 0) {
        mdl_trainer_t *trainer;
        check(mdl_trainer_open(MPI_COMM_SELF, single, 0, &trainer, &err), &err);
        check(mdl_trainer_train(trainer, MPI_COMM_SELF, &candidate, 0.0625, &err), &err);
        check(mdl_trainer_measure(trainer, MPI_COMM_SELF, &candidate, 0.0625, &alone, &err), &err);
        mdl_trainer_free(trainer);
        assert_true(n_rank == 3 || alone.error == early.error);
        assert_true(n_rank == 3 || alone.loss == early.loss);
        assert_true(fabs(alone.loss - early.loss) < 1e-4);
    }
    wait_for_all();
    synthetic_free(single);
}

/* Right answers by their token ids: the class's word and the end token, nothing else. */
static void errors_are_counted_by_hand(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_point_t point;
    mdl_native_inputs_t inputs = {.study = undisturbed, .backend = mdl_backend_cpu()};
    mdl_native_run_t run;
    char *configuration = NULL;
    int n_wrong = 0;
    check(measure(undisturbed, 0.25, &point, &err), &err);
    void *native;
    check(mdl_trainer_native_open(MPI_COMM_WORLD, undisturbed, 0, &native, &err), &err);
    if (rank == 0)
        check(mdl_trainer_native_configuration(native, &candidate, &configuration, &err), &err);
    check(mdl_native_run_open(&run, MPI_COMM_WORLD, &inputs, &candidate, configuration, 0, &err),
          &err);
    check(mdl_native_run_resume(&run, 20, &err), &err);
    assert_int_equal(run.training->step, 20);
    for (int i = SYNTHETIC_TRAIN; i < SYNTHETIC_TRAIN + SYNTHETIC_EVAL; i++) {
        mdl_sample_t prompt = mdl_training_sample(inputs.corpus, inputs.features, i);
        int32_t ids[4];
        int64_t n_id;
        prompt.n_token = 3;
        prompt.scored = NULL;
        check(mdl_sample_greedy(run.workspace, &prompt, 4, 2, ids, &n_id, &err), &err);
        n_wrong += n_id != 1 || ids[0] != 10 + i % SYNTHETIC_CLASSES;
    }
    assert_true(n_wrong > 0 && n_wrong < SYNTHETIC_EVAL);
    assert_true(fabs(point.error - n_wrong / (double)SYNTHETIC_EVAL) < 1e-12);
    mdl_native_run_close(&run);
    mdl_native_inputs_release(&inputs);
    mdl_trainer_native.free(native);
}

/* As many as a model of many blocks would take: 3 at a time and what is left. */
static void measuring_together_changes_nothing(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_point_t alone, together;
    mdl_study_t study = *undisturbed;
    study.trainer.shard = 1;
    mdl_native_inputs_t inputs = {.study = &study, .backend = mdl_backend_strict()};
    mdl_native_run_t run;
    void *native;
    char *configuration = NULL;
    check(measure(undisturbed, 0.25, &alone, &err), &err);
    check(mdl_trainer_native_open(MPI_COMM_WORLD, &study, 0, &native, &err), &err);
    if (rank == 0)
        check(mdl_trainer_native_configuration(native, &candidate, &configuration, &err), &err);
    check(mdl_native_run_open(&run, MPI_COMM_WORLD, &inputs, &candidate, configuration, 0, &err),
          &err);
    check(mdl_native_run_resume(&run, 20, &err), &err);
    for (; run.n_together < 3; run.n_together++)
        check(mdl_workspace_new(inputs.decoder, run.adapter, 10, MDL_KEEP_KEYS,
                                &run.together[run.n_together], &err),
              &err);
    check(mdl_native_score(&run, &together, &err), &err);
    assert_true(together.error == alone.error && together.loss == alone.loss);
    mdl_native_run_close(&run);
    mdl_native_inputs_release(&inputs);
    mdl_trainer_native.free(native);
}

/* Packs of several samples, on all ranks and on each alone. */
static void packs_measure_the_same(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_point_t alone, packed, again;
    mdl_study_t study = *undisturbed;
    study.trainer.pack_length = 32;
    void *native;
    check(measure(undisturbed, 0.25, &alone, &err), &err);
    check(mdl_trainer_native_open(MPI_COMM_SELF, undisturbed, 0, &native, &err), &err);
    for (int world = 0; world < 2; world++) {
        mdl_native_inputs_t inputs = {.study = &study, .backend = mdl_backend_strict()};
        mdl_native_run_t run;
        char *configuration = NULL;
        if (rank == 0 || !world)
            check(mdl_trainer_native_configuration(native, &candidate, &configuration, &err), &err);
        check(mdl_native_run_open(&run, world ? MPI_COMM_WORLD : MPI_COMM_SELF, &inputs, &candidate,
                                  configuration, 0, &err),
              &err);
        check(mdl_native_run_resume(&run, 20, &err), &err);
        check(mdl_native_score(&run, world ? &packed : &again, &err), &err);
        mdl_native_run_close(&run);
        mdl_native_inputs_release(&inputs);
    }
    mdl_trainer_native.free(native);
    assert_true(packed.error == again.error && packed.loss == again.loss);
    assert_true(packed.error == alone.error);
    assert_true(fabs(packed.loss / alone.loss - 1) < 1e-5);
}

static void unanswerable_questions_are_all_wrong(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_point_t point;
    mdl_study_t *study = new_study("unanswerable");
    if (rank == 0)
        synthetic_corpus(study->zoo.language[0].corpus, SYNTHETIC_TRAIN, SYNTHETIC_EVAL, 1);
    wait_for_all();
    check(train(study, 0.0625, &err), &err);
    check(measure(study, 0.0625, &point, &err), &err);
    assert_true(point.error == 1);
    double p = 41.0 / 42.0;
    assert_true(fabs(point.error_stderr - sqrt(p * (1 - p) / 40)) < 1e-12);
    synthetic_free(study);
}

static void standard_errors_are_never_zero(void **state)
{
    (void)state;
    assert_true(fabs(mdl_native_stderr(10, 40) - sqrt(0.25 * 0.75 / 40)) < 1e-15);
    assert_true(mdl_native_stderr(0, 40) > 0);
    assert_true(fabs(mdl_native_stderr(0, 40) - mdl_native_stderr(40, 40)) < 1e-15);
}

static void a_missing_mark_is_trained_again(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_point_t before, after;
    mdl_study_t *study = new_study("incomplete");
    check(train(study, 0.25, &err), &err);
    remove_checkpoint(study, 10);
    check(measure(undisturbed, 0.125, &before, &err), &err);
    check(measure(study, 0.125, &after, &err), &err);
    assert_true(before.error == after.error && before.loss == after.loss);
    synthetic_free(study);
}

static void divergence_marks_the_candidate_failed(void **state)
{
    (void)state;
    mdl_error_t err, first;
    mdl_point_t point;
    mdl_trainer_t *trainer;
    mdl_study_t *study = new_study("diverged");
    study->trainer.learning_rate = 1e30;
    assert_int_equal(train(study, 0.5, &first), MDL_E_TRAINER);
    assert_int_equal(train(study, 0.5, &err), MDL_E_TRAINER);
    assert_string_equal(err.text, first.text);
    assert_non_null(strstr(err.text, "diverged"));
    assert_int_equal(measure(study, 0.5, &point, &err), MDL_E_TRAINER);
    study->trainer.learning_rate = 0.01;
    assert_int_equal(train(study, 0.5, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "learning_rate"));
    check(mdl_trainer_open(MPI_COMM_WORLD, study, 0, &trainer, &err), &err);
    mdl_trainer_force(trainer);
    check(mdl_trainer_train(trainer, MPI_COMM_WORLD, &candidate, 0.125, &err), &err);
    mdl_trainer_free(trainer);
    wait_for_all();
    char *aside = mdl_study_path(study, "candidates/eye+mouth.old-1/history.h5");
    assert_int_equal(access(aside, F_OK), 0);
    free(aside);
    synthetic_free(study);
}

static void changed_inputs_are_refused(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_study_t *study = new_study("changed");
    check(train(study, 0.125, &err), &err);
    if (rank == 0)
        synthetic_corpus(study->zoo.language[0].corpus, SYNTHETIC_TRAIN - 1, SYNTHETIC_EVAL, 0);
    wait_for_all();
    assert_int_equal(train(study, 0.25, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "corpus="));
    synthetic_free(study);
}

static void an_image_without_features_is_named(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_study_t *study = new_study("imageless");
    if (rank == 0)
        synthetic_corpus(study->zoo.language[0].corpus, SYNTHETIC_TRAIN, SYNTHETIC_EVAL + 1, 0);
    wait_for_all();
    assert_int_equal(train(study, 0.125, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "image-136"));
    synthetic_free(study);
}

/* What candidates were trained with before there were packs is what is trained without them. */
static void settings_name_packs_where_there_are_some(void **state)
{
    (void)state;
    static const char head[] = "trainer.kind=native\nseed=11\ntrainer.epochs=5\ntrainer.batch=6\n";
    static const char tail[] =
        "trainer.learning_rate=0.01\ntrainer.schedule=linear\ntrainer.warmup_ratio=0\n"
        "trainer.beta1=0.9\ntrainer.beta2=0.999\ntrainer.epsilon=1e-08\n"
        "trainer.weight_decay=0\ntrainer.clip_norm=0\ntrainer.precision=float32\n"
        "trainer.lora.rank=2\ntrainer.lora.alpha=4\ntrainer.lora.targets=q_proj,v_proj\n"
        "trainer.max_answer_tokens=4\n";
    mdl_study_t *study = synthetic_study("settings", 0);
    for (int64_t n = 0; n < 2; n++) {
        mdl_error_t err;
        char *settings, *expected;
        study->trainer.pack_length = 64 * n;
        check(mdl_trainer_settings(study, &settings, &err), &err);
        expected = mdl_text("%s%s%s", head, n > 0 ? "trainer.pack_length=64\n" : "", tail);
        assert_string_equal(settings, expected);
        free(settings);
        free(expected);
    }
    synthetic_free(study);
}

/* A rank that trained by itself holds the model when it meets others, which don't. */
static void ranks_that_hold_the_model_meet_others(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_trainer_t *trainer;
    mdl_study_t *study = new_study("held");
    check(mdl_trainer_open(MPI_COMM_WORLD, study, 0, &trainer, &err), &err);
    if (rank == 0)
        check(mdl_trainer_train(trainer, MPI_COMM_SELF, &candidate, 0.125, &err), &err);
    wait_for_all();
    check(mdl_trainer_train(trainer, MPI_COMM_WORLD, &candidate, 1, &err), &err);
    mdl_trainer_free(trainer);
    synthetic_free(study);
}

/* In a plan, which is made where there is no GPU, too. */
static void costs_are_positive(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_trainer_t *trainer;
    mdl_study_t *study = new_study("cost");
    study->trainer.backend = (char *)"cuda";
    check(mdl_trainer_open(MPI_COMM_WORLD, study, 1, &trainer, &err), &err);
    double work = mdl_trainer_work(trainer, &candidate), root_work = work;
    double seconds = mdl_trainer_seconds(trainer, &candidate);
    MPI_Bcast(&root_work, 1, MPI_DOUBLE, 0, MPI_COMM_WORLD);
    assert_true(work > 0 && work == root_work);
    assert_true(seconds > 0 && seconds < 100);
    mdl_trainer_free(trainer);
    synthetic_free(study);
}

static double n_taken;

static int count_alloc(void *pointer_to_pointer, size_t n_byte, const char *what, mdl_error_t *err)
{
    n_taken += (double)n_byte;
    return mdl_backend_cpu()->alloc(pointer_to_pointer, n_byte, what, err);
}

/* Where the engine computes it takes what plans say, less the copy that goes into checkpoints; also
 * where that isn't the host's memory. */
static void memory_is_as_planned(void **state)
{
    (void)state;
    mdl_backend_t counting = *mdl_backend_cpu();
    mdl_study_t *study = new_study("memory");
    double planned[4];
    counting.alloc = count_alloc;
    for (int i = 0; i < 4; i++) {
        mdl_error_t err;
        mdl_native_memory_t memory;
        mdl_native_run_t run;
        mdl_native_inputs_t inputs = {.study = study, .backend = &counting};
        n_taken = 0;
        study->trainer.activation_checkpointing = i % 2;
        counting.on_host = i < 2;
        counting.room = i < 2 ? &mdl_backend_room_cpu : &mdl_backend_room_cuda;
        check(mdl_native_memory(study, &study->zoo.language[0], 1, SYNTHETIC_FEAT, i < 2, 1,
                                &memory, &err),
              &err);
        check(mdl_native_run_open(&run, MPI_COMM_SELF, &inputs, &candidate, NULL, 1, &err), &err);
        planned[i] = n_taken;
        double n_trained = sizeof(float) * (double)run.adapter->n_param;
        assert_true(memory.gpu == (i < 2 ? 0 : n_taken));
        assert_true(memory.host == (i < 2 ? n_taken + 3 * n_trained : 5 * n_trained));
        mdl_native_run_close(&run);
        mdl_native_inputs_release(&inputs);
    }
    assert_true(planned[1] < planned[0] && planned[3] < planned[2]);
    synthetic_free(study);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_rank);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_are_rungs_and_points),
        cmocka_unit_test(training_leaves_a_checkpoint_at_every_mark),
        cmocka_unit_test(resuming_changes_nothing),
        cmocka_unit_test(a_checkpointed_run_is_resumed),
        cmocka_unit_test(a_packed_run_is_resumed),
        cmocka_unit_test(every_schedule_is_resumed),
        cmocka_unit_test(a_stop_is_resumed),
        cmocka_unit_test(sharding_changes_nothing),
        cmocka_unit_test(a_damaged_checkpoint_is_passed_over),
        cmocka_unit_test(measuring_counts_right_answers),
        cmocka_unit_test(errors_are_counted_by_hand),
        cmocka_unit_test(measuring_together_changes_nothing),
        cmocka_unit_test(packs_measure_the_same),
        cmocka_unit_test(unanswerable_questions_are_all_wrong),
        cmocka_unit_test(standard_errors_are_never_zero),
        cmocka_unit_test(a_missing_mark_is_trained_again),
        cmocka_unit_test(divergence_marks_the_candidate_failed),
        cmocka_unit_test(changed_inputs_are_refused),
        cmocka_unit_test(an_image_without_features_is_named),
        cmocka_unit_test(settings_name_packs_where_there_are_some),
        cmocka_unit_test(ranks_that_hold_the_model_meet_others),
        cmocka_unit_test(costs_are_positive),
        cmocka_unit_test(memory_is_as_planned),
    };
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    synthetic_free(undisturbed);
    MPI_Finalize();
    return n_failed;
}
