#include "io/simulate_file.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const names[MDL_N_MEASURE] = {
    "tau", "top1", "within_stderr", "regret", "relative_regret", "cost"};

const char *mdl_measure_name(mdl_measure_t measure)
{
    return names[measure];
}

/* The dataset of a measure: by task, or its mean. */
static const char *path_of(int measure, int is_mean, char buffer[64])
{
    snprintf(buffer, 64, is_mean ? "/mean_%s" : "/%s", names[measure]);
    return buffer;
}

static int write_datasets(hid_t file, const mdl_simulation_t *s, mdl_error_t *err)
{
    const int64_t by_key[] = {s->n_setting, s->n_key}, by_task[] = {s->n_setting, s->n_task};
    char path[64];
    int rc;
    MDL_TRY(
        mdl_h5_write_text(file, "/setting", s->n_setting, (const char *const *)s->setting, err));
    MDL_TRY(mdl_h5_write_text(file, "/key", s->n_key, (const char *const *)s->key, err));
    MDL_TRY(mdl_h5_write_text(file, "/task", s->n_task, (const char *const *)s->task, err));
    MDL_TRY(mdl_h5_write_double(file, "/value", 2, by_key, s->value, err));
    for (int m = 0; m < MDL_N_MEASURE; m++) {
        MDL_TRY(mdl_h5_write_double(file, path_of(m, 0, path), 2, by_task, s->measure[m], err));
        MDL_TRY(mdl_h5_write_double(file, path_of(m, 1, path), 1, by_task, s->mean[m], err));
    }
    rc = mdl_h5_set_int(file, "n_seed", s->n_seed, err);
done:
    return rc;
}

int mdl_simulation_write(const char *path, const mdl_provenance_t *provenance,
                         const mdl_simulation_t *simulation, mdl_error_t *err)
{
    mdl_result_t result;
    int rc = mdl_result_create(&result, path, provenance, err);
    if (rc != MDL_OK)
        return rc;
    return mdl_result_close(&result, write_datasets(result.file, simulation, err), err);
}

void mdl_simulation_free(mdl_simulation_t *simulation)
{
    free(simulation->setting);
    free(simulation->key);
    free(simulation->task);
    free(simulation->value);
    for (int m = 0; m < MDL_N_MEASURE; m++) {
        free(simulation->measure[m]);
        free(simulation->mean[m]);
    }
    *simulation = (mdl_simulation_t){0};
}
