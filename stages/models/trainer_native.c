#include "models/trainer_native.h"

#include "core/log.h"
#include "core/text.h"
#include "models/backend_choice.h"
#include "models/features.h"
#include "models/native_cost.h"
#include "models/native_run.h"
#include "models/native_score.h"
#include "models/trainer_settings.h"
#include "mpi/agree.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const mdl_study_t *study;
    mdl_native_inputs_t inputs;
    double *marks;
    int n_mark;
    int64_t *kept;           /* [n_mark], the marks as steps of the candidate in training */
    mdl_native_cost_t *cost; /* [n_language] */
    int64_t *n_visual;       /* [n_vision], visual tokens of an image */
} native_t;

static void free_native(void *self)
{
    native_t *native = self;
    if (native == NULL)
        return;
    mdl_native_inputs_release(&native->inputs);
    free(native->marks);
    free(native->kept);
    free(native->cost);
    free(native->n_visual);
    free(native);
}

/* Fills cost and n_visual; an archive that isn't there yet counts as one token an image. */
static int count_costs(native_t *native, mdl_error_t *err)
{
    const mdl_study_t *study = native->study;
    int rc = MDL_OK;
    for (unsigned i = 0; i < study->zoo.n_language; i++)
        MDL_TRY(mdl_native_cost(study, &study->zoo.language[i], &native->cost[i], err));
    for (unsigned i = 0; i < study->zoo.n_vision; i++) {
        int64_t n_feat;
        mdl_error_t missing;
        char *path = mdl_study_path(study, "archive/vision/%s.h5", study->zoo.vision[i].name);
        if (path == NULL)
            return mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
        if (mdl_features_shape(path, &native->n_visual[i], &n_feat, &missing) != MDL_OK)
            native->n_visual[i] = 1;
        free(path);
    }
done:
    return rc;
}

int mdl_trainer_native_open(MPI_Comm comm, const mdl_study_t *study, int dry_run, void **self,
                            mdl_error_t *err)
{
    native_t *native = NULL;
    int rank, rc;
    unsigned n_language = study->zoo.n_language, n_vision = study->zoo.n_vision;
    *self = NULL;
    MPI_Comm_rank(comm, &rank);
    MDL_TRY(mdl_alloc(&native, 1, sizeof *native, "the native trainer", err));
    native->study = study;
    native->inputs.study = study;
    MDL_TRY(mdl_trainer_marks(study, &native->marks, &native->n_mark, err));
    MDL_TRY(mdl_alloc(&native->kept, (size_t)native->n_mark, sizeof *native->kept, "marks", err));
    MDL_TRY(mdl_alloc(&native->cost, n_language, sizeof *native->cost, "costs", err));
    MDL_TRY(mdl_alloc(&native->n_visual, n_vision, sizeof *native->n_visual, "costs", err));
    if (rank == 0)
        MDL_TRY(count_costs(native, err));
done:
    rc = mdl_agree(comm, rc, err);
    if (rc == MDL_OK)
        rc = mdl_backend_choose(comm, dry_run ? "cpu" : study->trainer.backend,
                                study->trainer.precision, &native->inputs.backend, err);
    if (rc != MDL_OK) {
        free_native(native);
        return rc;
    }
    MPI_Bcast(native->cost, (int)(n_language * sizeof *native->cost), MPI_BYTE, 0, comm);
    MPI_Bcast(native->n_visual, (int)n_vision, MPI_INT64_T, 0, comm);
    *self = native;
    return MDL_OK;
}

static void leave(void *self)
{
    native_t *native = self;
    mdl_native_inputs_leave(&native->inputs);
}

int mdl_trainer_native_configuration(void *self, const mdl_candidate_t *candidate, char **text,
                                     mdl_error_t *err)
{
    native_t *native = self;
    char *settings = NULL, *inputs = NULL;
    int rc;
    *text = NULL;
    MDL_TRY(mdl_trainer_settings(native->study, &settings, err));
    MDL_TRY(mdl_native_inputs_text(&native->inputs, candidate, &inputs, err));
    *text = mdl_text("%s%s", settings, inputs);
    if (*text == NULL)
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for a configuration");
done:
    free(settings);
    free(inputs);
    return rc;
}

