#include "models/tensor_list.h"

#include "kernels/bfloat16.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of one value. */
static size_t size_of(const mdl_wanted_tensor_t *item)
{
    return item->bfloat16 ? sizeof(mdl_bfloat16_t) : sizeof(float);
}

/* A new item of dims at the end, or NULL when memory is out, which mdl_tensor_list_read reports. */
static mdl_wanted_tensor_t *append(mdl_tensor_list_t *list, void *out, int n_dim,
                                   const int64_t *dims, int bfloat16)
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
    *item = (mdl_wanted_tensor_t){.n_dim = n_dim, .n_value = 1, .bfloat16 = bfloat16, .out = out};
    for (int i = 0; i < n_dim; i++) {
        item->dims[i] = dims[i];
        item->n_value *= dims[i];
    }
    item->offset = (list->n_byte + size_of(item) - 1) / size_of(item) * size_of(item);
    list->n_byte = item->offset + (size_t)item->n_value * size_of(item);
    return item;
}

static void name_item(mdl_wanted_tensor_t *item, const char *format, va_list arguments)
{
    if (item != NULL)
        vsnprintf(item->name, sizeof item->name, format, arguments);
}

void mdl_tensor_list_want(mdl_tensor_list_t *list, void *out, int n_dim, const int64_t *dims,
                          const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    name_item(append(list, out, n_dim, dims, 0), format, arguments);
    va_end(arguments);
}

void mdl_tensor_list_want_matrix(mdl_tensor_list_t *list, void *out, int n_dim, const int64_t *dims,
                                 const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    name_item(append(list, out, n_dim, dims, list->backend->bfloat16), format, arguments);
    va_end(arguments);
}

void mdl_tensor_list_zeros(mdl_tensor_list_t *list, void *out, int64_t n_value)
{
    append(list, out, 1, &n_value, 0);
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
                        mdl_error_t *err)
{
    int rc = MDL_OK;
    for (int64_t i = 0; rc == MDL_OK && i < list->n; i++) {
        const mdl_wanted_tensor_t *item = &list->item[i];
        if (item->name[0] != '\0')
            rc = mdl_model_files_check(files, item->name, item->n_dim, item->dims, err);
    }
    return rc;
}

/* Through stage, unless the values can be read where they belong. */
static int read_item(const mdl_wanted_tensor_t *item, const mdl_model_files_t *files,
                     const mdl_backend_t *backend, char *place, float *stage, mdl_error_t *err)
{
    float *values = stage != NULL ? stage : (float *)place;
    int64_t n = item->n_value;
    int rc = mdl_model_files_read_float(files, item->name, item->n_dim, item->dims, values, err);
    if (rc != MDL_OK || stage == NULL)
        return rc;
    for (int64_t i = 0; item->bfloat16 && i < n; i++) {
        mdl_bfloat16_t value = mdl_to_bfloat16(values[i]);
        memcpy((char *)values + i * (int64_t)sizeof value, &value, sizeof value);
    }
    return backend->upload(place, values, (size_t)n * size_of(item), err);
}

static int read_items(const mdl_tensor_list_t *list, const mdl_model_files_t *files, char *storage,
                      mdl_error_t *err)
{
    const mdl_backend_t *backend = list->backend;
    float *stage = NULL;
    int64_t n_most = 0;
    int rc = MDL_OK;
    for (int64_t i = 0; i < list->n; i++)
        n_most = list->item[i].n_value > n_most ? list->item[i].n_value : n_most;
    if (!backend->on_host || backend->bfloat16)
        MDL_TRY(mdl_alloc(&stage, (size_t)n_most, sizeof *stage, "the largest tensor", err));
    for (int64_t i = 0; i < list->n; i++) {
        const mdl_wanted_tensor_t *item = &list->item[i];
        char *place = storage + item->offset;
        if (item->out != NULL)
            memcpy(item->out, &place, sizeof place);
        if (item->name[0] != '\0')
            MDL_TRY(read_item(item, files, backend, place, stage, err));
    }
done:
    free(stage);
    return rc;
}

int mdl_tensor_list_read(const mdl_tensor_list_t *list, const mdl_model_files_t *files,
                         const char *folder, const char *prefix, const char *const *ignored,
                         int n_ignored, void **storage, mdl_error_t *err)
{
    int rc = MDL_OK;
    if (list->out_of_memory)
        return mdl_fail(err, MDL_E_MEMORY, "%s: no memory for the list of tensors", folder);
    MDL_TRY(check_unknown(list, files, folder, prefix, ignored, n_ignored, err));
    MDL_TRY(check_shapes(list, files, err));
    MDL_TRY(list->backend->alloc(storage, list->n_byte, "a vision encoder's weights", err));
    rc = read_items(list, files, *storage, err);
done:
    return rc;
}
