/* The driver's window on a study file: checks it, and hands its settings to the shell. */
#include "core/error.h"
#include "core/version.h"
#include "io/study.h"
#include "io/study_keys.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
    "Usage: mordal-study check STUDY.yaml    read and check the study, print one line\n"
    "       mordal-study shell STUDY.yaml    print its settings as KEY='value' lines for a shell\n"
    "       mordal-study --keys              print every key with default, unit and meaning\n"
    "       mordal-study --help | --version\n"
    "The commands of daily use are those of mordal(1).\n";

static void print_text(const char *key, const char *value)
{
    printf("%s='", key);
    for (const char *c = value != NULL ? value : ""; *c != '\0'; c++)
        if (*c == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*c);
    printf("'\n");
}

static void print_int(const char *key, int64_t value)
{
    printf("%s='%lld'\n", key, (long long)value);
}

static void print_shell(const mdl_study_t *study)
{
    print_text("study_name", study->name);
    print_text("study_folder", study->folder);
    print_int("study_rungs", mdl_study_n_rung(study));
    print_int("study_train_choice", study->regress.train_choice);
    print_text("slurm_site", study->slurm.site);
    print_text("slurm_account", study->slurm.account);
    print_text("slurm_partition", study->slurm.partition);
    print_text("slurm_qos", study->slurm.qos);
    print_int("slurm_nodes", study->slurm.nodes);
    print_int("slurm_tasks_per_node", study->slurm.tasks_per_node);
    print_int("slurm_cpus_per_task", study->slurm.cpus_per_task);
    print_int("slurm_gpus_per_node", study->slurm.gpus_per_node);
    print_text("slurm_time", study->slurm.time);
    print_text("slurm_launcher", study->slurm.launcher);
    print_int("slurm_max_requeues", study->slurm.max_requeues);
    print_text("slurm_extra", study->slurm.extra);
}

static void print_check(const mdl_study_t *study)
{
    printf("OK: study %s in %s: %u vision encoders x %u language models, ", study->name,
           study->folder, study->zoo.n_vision, study->zoo.n_language);
    if (mdl_study_in_rounds(study))
        printf("in rounds\n");
    else
        printf("up to %d rungs\n", mdl_study_n_rung(study));
}

static int read_study(const char *action, const char *path)
{
    mdl_study_t *study;
    mdl_error_t err = {.code = MDL_OK};
    int rc = mdl_study_read(path, &study, &err);
    if (rc != MDL_OK) {
        fprintf(stderr, "mordal-study: %s\n", err.text);
        return rc;
    }
    if (strcmp(action, "shell") == 0)
        print_shell(study);
    else
        print_check(study);
    mdl_study_free(study);
    return MDL_OK;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return MDL_OK;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("mordal-study %s\n", MDL_VERSION);
        return MDL_OK;
    }
    if (argc == 2 && strcmp(argv[1], "--keys") == 0) {
        mdl_study_keys_print(stdout);
        return MDL_OK;
    }
    if (argc == 3 && (strcmp(argv[1], "check") == 0 || strcmp(argv[1], "shell") == 0))
        return read_study(argv[1], argv[2]);
    fputs(usage, stderr);
    return MDL_E_USAGE;
}
