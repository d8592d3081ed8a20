#include "models/tensor_list.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A new item at the end, or NULL when memory is out, which mdl_tensor_list_read reports. */
static mdl_wanted_tensor_t *append(mdl_tensor_list_t *list, float **out)
{
    if (list->n == list->n_room) {
        int64_t n_room = list->n_room > 0 ? 2 * list->n_room : 64;
        void *grown = realloc(list->item, (size_t)n_room * sizeof *list->item);
        if (grown == NULL) {
            list->out_of_memory = 1;
            return NULL;
        }
        list->item = grown;
        list->n_room = n_room;
    }
    mdl_wanted_tensor_t *item = &list->item[list->n++];
    memset(item, 0, sizeof *item);
    item->offset = list->n_value;
    item->out = out;
    return item;
}

void mdl_tensor_list_want(mdl_tensor_list_t *list, float **out, int n_dim, const int64_t *dims,
                          const char *format, ...)
{
    mdl_wanted_tensor_t *item = append(list, out);
    int64_t n_value = 1;
    va_list arguments;
    if (item == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(item->name, sizeof item->name, format, arguments);
    va_end(arguments);
    item->n_dim = n_dim;
    for (int i = 0; i < n_dim; i++) {
        item->dims[i] = dims[i];
        n_value *= dims[i];
    }
    list->n_value += n_value;
}

void mdl_tensor_list_zeros(mdl_tensor_list_t *list, float **out, int64_t n_value)
{
    if (append(list, out) != NULL)
        list->n_value += n_value;
}

const mdl_tensor_t *mdl_tensor_find(const mdl_model_files_t *files, const char *name)
{
    const mdl_tensor_t *found = NULL;
    for (int i = 0; i < mdl_model_files_count(files) && found == NULL; i++)
        found = mdl_safetensors_find(mdl_model_files_at(files, i), name);
    return found;
}

int mdl_tensor_prefix(const mdl_model_files_t *files, const char *name,
                      char prefix[MDL_TENSOR_NAME])
{
    size_t n_name = strlen(name);
    int n_found = 0;
    for (int i = 0; i < mdl_model_files_count(files); i++) {
        const mdl_safetensors_t *file = mdl_model_files_at(files, i);
        for (int64_t t = 0; t < mdl_safetensors_count(file); t++) {
            const char *full = mdl_safetensors_at(file, t)->name;
            size_t n_full = strlen(full);
            if (n_full < n_name || n_full - n_name >= MDL_TENSOR_NAME / 2 ||
                strcmp(full + n_full - n_name, name) != 0)
                continue;
            if (n_full > n_name && full[n_full - n_name - 1] != '.')
                continue;
            n_found++;
            snprintf(prefix, MDL_TENSOR_NAME, "%.*s", (int)(n_full - n_name), full);
        }
    }
    return n_found;
}

static int is_wanted(const mdl_tensor_list_t *list, const char *name)
{
    for (int64_t i = 0; i < list->n; i++)
        if (strcmp(list->item[i].name, name) == 0)
            return 1;
    return 0;
}

static int is_ignored(const char *name, const char *const *ignored, int n_ignored)
{
    for (int i = 0; i < n_ignored; i++)
        if (ignored[i] != NULL && strcmp(ignored[i], name) == 0)
            return 1;
    return 0;
}

static int check_unknown(const mdl_tensor_list_t *list, const mdl_model_files_t *files,
                         const char *folder, const char *prefix, const char *const *ignored,
                         int n_ignored, mdl_error_t *err)
{
    size_t n_prefix = strlen(prefix);
    for (int i = 0; i < mdl_model_files_count(files); i++) {
        const mdl_safetensors_t *file = mdl_model_files_at(files, i);
        for (int64_t t = 0; t < mdl_safetensors_count(file); t++) {
            const char *name = mdl_safetensors_at(file, t)->name;
            if (strncmp(name, prefix, n_prefix) == 0 && !is_wanted(list, name) &&
                !is_ignored(name + n_prefix, ignored, n_ignored))
                return mdl_fail(err, MDL_E_INPUT,
                                "%s: tensor %s has no place in the model that config.json "
                                "describes; they belong to different models",
                                folder, name);
        }
    }
    return MDL_OK;
}

/* Before memory is asked for, so that a config.json that promises too much costs none. */
static int check_shapes(const mdl_tensor_list_t *list, const mdl_model_files_t *files,
                        const char *folder, mdl_error_t *err)
{
    for (int64_t i = 0; i < list->n; i++) {
        const mdl_wanted_tensor_t *item = &list->item[i];
        if (item->name[0] == '\0')
            continue;
        const mdl_tensor_t *tensor = mdl_tensor_find(files, item->name);
        if (tensor == NULL)
            return mdl_fail(err, MDL_E_INPUT,
                            "%s: the weights have no tensor %s; its config.json belongs to another "
                            "model",
                            folder, item->name);
        int same = tensor->n_dim == item->n_dim;
        for (int k = 0; same && k < item->n_dim; k++)
            same = tensor->dims[k] == item->dims[k];
        if (!same)
            return mdl_fail(err, MDL_E_INPUT,
                            "%s: tensor %s hasn't the shape that config.json asks for; they belong "
                            "to different models",
                            folder, item->name);
    }
    return MDL_OK;
}

int mdl_tensor_list_read(const mdl_tensor_list_t *list, const mdl_model_files_t *files,
                         const char *folder, const char *prefix, const char *const *ignored,
                         int n_ignored, float **storage, mdl_error_t *err)
{
    int rc = MDL_OK;
    if (list->out_of_memory)
        return mdl_fail(err, MDL_E_MEMORY, "%s: no memory for the list of tensors", folder);
    MDL_TRY(check_unknown(list, files, folder, prefix, ignored, n_ignored, err));
    MDL_TRY(check_shapes(list, files, folder, err));
    MDL_TRY(mdl_alloc(storage, (size_t)list->n_value, sizeof **storage, "the weights", err));
    for (int64_t i = 0; i < list->n; i++) {
        const mdl_wanted_tensor_t *item = &list->item[i];
        float *place = *storage + item->offset;
        if (item->out != NULL)
            *item->out = place;
        if (item->name[0] != '\0')
            MDL_TRY(
                mdl_model_files_read_float(files, item->name, item->n_dim, item->dims, place, err));
    }
done:
    return rc;
}
