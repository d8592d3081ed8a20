/* The shape of every stage: begin (MPI, options, log), run, end (agree, report once, leave).
 *
 *     int main(int argc, char **argv)
 *     {
 *         mdl_cka_options_t options = mdl_cka_defaults;
 *         mdl_stage_t stage;
 *         int rc = mdl_stage_begin(&stage, &command, argc, argv, &options);
 *         if (rc == MDL_OK)
 *             rc = mdl_cka_run(&stage, &options, &stage.err);
 *         return mdl_stage_end(&stage, rc);
 *     }
 */
#ifndef MDL_CORE_STAGE_H
#define MDL_CORE_STAGE_H

#include "core/options.h"
#include "io/study.h"

#include <mpi.h>

typedef struct {
    const char *program; /* mordal-cka */
    const char *usage;   /* what follows the program's name: [OPTION...] -o OUT.h5 FILE... */
    const char *summary; /* one or two sentences at the top of the help */
    const mdl_option_t *options;
    int n_option;
} mdl_command_t;

typedef struct {
    MPI_Comm comm;
    int rank, n_rank;
    const char *program;
    char **arguments; /* the words that are no options, borrowed from argv */
    int n_argument;
    const char *study_path; /* --study FILE or NULL */
    double time_limit;      /* seconds from the start after which to stop cleanly, 0 = none */
    int dry_run;            /* --dry-run: print the plan, touch nothing */
    int force;              /* --force: run although the result is current */
    mdl_error_t err;
} mdl_stage_t;

/* Starts MPI, reads the options (the command's and those that every stage has: --study, --dry-run,
 * --force, --time-limit, --verbose, --help, --version) and sets up log and stop signals.
 * Prints help or version and leaves the process with exit code 0 when asked to.
 * Collective over all processes. Returns MDL_E_USAGE for wrong options. */
int mdl_stage_begin(mdl_stage_t *stage, const mdl_command_t *command, int argc, char **argv,
                    void *options);

/* Loads the study of --study and, unless this is a dry run, takes its lease (at most one run writes
 * into a study). Freed by the caller with mdl_study_free; the lease is given back by mdl_stage_end.
 * Collective over stage->comm. Returns MDL_E_USAGE without --study, MDL_E_LOCKED, or what
 * mdl_study_load returns. */
int mdl_stage_open_study(mdl_stage_t *stage, mdl_study_t **study);

/* Agrees on rc over the ranks, reports an error once, finalises MPI and returns the exit code.
 * Collective over stage->comm. */
int mdl_stage_end(mdl_stage_t *stage, int rc);

#endif
