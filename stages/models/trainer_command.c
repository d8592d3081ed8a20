#include "models/trainer_command.h"

#include "core/log.h"
#include "core/text.h"
#include "io/child.h"
#include "io/path.h"
#include "models/command_answer.h"
#include "mpi/agree.h"
#include "mpi/group.h"
#include "mpi/stop.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Seconds from SIGTERM to SIGKILL: of a script that is to save its state (less than what mpi/stop.c
 * leaves before a job's end), and of one that took too long. */
enum { SAVE_SECONDS = 30, HANG_SECONDS = 5 };
enum { SAVED_EXIT_CODE = 75, TAIL = 4096 };

typedef struct {
    const mdl_study_t *study;
    double *marks;
    int n_mark;
} command_t;

/* One call of the script. */
typedef struct {
    const command_t *command;
    const mdl_candidate_t *candidate;
    double from, to;
    int n_rank;
    char *checkpoints, *answer, *log; /* paths */
    char why[400];                    /* why the last try failed */
} call_t;

int mdl_trainer_command_open(MPI_Comm comm, const mdl_study_t *study, void **self, mdl_error_t *err)
{
    command_t *command = NULL;
    int rc;
    *self = NULL;
    if (study->trainer.command == NULL)
        return mdl_fail(err, MDL_E_INPUT,
                        "the study has no trainer.command.line, which the command trainer runs");
    MDL_TRY(mdl_alloc(&command, 1, sizeof *command, "the command trainer", err));
    command->study = study;
    rc = mdl_trainer_marks(study, &command->marks, &command->n_mark, err);
done:
    rc = mdl_agree(comm, rc, err);
    if (rc != MDL_OK)
        mdl_trainer_command.free(command);
    else
        *self = command;
    return rc;
}

static char *result_path(const command_t *command, const mdl_candidate_t *candidate, double mark)
{
    return mdl_study_path(command->study, "candidates/%s+%s/result-%.9g.json", candidate->ve,
                          candidate->lm, mark);
}

/* 1 when mark has a checked answer. */
static int was_passed(const command_t *command, const mdl_candidate_t *candidate, double mark)
{
    char *path = result_path(command, candidate, mark);
    int passed = path != NULL && access(path, R_OK) == 0;
    free(path);
    return passed;
}

