#include "io/checkpoint_file.h"

#include "core/log.h"
#include "core/text.h"
#include "io/path.h"
#include "io/result.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const GROUPS[] = {"param", "adam_m", "adam_v"};
enum { N_GROUP = 3 };

static char *path_of(const char *folder, int64_t step)
{
    return mdl_text("%s/checkpoint-%08lld.h5", folder, (long long)step);
}

static float *array_of(const mdl_checkpoint_t *checkpoint, int group)
{
    float *const arrays[] = {checkpoint->param, checkpoint->adam_m, checkpoint->adam_v};
    return arrays[group];
}

static int64_t n_value(const mdl_checkpoint_tensor_t *tensor)
{
    return tensor->n_dim == 2 ? tensor->dims[0] * tensor->dims[1] : tensor->dims[0];
}

static int all_finite(const float *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return 0;
    return 1;
}

static int write_tensor(hid_t file, int group, const mdl_checkpoint_tensor_t *tensor,
                        const mdl_checkpoint_t *checkpoint, mdl_error_t *err)
{
    const float *values = array_of(checkpoint, group) + tensor->offset;
    if (!all_finite(values, n_value(tensor)))
        return mdl_fail(err, MDL_E_TRAINER,
                        "step %lld: %s of %s isn't finite: training diverged; lower "
                        "trainer.learning_rate",
                        (long long)checkpoint->step, GROUPS[group], tensor->name);
    char name[160];
    snprintf(name, sizeof name, "/%s/%s", GROUPS[group], tensor->name);
    return mdl_h5_write_float(file, name, tensor->n_dim, tensor->dims, values, err);
}

static int write_contents(hid_t file, const mdl_checkpoint_t *checkpoint, mdl_error_t *err)
{
    int rc;
    MDL_TRY(mdl_h5_set_int(file, "step", checkpoint->step, err));
    MDL_TRY(mdl_h5_set_int(file, "total_steps", checkpoint->total_steps, err));
    MDL_TRY(mdl_h5_set_double(file, "ratio",
                              (double)checkpoint->step / (double)checkpoint->total_steps, err));
    MDL_TRY(mdl_h5_set_double(file, "train_seconds", checkpoint->train_seconds, err));
    for (int group = 0; group < N_GROUP; group++)
        for (int64_t i = 0; i < checkpoint->n_tensor; i++)
            MDL_TRY(write_tensor(file, group, &checkpoint->tensor[i], checkpoint, err));
done:
    return rc;
}

