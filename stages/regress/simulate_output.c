#include "regress/simulate_output.h"

#include "core/log.h"
#include "core/text.h"
#include "io/csv.h"
#include "io/digest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "key=value,..." of what is swept; the strategy where nothing is. New memory. */
static char *name_setting(const mdl_setting_grid_t *grid, int64_t s)
{
    char buffer[32];
    char *text = NULL;
    for (int k = 0; k < grid->n_key; k++) {
        const char *value = mdl_setting_print(&grid->settings[s], grid->keys[k], buffer);
        char *longer = mdl_text("%s%s%s=%s", text != NULL ? text : "", k > 0 ? "," : "",
                                mdl_key_name(grid->keys[k]), value);
        free(text);
        if ((text = longer) == NULL)
            return NULL;
    }
    return text != NULL ? text
                        : mdl_text("strategy=%s",
                                   mdl_setting_print(&grid->settings[s], MDL_KEY_STRATEGY, buffer));
}

/* Copies made texts into one block and frees them. */
static int settle(char **texts, int64_t n, char ***block, mdl_error_t *err)
{
    int whole = 1;
    for (int64_t i = 0; i < n; i++)
        whole &= texts[i] != NULL;
    *block = whole ? mdl_text_block((const char *const *)texts, n) : NULL;
    for (int64_t i = 0; i < n; i++)
        free(texts[i]);
    free(texts);
    return *block != NULL ? MDL_OK : mdl_fail(err, MDL_E_MEMORY, "out of memory for names");
}