static int open_call(call_t *call, mdl_error_t *err)
{
    const command_t *command = call->command;
    const mdl_candidate_t *c = call->candidate;
    for (int i = 0; i < command->n_mark && command->marks[i] < call->to - 1e-9; i++)
        if (was_passed(command, c, command->marks[i]))
            call->from = command->marks[i];
    call->checkpoints =
        mdl_study_path(command->study, "candidates/%s+%s/checkpoints", c->ve, c->lm);
    call->answer = mdl_study_path(command->study, "candidates/%s+%s/answer.json", c->ve, c->lm);
    call->log = mdl_study_path(command->study, "candidates/%s+%s/command.log", c->ve, c->lm);
    if (call->checkpoints == NULL || call->answer == NULL || call->log == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for paths");
    return mdl_path_make_folder(call->checkpoints, err);
}

static void close_call(call_t *call)
{
    free(call->checkpoints);
    free(call->answer);
    free(call->log);
}

static int start(const call_t *call, mdl_child_t *child, mdl_error_t *err)
{
    const mdl_study_t *study = call->command->study;
    char *variables[] = {
        mdl_text("MORDAL_VE=%s", call->candidate->ve),
        mdl_text("MORDAL_LM=%s", call->candidate->lm),
        mdl_text("MORDAL_STUDY_FOLDER=%s", study->folder),
        mdl_text("MORDAL_RATIO_FROM=%.15g", call->from),
        mdl_text("MORDAL_RATIO_TO=%.15g", call->to),
        mdl_text("MORDAL_CHECKPOINT_DIR=%s", call->checkpoints),
        mdl_text("MORDAL_RESULT=%s", call->answer),
        mdl_text("MORDAL_SEED=%llu", (unsigned long long)study->seed),
        mdl_text("MORDAL_RANKS=%d", call->n_rank),
    };
    enum { N_VARIABLE = sizeof variables / sizeof variables[0] };
    int rc = MDL_OK;
    for (int i = 0; i < N_VARIABLE; i++)
        if (variables[i] == NULL)
            rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for an environment");
    if (rc == MDL_OK)
        rc = mdl_child_start(study->trainer.command, study->folder, call->log, variables,
                             N_VARIABLE, child, err);
    for (int i = 0; i < N_VARIABLE; i++)
        free(variables[i]);
    return rc;
}

/* A line in front of the script's own output; *size gets the log's length behind it. */
static int write_log_title(const call_t *call, int64_t a_try, long *size, mdl_error_t *err)
{
    FILE *log = fopen(call->log, "a");
    if (log == NULL)
        return mdl_fail(err, MDL_E_IO, "%s: cannot be written: %s", call->log, strerror(errno));
    time_t now = time(NULL);
    char date[32];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", localtime(&now));
    fprintf(log, "== %s %s+%s from ratio %g to %g, try %lld\n", date, call->candidate->ve,
            call->candidate->lm, call->from, call->to, (long long)a_try);
    fflush(log);
    *size = ftell(log);
    fclose(log);
    return MDL_OK;
}

/* The last line that is not empty of what the script printed behind position start. */
static void last_line(const char *path, long start, char *line, size_t size)
{
    char tail[TAIL + 1];
    size_t n = 0;
    snprintf(line, size, "it printed nothing");
    FILE *log = fopen(path, "r");
    if (log == NULL)
        return;
    fseek(log, 0, SEEK_END);
    long end = ftell(log);
    if (fseek(log, end - start > TAIL ? end - TAIL : start, SEEK_SET) == 0)
        n = fread(tail, 1, TAIL, log);
    fclose(log);
    while (n > 0 && isspace((unsigned char)tail[n - 1]))
        n--;
    if (n == 0)
        return;
    tail[n] = '\0';
    size_t first = n;
    while (first > 0 && tail[first - 1] != '\n')
        first--;
    for (size_t i = first; i < n; i++)
        if (iscntrl((unsigned char)tail[i]))
            tail[i] = ' ';
    snprintf(line, size, "its last words: %.200s", tail + first);
}

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

typedef enum { ENDED, STOPPED, TOO_LONG } outcome_t;

/* Waits until the child ends, or has to be ended. */
static outcome_t watch(const mdl_child_t *child, double limit)
{
    struct timespec pause = {.tv_nsec = 5000000};
    double start = now_seconds();
    while (!mdl_child_ended(child)) {
        int stop = mdl_stop_wanted();
        if (stop || (limit > 0 && now_seconds() - start > limit)) {
            mdl_child_end(child, stop ? SAVE_SECONDS : HANG_SECONDS);
            return stop ? STOPPED : TOO_LONG;
        }
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < 100000000)
            pause.tv_nsec *= 2;
    }
    return ENDED;
}

/* Reads and keeps the answer of a script that ended with exit code 0. */
static int take_answer(call_t *call, double wall, double *seconds, mdl_error_t *err)
{
    mdl_command_answer_t answer;
    mdl_error_t why = {0};
    int rc = mdl_command_answer_read(call->answer, &answer, &why);
    if (rc == MDL_E_MISSING) {
        snprintf(call->why, sizeof call->why, "it ended without writing $MORDAL_RESULT");
        return MDL_E_TRAINER;
    }
    if (rc != MDL_OK) {
        snprintf(call->why, sizeof call->why, "its answer is unusable: %.300s", why.text);
        return MDL_E_TRAINER;
    }
    char *path = result_path(call->command, call->candidate, call->to);
    if (path == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    if (isnan(answer.train_seconds))
        answer.train_seconds = wall;
    *seconds = answer.train_seconds;
    rc = mdl_command_answer_write(path, &answer, err);
    free(path);
    return rc;
}

/* One try. MDL_E_TRAINER with call->why, MDL_E_AGAIN, or an error that isn't the script's. */
static int try_once(call_t *call, int64_t a_try, double *seconds, mdl_error_t *err)
{
    mdl_child_t child;
    long log_start = 0;
    char words[256];
    double limit = call->command->study->trainer.command_time_limit;
    unlink(call->answer);
    int rc = write_log_title(call, a_try, &log_start, err);
    if (rc == MDL_OK)
        rc = start(call, &child, err);
    if (rc != MDL_OK)
        return rc;
    double started = now_seconds();
    outcome_t outcome = watch(&child, limit);
    int status = mdl_child_close(&child);
    *seconds = now_seconds() - started;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && outcome != TOO_LONG) {
        rc = take_answer(call, *seconds, seconds, err);
        if (rc != MDL_E_TRAINER)
            return rc;
    }
    if (outcome == STOPPED || (WIFEXITED(status) && WEXITSTATUS(status) == SAVED_EXIT_CODE)) {
        *seconds = 0;
        return mdl_fail(err, MDL_E_AGAIN, "the script of %s+%s was stopped", call->candidate->ve,
                        call->candidate->lm);
    }
    last_line(call->log, log_start, words, sizeof words);
    if (outcome == TOO_LONG)
        snprintf(call->why, sizeof call->why, "it took longer than %g s; %s", limit, words);
    else if (WIFSIGNALED(status))
        snprintf(call->why, sizeof call->why, "signal %d ended it; %s", WTERMSIG(status), words);
    else if (WEXITSTATUS(status) != 0)
        snprintf(call->why, sizeof call->why, "exit code %d; %s", WEXITSTATUS(status), words);
    return MDL_E_TRAINER;
}

