#include "core/stage.h"

#include "core/log.h"
#include "core/text.h"
#include "core/version.h"
#include "io/lease.h"
#include "mpi/agree.h"
#include "mpi/stop.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *study_path;
    double time_limit;
    int dry_run, force, verbose, help, version;
} common_options_t;

static const mdl_option_t common_table[] = {
    {"study", 0, MDL_OPTION_TEXT, "STUDY.yaml", "take inputs, outputs and settings from this study",
     offsetof(common_options_t, study_path)},
    {"force", 0, MDL_OPTION_FLAG, NULL, "run although the result is there and current",
     offsetof(common_options_t, force)},
    {"dry-run", 0, MDL_OPTION_FLAG, NULL, "print plan, memory and time; touch nothing",
     offsetof(common_options_t, dry_run)},
    {"time-limit", 0, MDL_OPTION_DOUBLE, "SECONDS",
     "stop cleanly (exit code 75) after so many seconds", offsetof(common_options_t, time_limit)},
    {"verbose", 'v', MDL_OPTION_FLAG, NULL, "one log line for each file, candidate or batch",
     offsetof(common_options_t, verbose)},
    {"help", 'h', MDL_OPTION_FLAG, NULL, "print this help", offsetof(common_options_t, help)},
    {"version", 0, MDL_OPTION_FLAG, NULL, "print the version", offsetof(common_options_t, version)},
};
enum { N_COMMON = sizeof common_table / sizeof common_table[0] };

/* The rank as the launcher tells it, so that help needs no MPI; -1 without a launcher. */
static int launcher_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (getenv(names[i]) != NULL)
            return atoi(getenv(names[i]));
    return -1;
}

static void print_help(const mdl_command_t *command)
{
    printf("usage: %s %s\n\n%s\n", command->program, command->usage, command->summary);
    if (command->n_option > 0)
        printf("\noptions:\n");
    mdl_options_print(stdout, command->options, command->n_option);
    printf("\noptions of every stage:\n");
    mdl_options_print(stdout, common_table, N_COMMON);
    printf("\nexit codes: 0 done, 64 usage, 65 bad input, 66 input missing, 69 study in use,\n"
           "70 internal, 71 memory, 74 I/O, 75 stopped with a checkpoint (run again), 76 no\n"
           "candidate could be trained.  Manual: man %.*s\n",
           (int)strcspn(command->program, " "), command->program);
}

static void leave_with_text(const mdl_command_t *command, const common_options_t *common)
{
    if (launcher_rank() <= 0) {
        if (common->help)
            print_help(command);
        else
            printf("%s %s\n", command->program, MDL_VERSION);
    }
    exit(MDL_OK);
}

static void mpi_failed(MPI_Comm *comm, int *code, ...)
{
    char text[MPI_MAX_ERROR_STRING];
    int length;
    MPI_Error_string(*code, text, &length);
    mdl_log_rank(MDL_LOG_ERROR, "MPI failed: %.*s", length, text);
    MPI_Abort(*comm, MDL_E_INTERNAL);
}

/* MPI_Init; a process that no launcher started needs neither Open MPI's daemon nor a network nor a
 * list of devices (hwloc's plugins, which look for displays and GPUs and load libraries for it):
 * without them it starts in a tenth of the time. It gets a folder for MPI's files
 * to itself: the one that all such processes of a user would share is removed by the first to end,
 * perhaps while another one starts. What the environment asks for stays, and programs that are
 * started later see none of this. */
static void init_mpi(void)
{
    const char *base = getenv("TMPDIR");
    char *folder =
        mdl_text("%s/mordal-mpi-%ld-%ld", base != NULL && base[0] != '\0' ? base : "/tmp",
                 (long)getuid(), (long)getpid());
    const char *const alone[][2] = {{"OMPI_MCA_ess_singleton_isolated", "1"},
                                    {"OMPI_MCA_orte_top_session_dir", folder},
                                    {"OMPI_MCA_pml", "^cm,ucx"},
                                    {"OMPI_MCA_btl", "self"},
                                    {"HWLOC_PLUGINS_PATH", "/dev/null"},
                                    {"HWLOC_COMPONENTS", "-pci,-linuxio"}};
    enum { N = sizeof alone / sizeof alone[0] };
    int is_set[N] = {0}, launched = launcher_rank() >= 0 || getenv("SLURM_STEP_ID") != NULL;
    for (int i = 0; i < N && !launched; i++)
        is_set[i] = alone[i][1] != NULL && getenv(alone[i][0]) == NULL &&
                    setenv(alone[i][0], alone[i][1], 1) == 0;
    MPI_Init(NULL, NULL);
    for (int i = 0; i < N; i++)
        if (is_set[i])
            unsetenv(alone[i][0]);
    free(folder);
}