static int name_all(const mdl_simulate_result_t *result, mdl_simulation_t *s, mdl_error_t *err)
{
    char **settings = NULL;
    const char *keys[MDL_N_KEY] = {mdl_key_name(MDL_KEY_STRATEGY)};
    const char **tasks = NULL;
    int rc;
    for (int k = 0; k < result->grid->n_key; k++)
        keys[k] = mdl_key_name(result->grid->keys[k]);
    MDL_TRY(mdl_alloc(&tasks, (size_t)s->n_task, sizeof *tasks, "names", err));
    for (int64_t t = 0; t < s->n_task; t++)
        tasks[t] = result->pools[t].task;
    s->key = mdl_text_block(keys, s->n_key);
    s->task = mdl_text_block(tasks, s->n_task);
    if (s->key == NULL || s->task == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory for names"));
    MDL_TRY(mdl_alloc(&settings, (size_t)s->n_setting, sizeof *settings, "names", err));
    for (int64_t i = 0; i < s->n_setting; i++)
        settings[i] = name_setting(result->grid, i);
    rc = settle(settings, s->n_setting, &s->setting, err);
done:
    free(tasks);
    return rc;
}

/* The mean over tasks of one measure of one setting; tasks without a tau don't count for it. */
static double mean_of(const double *values, int64_t n)
{
    double sum = 0;
    int64_t n_known = 0;
    for (int64_t t = 0; t < n; t++) {
        if (isnan(values[t]))
            continue;
        sum += values[t];
        n_known++;
    }
    return n_known > 0 ? sum / (double)n_known : NAN;
}

static int tabulate(const mdl_simulate_result_t *result, mdl_simulation_t *s, mdl_error_t *err)
{
    const mdl_setting_grid_t *grid = result->grid;
    const int64_t n_cell = grid->n_setting * result->n_pool;
    int rc;
    *s = (mdl_simulation_t){.n_setting = grid->n_setting,
                            .n_key = grid->n_key > 0 ? grid->n_key : 1,
                            .n_task = result->n_pool,
                            .n_seed = result->n_seed};
    MDL_TRY(name_all(result, s, err));
    MDL_TRY(mdl_alloc(&s->value, (size_t)(s->n_setting * s->n_key), sizeof(double), "values", err));
    for (int64_t i = 0; i < s->n_setting; i++)
        for (int64_t k = 0; k < s->n_key; k++)
            s->value[i * s->n_key + k] =
                grid->settings[i].value[grid->n_key > 0 ? grid->keys[k] : MDL_KEY_STRATEGY];
    for (int m = 0; m < MDL_N_MEASURE; m++) {
        MDL_TRY(mdl_alloc(&s->measure[m], (size_t)n_cell, sizeof(double), "the table", err));
        MDL_TRY(mdl_alloc(&s->mean[m], (size_t)s->n_setting, sizeof(double), "means", err));
        memcpy(s->measure[m], result->measure + m * n_cell, (size_t)n_cell * sizeof(double));
        for (int64_t i = 0; i < s->n_setting; i++)
            s->mean[m][i] = mean_of(s->measure[m] + i * s->n_task, s->n_task);
    }
done:
    return rc;
}

static void print_value(double value)
{
    if (isnan(value))
        printf(",");
    else
        printf(",%.6g", value);
}

static void print_single(const mdl_simulate_result_t *result, const mdl_simulation_t *s)
{
    printf("task,choice");
    for (int m = 0; m < MDL_N_MEASURE; m++)
        printf(",%s", mdl_measure_name((mdl_measure_t)m));
    for (int64_t t = 0; t < s->n_task; t++) {
        putchar('\n');
        mdl_csv_put(stdout, s->task[t]);
        putchar(',');
        mdl_csv_put(stdout, result->pools[t].curves[result->choice[t]]->model);
        for (int m = 0; m < MDL_N_MEASURE; m++)
            print_value(s->measure[m][t]);
    }
    printf("\nmean,");
    for (int m = 0; m < MDL_N_MEASURE; m++)
        print_value(s->mean[m][0]);
    printf("\n");
}

static void print_sweep(const mdl_simulate_result_t *result, const mdl_simulation_t *s)
{
    char buffer[32];
    for (int64_t k = 0; k < s->n_key; k++)
        printf("%s%s", k > 0 ? "," : "", s->key[k]);
    for (int m = 0; m < MDL_N_MEASURE; m++)
        printf(",%s", mdl_measure_name((mdl_measure_t)m));
    for (int64_t i = 0; i < s->n_setting; i++) {
        for (int64_t k = 0; k < s->n_key; k++)
            printf("%s%s", k > 0 ? "," : "\n",
                   mdl_setting_print(&result->grid->settings[i], result->grid->keys[k], buffer));
        for (int m = 0; m < MDL_N_MEASURE; m++)
            print_value(s->mean[m][i]);
    }
    printf("\n");
}

/* OUT.svg for OUT.h5. */
static char *picture_path(const char *output)
{
    size_t length = strlen(output);
    if (length > 3 && strcmp(output + length - 3, ".h5") == 0)
        length -= 3;
    return mdl_text("%.*s.svg", (int)length, output);
}

static int write_files(const mdl_simulate_result_t *result, const mdl_simulation_t *s,
                       const char *output, mdl_error_t *err)
{
    char digits[MDL_DIGEST_SIZE];
    char *configuration = NULL, *picture = NULL;
    mdl_provenance_t provenance = {.schema = "mordal-simulation", .version = 1};
    int rc;
    MDL_TRY(mdl_digest_of_file(result->curves, digits, err));
    configuration =
        mdl_text("settings=%lld\nfirst=%s\nlast=%s\nseeds=%lld", (long long)s->n_setting,
                 s->setting[0], s->setting[s->n_setting - 1], (long long)s->n_seed);
    picture = picture_path(output);
    if (configuration == NULL || picture == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory for a path"));
    provenance.configuration = configuration;
    snprintf(provenance.inputs_digest, sizeof provenance.inputs_digest, "%s", digits);
    MDL_TRY(mdl_simulation_write(output, &provenance, s, err));
    MDL_TRY(mdl_simulate_draw(picture, s, err));
    mdl_log(MDL_LOG_INFO, "wrote %s and %s", output, picture);
done:
    free(configuration);
    free(picture);
    return rc;
}

int mdl_simulate_put_out(const mdl_simulate_result_t *result, const char *output, mdl_error_t *err)
{
    mdl_simulation_t simulation;
    int rc;
    MDL_TRY(tabulate(result, &simulation, err));
    if (simulation.n_setting == 1)
        print_single(result, &simulation);
    else
        print_sweep(result, &simulation);
    if (output != NULL)
        rc = write_files(result, &simulation, output, err);
done:
    mdl_simulation_free(&simulation);
    return rc;
}
