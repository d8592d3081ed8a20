#include "io/model_files.h"

#include "io/json_file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SHARD = 512 };
#define MAX_INDEX_BYTE ((size_t)64 * 1024 * 1024)

struct mdl_model_files {
    char *folder;
    int n_file;
    mdl_safetensors_t *file[MAX_SHARD];
};

static int join(const char *folder, const char *name, char **path, mdl_error_t *err)
{
    size_t n_folder = strlen(folder), n_name = strlen(name);
    int rc = mdl_alloc(path, n_folder + n_name + 2, 1, "a path", err);
    if (rc != MDL_OK)
        return rc;
    memcpy(*path, folder, n_folder);
    (*path)[n_folder] = '/';
    memcpy(*path + n_folder + 1, name, n_name + 1);
    return MDL_OK;
}

static int open_file(mdl_model_files_t *files, const char *path, mdl_error_t *err)
{
    if (files->n_file == MAX_SHARD)
        return mdl_fail(err, MDL_E_INPUT, "%s names more than %d shards", files->folder, MAX_SHARD);
    int rc = mdl_safetensors_open(path, &files->file[files->n_file], err);
    if (rc == MDL_OK)
        files->n_file++;
    return rc;
}

/* Opens each shard once, at its first mention in weight_map. */
static int open_shards(mdl_model_files_t *files, const char *index_path, mdl_error_t *err)
{
    json_t *index = NULL, *opened = json_object(), *value;
    char *path = NULL;
    const char *tensor;
    int rc = MDL_OK;
    MDL_TRY(mdl_json_read(index_path, MAX_INDEX_BYTE, &index, err));
    json_t *map = json_object_get(index, "weight_map");
    if (!json_is_object(map) || opened == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_INPUT, "%s has no weight_map", index_path));
    json_object_foreach(map, tensor, value)
    {
        const char *name = json_string_value(value);
        if (name == NULL || name[0] == '\0' || strchr(name, '/') != NULL)
            MDL_TRY(mdl_fail(err, MDL_E_INPUT, "%s: tensor %s names no file of its folder",
                             index_path, tensor));
        if (json_object_get(opened, name) != NULL)
            continue;
        json_object_set_new(opened, name, json_true());
        MDL_TRY(join(files->folder, name, &path, err));
        MDL_TRY(open_file(files, path, err));
        free(path);
        path = NULL;
    }
done:
    free(path);
    json_decref(opened);
    json_decref(index);
    return rc;
}

static int check_doubles(const mdl_model_files_t *files, mdl_error_t *err)
{
    for (int i = 0; i < files->n_file; i++) {
        for (int64_t t = 0; t < mdl_safetensors_count(files->file[i]); t++) {
            const char *name = mdl_safetensors_at(files->file[i], t)->name;
            for (int j = i + 1; j < files->n_file; j++)
                if (mdl_safetensors_find(files->file[j], name) != NULL)
                    return mdl_fail(err, MDL_E_INPUT, "%s: tensor %s is in two of the shards",
                                    files->folder, name);
        }
    }
    return MDL_OK;
}

int mdl_model_files_open(const char *folder, mdl_model_files_t **files, mdl_error_t *err)
{
    int rc = MDL_OK;
    mdl_model_files_t *opened = NULL;
    char *single = NULL, *index = NULL;
    *files = NULL;
    MDL_TRY(mdl_alloc(&opened, 1, sizeof *opened, "a model's files", err));
    MDL_TRY(mdl_alloc(&opened->folder, strlen(folder) + 1, 1, "a path", err));
    memcpy(opened->folder, folder, strlen(folder) + 1);
    MDL_TRY(join(folder, "model.safetensors", &single, err));
    MDL_TRY(join(folder, "model.safetensors.index.json", &index, err));
    if (access(single, F_OK) != 0 && access(index, F_OK) == 0)
        MDL_TRY(open_shards(opened, index, err));
    else
        MDL_TRY(open_file(opened, single, err));
    MDL_TRY(check_doubles(opened, err));
    *files = opened;
    opened = NULL;
done:
    mdl_model_files_close(opened);
    free(single);
    free(index);
    return rc;
}

void mdl_model_files_close(mdl_model_files_t *files)
{
    if (files == NULL)
        return;
    for (int i = 0; i < files->n_file; i++)
        mdl_safetensors_close(files->file[i]);
    free(files->folder);
    free(files);
}

int mdl_model_files_count(const mdl_model_files_t *files)
{
    return files->n_file;
}

const mdl_safetensors_t *mdl_model_files_at(const mdl_model_files_t *files, int index)
{
    return files->file[index];
}

/* The file that holds the tensor. */
static int find_holder(const mdl_model_files_t *files, const char *name,
                       const mdl_safetensors_t **holder, mdl_error_t *err)
{
    for (int i = 0; i < files->n_file; i++)
        if (mdl_safetensors_find(files->file[i], name) != NULL) {
            *holder = files->file[i];
            return MDL_OK;
        }
    return mdl_fail(err, MDL_E_INPUT,
                    "%s: the weights have no tensor %s; its config.json belongs to another model",
                    files->folder, name);
}

int mdl_model_files_check(const mdl_model_files_t *files, const char *name, int n_dim,
                          const int64_t *dims, mdl_error_t *err)
{
    const mdl_safetensors_t *holder = NULL;
    int rc = find_holder(files, name, &holder, err);
    return rc == MDL_OK ? mdl_safetensors_check(holder, name, n_dim, dims, err) : rc;
}

int mdl_model_files_read_float(const mdl_model_files_t *files, const char *name, int n_dim,
                               const int64_t *dims, float *out, mdl_error_t *err)
{
    const mdl_safetensors_t *holder = NULL;
    int rc = find_holder(files, name, &holder, err);
    return rc == MDL_OK ? mdl_safetensors_read_float(holder, name, n_dim, dims, out, err) : rc;
}

int mdl_model_files_read_part(const mdl_model_files_t *files, const char *name, int n_dim,
                              const int64_t *dims, int64_t first, int64_t n,
                              mdl_encoding_t encoding, void *out, mdl_error_t *err)
{
    const mdl_safetensors_t *holder = NULL;
    int rc = find_holder(files, name, &holder, err);
    return rc == MDL_OK
               ? mdl_safetensors_read_part(holder, name, n_dim, dims, first, n, encoding, out, err)
               : rc;
}