static void start_mpi(mdl_stage_t *stage)
{
    /* Open MPI 4.1 prefers its one-sided layer over UCX, which fails on plain TCP between hosts. */
    setenv("OMPI_MCA_osc", "^ucx", 0);
    init_mpi();
    stage->comm = MPI_COMM_WORLD;
    MPI_Errhandler handler;
    MPI_Comm_create_errhandler(mpi_failed, &handler);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, handler);
    MPI_Errhandler_free(&handler);
    MPI_Comm_rank(stage->comm, &stage->rank);
    MPI_Comm_size(stage->comm, &stage->n_rank);
}

/* Several tasks of one Slurm step that each believe to be alone would all write the same files. */
static int check_singleton(mdl_stage_t *stage)
{
    const char *tasks = getenv("SLURM_STEP_NUM_TASKS");
    if (stage->n_rank > 1 || tasks == NULL || atoi(tasks) <= 1 ||
        getenv("OMPI_COMM_WORLD_SIZE") != NULL)
        return MDL_OK;
    return mdl_fail(&stage->err, MDL_E_USAGE,
                    "this Slurm step has %s tasks but MPI sees one rank: srun could not start "
                    "MPI; use srun --mpi=pmix or mpirun (slurm.launcher in the study)",
                    tasks);
}

int mdl_stage_begin(mdl_stage_t *stage, const mdl_command_t *command, int argc, char **argv,
                    void *options)
{
    *stage = (mdl_stage_t){.program = command->program};
    common_options_t common = {0};
    mdl_option_group_t groups[] = {{command->options, command->n_option, options},
                                   {common_table, N_COMMON, &common}};
    int rc = mdl_options_parse(groups, 2, argc, argv, &stage->arguments, &stage->n_argument,
                               &stage->err);
    if (rc == MDL_OK && (common.help || common.version))
        leave_with_text(command, &common);
    start_mpi(stage);
    const char *short_name =
        strncmp(command->program, "mordal-", 7) == 0 ? command->program + 7 : command->program;
    mdl_log_setup(short_name, stage->rank, common.verbose ? MDL_LOG_VERBOSE : MDL_LOG_INFO);
    stage->study_path = common.study_path;
    stage->time_limit = common.time_limit;
    stage->dry_run = common.dry_run;
    stage->force = common.force;
    mdl_stop_setup(common.time_limit);
    if (rc == MDL_OK)
        rc = check_singleton(stage);
    return mdl_agree(stage->comm, rc, &stage->err);
}

/* Rank 0 takes the lease, and all ranks hold what they write against it. */
static int share_lease(mdl_stage_t *stage, const char *folder)
{
    char nonce[MDL_LEASE_NONCE] = "";
    int rc;
    MDL_TRY(mdl_on_root(stage->comm, stage->rank, mdl_lease_take(folder, nonce, &stage->err),
                        &stage->err));
    MPI_Bcast(nonce, MDL_LEASE_NONCE, MPI_CHAR, 0, stage->comm);
    if (stage->rank > 0)
        rc = mdl_lease_follow(folder, nonce, &stage->err);
    rc = mdl_agree(stage->comm, rc, &stage->err);
done:
    return rc;
}

int mdl_stage_open_study(mdl_stage_t *stage, mdl_study_t **study)
{
    if (stage->study_path == NULL)
        return mdl_fail(&stage->err, MDL_E_USAGE,
                        "no input: give --study STUDY.yaml, or files (see --help)");
    int rc = mdl_study_load(stage->comm, stage->study_path, study, &stage->err);
    if (rc != MDL_OK || stage->dry_run)
        return rc;
    return share_lease(stage, (*study)->folder);
}

int mdl_stage_end(mdl_stage_t *stage, int rc)
{
    rc = mdl_agree(stage->comm, rc, &stage->err);
    mdl_lease_give_back();
    if (rc == MDL_E_AGAIN)
        mdl_log(MDL_LOG_INFO, "stopped cleanly: %s; run the same command again to go on",
                stage->err.text);
    else if (rc != MDL_OK && stage->err.rank > 0)
        mdl_log(MDL_LOG_ERROR, "%s (rank %d of %d)", stage->err.text, stage->err.rank,
                stage->n_rank);
    else if (rc != MDL_OK)
        mdl_log(MDL_LOG_ERROR, "%s", stage->err.text);
    MPI_Finalize();
    return rc;
}
