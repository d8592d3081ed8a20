#include "report/run.h"

#include <stddef.h>

static const mdl_option_t options_table[] = {
    {"output", 'o', MDL_OPTION_TEXT, "FOLDER", "folder for the report of files named by hand",
     offsetof(mdl_report_options_t, output)},
    {"print", 'p', MDL_OPTION_FLAG, NULL, "print the first 15 rows of the ranking too",
     offsetof(mdl_report_options_t, print)},
};

static const mdl_command_t command = {
    .program = "mordal-report",
    .usage = "[OPTION...] --study STUDY.yaml | -o FOLDER FILE.h5...",
    .summary =
        "Writes ranking.csv and report.html, one page that needs no network, from the results\n"
        "of the stages before, as far as they are there.",
    .options = options_table,
    .n_option = sizeof options_table / sizeof options_table[0],
};

int main(int argc, char **argv)
{
    mdl_report_options_t options = {0};
    mdl_stage_t stage;
    int rc = mdl_stage_begin(&stage, &command, argc, argv, &options);
    if (rc == MDL_OK)
        rc = mdl_report_run(&stage, &options, &stage.err);
    return mdl_stage_end(&stage, rc);
}