static int run_call(call_t *call, double *seconds, mdl_error_t *err)
{
    const int64_t n_try = call->command->study->trainer.command_tries;
    int rc = open_call(call, err);
    if (rc != MDL_OK)
        return rc;
    for (int64_t a_try = 1; a_try <= n_try; a_try++) {
        rc = try_once(call, a_try, seconds, err);
        if (rc != MDL_E_TRAINER)
            return rc;
        if (a_try < n_try)
            mdl_log_rank(MDL_LOG_WARN, "%s+%s: try %lld of %lld failed: %s", call->candidate->ve,
                         call->candidate->lm, (long long)a_try, (long long)n_try, call->why);
    }
    return mdl_fail(err, MDL_E_TRAINER, "the training command failed %lld times: %s (see %s)",
                    (long long)n_try, call->why, call->log);
}

static int advance(void *self, MPI_Comm group, const mdl_candidate_t *candidate, double mark,
                   double *seconds, mdl_error_t *err)
{
    call_t call = {.command = self, .candidate = candidate, .to = mark};
    int rank, rc = MDL_OK;
    *seconds = 0;
    MPI_Comm_rank(group, &rank);
    MPI_Comm_size(group, &call.n_rank);
    if (rank == 0 && !was_passed(self, candidate, mark)) {
        rc = run_call(&call, seconds, err);
        close_call(&call);
    }
    mdl_group_meet(group);
    MPI_Bcast(seconds, 1, MPI_DOUBLE, 0, group);
    return mdl_agree(group, rc, err);
}

/* The kept answer at mark. */
static int read_kept(const command_t *command, const mdl_candidate_t *candidate, double mark,
                     mdl_command_answer_t *answer, mdl_error_t *err)
{
    char *path = result_path(command, candidate, mark);
    if (path == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    int rc = mdl_command_answer_read(path, answer, err);
    free(path);
    return rc;
}

/* The point at mark, with the seconds of all calls up to there. */
static int evaluate_on_root(const command_t *command, const mdl_candidate_t *candidate, double mark,
                            mdl_point_t *point, mdl_error_t *err)
{
    mdl_command_answer_t answer;
    double seconds = 0;
    int rc;
    for (int i = 0; i < command->n_mark && command->marks[i] < mark - 1e-9; i++) {
        MDL_TRY(read_kept(command, candidate, command->marks[i], &answer, err));
        seconds += answer.train_seconds;
    }
    MDL_TRY(read_kept(command, candidate, mark, &answer, err));
    *point = (mdl_point_t){.ratio = mark,
                           .error = answer.error,
                           .error_stderr = answer.error_stderr,
                           .loss = answer.loss,
                           .train_seconds = seconds + answer.train_seconds};
done:
    return rc;
}

static int evaluate(void *self, MPI_Comm group, const mdl_candidate_t *candidate, double mark,
                    mdl_point_t *point, mdl_error_t *err)
{
    int rank;
    MPI_Comm_rank(group, &rank);
    int rc = mdl_on_root(group, rank, evaluate_on_root(self, candidate, mark, point, err), err);
    if (rc == MDL_OK)
        MPI_Bcast(point, sizeof *point, MPI_BYTE, 0, group);
    return rc;
}

static double unknown(void *self, const mdl_candidate_t *candidate)
{
    (void)self;
    (void)candidate;
    return 0;
}

static void free_command(void *self)
{
    command_t *command = self;
    if (command == NULL)
        return;
    free(command->marks);
    free(command);
}

const mdl_trainer_class_t mdl_trainer_command = {.advance = advance,
                                                 .evaluate = evaluate,
                                                 .work = unknown,
                                                 .seconds = unknown,
                                                 .free = free_command};