int mdl_checkpoint_write(const char *folder, const char *configuration,
                         const mdl_checkpoint_t *checkpoint, mdl_error_t *err)
{
    const mdl_provenance_t provenance = {
        .schema = "mordal-checkpoint", .version = 1, .configuration = configuration};
    char *path = path_of(folder, checkpoint->step);
    if (path == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a path in %s", folder);
    mdl_result_t result;
    int rc = mdl_result_create(&result, path, &provenance, err);
    if (rc == MDL_OK)
        rc = mdl_result_close(&result, write_contents(result.file, checkpoint, err), err);
    free(path);
    return rc;
}

/* Checks one tensor, and puts it into the caller's array with keep. */
static int read_tensor(hid_t file, int group, const mdl_checkpoint_tensor_t *tensor, int keep,
                       mdl_checkpoint_t *checkpoint, mdl_error_t *err)
{
    char name[160];
    snprintf(name, sizeof name, "/%s/%s", GROUPS[group], tensor->name);
    int64_t dims[2] = {tensor->dims[0], tensor->dims[1]};
    float *values;
    int rc = mdl_h5_read_float(file, name, tensor->n_dim, dims, &values, err);
    if (rc != MDL_OK)
        return rc;
    if (!all_finite(values, n_value(tensor)))
        rc = mdl_fail(err, MDL_E_INPUT, "%s holds values that aren't finite", name);
    else if (keep)
        memcpy(array_of(checkpoint, group) + tensor->offset, values,
               (size_t)n_value(tensor) * sizeof *values);
    free(values);
    return rc;
}

static int read_contents(hid_t file, int64_t step, mdl_checkpoint_t *checkpoint, mdl_error_t *err)
{
    int rc;
    MDL_TRY(mdl_h5_get_int(file, "step", &checkpoint->step, err));
    MDL_TRY(mdl_h5_get_int(file, "total_steps", &checkpoint->total_steps, err));
    MDL_TRY(mdl_h5_get_double(file, "train_seconds", &checkpoint->train_seconds, err));
    if (checkpoint->step != step || step > checkpoint->total_steps ||
        !(checkpoint->train_seconds >= 0)) {
        rc = mdl_fail(err, MDL_E_INPUT, "its name says step %lld, its attributes %lld of %lld",
                      (long long)step, (long long)checkpoint->step,
                      (long long)checkpoint->total_steps);
        goto done;
    }
    /* The caller's arrays are touched once all of the file is known to be good. */
    for (int keep = 0; keep < 2; keep++)
        for (int group = 0; group < N_GROUP; group++)
            for (int64_t i = 0; i < checkpoint->n_tensor; i++)
                MDL_TRY(read_tensor(file, group, &checkpoint->tensor[i], keep, checkpoint, err));
done:
    return rc;
}

/* *other becomes 1 when the file is intact, but of another configuration. */
static int read_file(const char *path, const char *configuration, int64_t step,
                     mdl_checkpoint_t *checkpoint, int *other, mdl_error_t *err)
{
    hid_t file = -1;
    char *stored = NULL;
    int rc;
    *other = 0;
    MDL_TRY(mdl_result_open(path, "mordal-checkpoint", 1, "train the candidate first", &file, err));
    MDL_TRY(mdl_h5_get_text(file, "configuration", &stored, err));
    if (strcmp(stored, configuration) != 0) {
        *other = 1;
        rc = mdl_fail(err, MDL_E_INPUT,
                      "%s: was trained with other settings or inputs; rerun with --force, which "
                      "starts the candidate afresh, or in a new study folder",
                      path);
        goto done;
    }
    rc = read_contents(file, step, checkpoint, err);
    if (rc != MDL_OK)
        mdl_error_prefix(err, "%s", path);
done:
    free(stored);
    mdl_h5_close(file);
    return rc;
}

int mdl_checkpoint_read(const char *folder, const char *configuration, int64_t step,
                        mdl_checkpoint_t *checkpoint, mdl_error_t *err)
{
    char *path = path_of(folder, step);
    int other;
    if (path == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a path in %s", folder);
    int rc = read_file(path, configuration, step, checkpoint, &other, err);
    free(path);
    return rc;
}

/* Renames a damaged checkpoint, so that it isn't tried again but can be looked at. */
static int put_aside(const char *path, mdl_error_t *err)
{
    char *aside = mdl_text("%s.damaged", path);
    if (aside == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for the path %s", path);
    int rc = MDL_OK;
    if (rename(path, aside) != 0)
        rc = mdl_fail(err, MDL_E_IO, "%s: is damaged and can't be renamed: %s", path,
                      strerror(errno));
    free(aside);
    return rc;
}

/* Removes what a run that was killed while it wrote left behind. */
static void sweep(const char *folder)
{
    char *start = mdl_text("%s/checkpoint-", folder);
    if (start != NULL)
        mdl_path_sweep_all(start);
    free(start);
}

int mdl_checkpoint_read_newest(const char *folder, const char *configuration, int64_t max_step,
                               mdl_checkpoint_t *checkpoint, mdl_error_t *err)
{
    sweep(folder);
    int64_t *steps, n_step;
    int rc = mdl_checkpoint_list(folder, &steps, &n_step, err);
    if (rc != MDL_OK)
        return rc;
    for (int64_t i = n_step - 1; i >= 0; i--) {
        if (steps[i] > max_step)
            continue;
        char *path = path_of(folder, steps[i]);
        int other = 0;
        rc = path != NULL ? read_file(path, configuration, steps[i], checkpoint, &other, err)
                          : mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
        if (rc == MDL_E_INPUT && !other) {
            mdl_log_rank(MDL_LOG_WARN, "%s; put aside, going on from the checkpoint before it",
                         err->text);
            rc = put_aside(path, err);
            free(path);
            if (rc == MDL_OK)
                continue;
            goto done;
        }
        free(path);
        goto done;
    }
    checkpoint->step = 0;
done:
    free(steps);
    return rc;
}

static int is_kept(int64_t step, const int64_t *kept, int64_t n_kept)
{
    for (int64_t i = 0; i < n_kept; i++)
        if (kept[i] == step)
            return 1;
    return 0;
}

int mdl_checkpoint_prune(const char *folder, const int64_t *kept, int64_t n_kept, mdl_error_t *err)
{
    int64_t *steps, n_step, n_other = 0;
    int rc = mdl_checkpoint_list(folder, &steps, &n_step, err);
    if (rc != MDL_OK)
        return rc;
    for (int64_t i = n_step - 1; rc == MDL_OK && i >= 0; i--) {
        if (is_kept(steps[i], kept, n_kept) || n_other++ < 2)
            continue;
        char *path = path_of(folder, steps[i]);
        if (path == NULL)
            rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for a path in %s", folder);
        else if (unlink(path) != 0 && errno != ENOENT)
            rc = mdl_fail(err, MDL_E_IO, "%s: cannot be removed: %s", path, strerror(errno));
        free(path);
    }
    free(steps);
    return rc;
}

/* The step in the name of a checkpoint, -1 when the name is something else. */
static int64_t step_of(const char *name)
{
    long long step;
    int n_read = 0;
    if (sscanf(name, "checkpoint-%lld.h5%n", &step, &n_read) != 1)
        return -1;
    return n_read > 0 && name[n_read] == '\0' && step > 0 ? step : -1;
}

static int ascending(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

int mdl_checkpoint_list(const char *folder, int64_t **steps, int64_t *n_step, mdl_error_t *err)
{
    *steps = NULL;
    *n_step = 0;
    DIR *listing = opendir(folder);
    if (listing == NULL && errno != ENOENT)
        return mdl_fail(err, MDL_E_IO, "%s: can't be listed: %s", folder, strerror(errno));
    if (listing == NULL)
        return MDL_OK;
    int rc = MDL_OK;
    int64_t n_room = 0;
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        int64_t step = step_of(entry->d_name);
        if (step < 0)
            continue;
        if (*n_step == n_room) {
            n_room = 2 * n_room + 16;
            int64_t *grown = realloc(*steps, (size_t)n_room * sizeof **steps);
            if (grown == NULL) {
                rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for the checkpoints in %s", folder);
                break;
            }
            *steps = grown;
        }
        (*steps)[(*n_step)++] = step;
    }
    closedir(listing);
    if (rc != MDL_OK) {
        free(*steps);
        *steps = NULL;
        return rc;
    }
    if (*n_step > 0)
        qsort(*steps, (size_t)*n_step, sizeof **steps, ascending);
    return MDL_OK;
}