/* Opens the candidate, to train or to measure, at its newest checkpoint up to mark. */
static int open_at(native_t *native, MPI_Comm group, const mdl_candidate_t *candidate, double mark,
                   int train, mdl_native_run_t *run, int64_t *target, mdl_error_t *err)
{
    char *configuration = NULL;
    int rank;
    *run = (mdl_native_run_t){0};
    MPI_Comm_rank(group, &rank);
    int rc = mdl_on_root(
        group, rank, mdl_trainer_native_configuration(native, candidate, &configuration, err), err);
    if (rc == MDL_OK)
        rc = mdl_native_run_open(run, group, &native->inputs, candidate, configuration, train, err);
    else
        free(configuration);
    if (rc != MDL_OK)
        return rc;
    for (int i = 0; i < native->n_mark; i++)
        native->kept[i] = mdl_training_step_at(native->marks[i], run->training->total_steps);
    run->kept = native->kept;
    run->n_kept = native->n_mark;
    *target = mdl_training_step_at(mark, run->training->total_steps);
    return mdl_native_run_resume(run, *target, err);
}

static int advance(void *self, MPI_Comm group, const mdl_candidate_t *candidate, double mark,
                   double *seconds, mdl_error_t *err)
{
    mdl_native_run_t run;
    int64_t target;
    *seconds = 0;
    int rc = open_at(self, group, candidate, mark, 1, &run, &target, err);
    if (rc == MDL_OK)
        rc = mdl_native_run_train(&run, target, seconds, err);
    mdl_native_run_close(&run);
    return rc;
}

static int evaluate(void *self, MPI_Comm group, const mdl_candidate_t *candidate, double mark,
                    mdl_point_t *point, mdl_error_t *err)
{
    mdl_native_run_t run;
    int64_t target;
    double seconds, start = MPI_Wtime();
    int rc;
    MDL_TRY(open_at(self, group, candidate, mark, 0, &run, &target, err));
    if (run.training->step < target) {
        if (run.rank == 0)
            mdl_log_rank(MDL_LOG_WARN,
                         "%s: has no intact checkpoint at ratio %g; trains from step "
                         "%lld to %lld again",
                         run.name, mark, (long long)run.training->step, (long long)target);
        mdl_native_run_close(&run);
        MDL_TRY(advance(self, group, candidate, mark, &seconds, err));
        start = MPI_Wtime();
        MDL_TRY(open_at(self, group, candidate, mark, 0, &run, &target, err));
    }
    MDL_TRY(mdl_native_score(&run, point, err));
    point->ratio = mark;
    point->train_seconds = run.train_seconds;
    point->evaluate_seconds = MPI_Wtime() - start;
done:
    mdl_native_run_close(&run);
    return rc;
}

/* Also tells the cost of its language model; NULL when there is none of that name. */
static double count_work(const native_t *native, const mdl_candidate_t *candidate,
                         const mdl_native_cost_t **cost)
{
    const mdl_study_t *study = native->study;
    int64_t n_visual = 1;
    *cost = NULL;
    for (unsigned i = 0; i < study->zoo.n_vision; i++)
        if (strcmp(study->zoo.vision[i].name, candidate->ve) == 0)
            n_visual = native->n_visual[i];
    for (unsigned i = 0; i < study->zoo.n_language; i++)
        if (strcmp(study->zoo.language[i].name, candidate->lm) == 0)
            *cost = &native->cost[i];
    return *cost != NULL ? (*cost)->text + (*cost)->visual * (double)n_visual : 0;
}

static double work(void *self, const mdl_candidate_t *candidate)
{
    const mdl_native_cost_t *cost;
    return count_work(self, candidate, &cost);
}

static double seconds(void *self, const mdl_candidate_t *candidate)
{
    const mdl_native_cost_t *cost;
    const double n_operation = count_work(self, candidate, &cost);
    const double rate = cost != NULL ? mdl_native_rate(cost) : 0;
    return rate > 0 ? n_operation / rate : 0;
}

const mdl_trainer_class_t mdl_trainer_native = {.advance = advance,
                                                .evaluate = evaluate,
                                                .work = work,
                                                .seconds = seconds,
                                                .configuration = mdl_trainer_native_configuration,
                                                .leave = leave,
                                                .free = free_native};
