#include "report/run.h"

#include "core/log.h"
#include "core/text.h"
#include "io/path.h"
#include "mpi/agree.h"
#include "report/ranking.h"
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { N_PRINTED_ROW = 15 };

/* The report's inputs and the folder that it goes to. */
typedef struct {
    const mdl_study_t *study; /* NULL when the files are named by hand */
    char **paths;
    int n_path;
    const char *folder;
} job_t;

static int read_input(const job_t *job, mdl_report_input_t *input, mdl_error_t *err)
{
    int rc = MDL_OK;
    for (int i = 0; rc == MDL_OK && i < job->n_path; i++)
        if (job->study == NULL || access(job->paths[i], F_OK) == 0)
            rc = mdl_report_input_add(input, job->paths[i], err);
    if (rc == MDL_OK && input->n_file == 0)
        return mdl_fail(err, MDL_E_MISSING,
                        "%s: no result to report on; run mordal-archive and mordal-cka first",
                        job->study->folder);
    return rc == MDL_OK ? mdl_report_input_finish(input, err) : rc;
}

static int write_ranking(mdl_report_input_t *input, const char *path, int print, mdl_error_t *err)
{
    if (!input->has_regress) {
        mdl_log(MDL_LOG_INFO, "no ranking yet: mordal-regress has not run");
        if (access(path, F_OK) == 0)
            mdl_log(MDL_LOG_WARN, "%s is from an earlier search and was left as it is", path);
        return MDL_OK;
    }
    if (input->has_final)
        mdl_ranking_set_measured(&input->regress, input->final_candidate, &input->final);
    mdl_buffer_t csv = {0};
    mdl_ranking_csv(&csv, &input->regress);
    int rc = mdl_buffer_write(&csv, path, err);
    mdl_buffer_free(&csv);
    if (rc != MDL_OK)
        return rc;
    mdl_log(MDL_LOG_INFO, "wrote %s", path);
    if (print)
        mdl_ranking_print(stdout, &input->regress, N_PRINTED_ROW);
    return MDL_OK;
}

static int write_page(const mdl_report_input_t *input, const char *path, mdl_error_t *err)
{
    mdl_buffer_t page = {0};
    int rc;
    MDL_TRY(mdl_report_page(&page, input, err));
    MDL_TRY(mdl_buffer_write(&page, path, err));
    mdl_log(MDL_LOG_INFO, "wrote %s", path);
done:
    mdl_buffer_free(&page);
    return rc;
}

static int make(const job_t *job, const mdl_stage_t *stage, int print, mdl_error_t *err)
{
    mdl_report_input_t input = {.study = job->study, .study_path = stage->study_path};
    char *csv = mdl_text("%s/ranking.csv", job->folder);
    char *html = mdl_text("%s/report.html", job->folder);
    int rc;
    if (csv == NULL || html == NULL) {
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for the paths in %s", job->folder);
        goto done;
    }
    MDL_TRY(read_input(job, &input, err));
    MDL_TRY(write_page(&input, html, err));
    MDL_TRY(write_ranking(&input, csv, print, err));
done:
    mdl_report_input_free(&input);
    free(csv);
    free(html);
    return rc;
}

static int print_plan(const job_t *job)
{
    for (int i = 0; i < job->n_path; i++)
        printf("%s %s\n", access(job->paths[i], F_OK) == 0 ? "read        " : "not there   ",
               job->paths[i]);
    printf("write        %s/report.html\nwrite        %s/ranking.csv (needs regress.h5)\n"
           "memory       below 100 MB on rank 0\ntime         a few seconds\n",
           job->folder, job->folder);
    return MDL_OK;
}

static int run_study(mdl_stage_t *stage, const mdl_study_t *study, int print, mdl_error_t *err)
{
    job_t job = {.study = study};
    char *folder = mdl_study_path(study, "report");
    int rc;
    if (folder == NULL) {
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for the study's paths");
        goto done;
    }
    job.folder = folder;
    MDL_TRY(mdl_report_paths(study, &job.paths, &job.n_path, err));
    rc = stage->dry_run ? print_plan(&job) : make(&job, stage, print, err);
    mdl_report_paths_free(job.paths, job.n_path);
done:
    free(folder);
    return rc;
}

static int run_files(mdl_stage_t *stage, const mdl_report_options_t *options, mdl_error_t *err)
{
    if (options->output == NULL)
        return mdl_fail(err, MDL_E_USAGE, "no output folder: give -o FOLDER");
    job_t job = {NULL, stage->arguments, stage->n_argument, options->output};
    return stage->dry_run ? print_plan(&job) : make(&job, stage, options->print, err);
}

int mdl_report_run(mdl_stage_t *stage, const mdl_report_options_t *options, mdl_error_t *err)
{
    mdl_study_t *study = NULL;
    if (stage->n_argument > 0 && stage->study_path != NULL)
        return mdl_fail(err, MDL_E_USAGE, "give --study or files, not both");
    if (stage->n_argument > 0)
        return mdl_on_root(stage->comm, stage->rank, run_files(stage, options, err), err);
    if (options->output != NULL)
        return mdl_fail(err, MDL_E_USAGE, "%s",
                        stage->study_path == NULL
                            ? "no input: name the result files after -o FOLDER"
                            : "-o goes with files; a study's report is in its folder report/");
    int rc = mdl_stage_open_study(stage, &study);
    if (rc == MDL_OK)
        rc = mdl_on_root(stage->comm, stage->rank, run_study(stage, study, options->print, err),
                         err);
    mdl_study_free(study);
    return rc;
}
