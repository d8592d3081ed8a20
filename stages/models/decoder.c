#include "models/decoder.h"

#include "io/model_files.h"
#include "kernels/bfloat16.h"
#include "models/decoder_tensors.h"
#include "models/rope_frequency.h"
#include "mpi/agree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A load at work. */
typedef struct {
    const char *folder;
    MPI_Comm comm; /* of the ranks that shard the decoder; MPI_COMM_NULL: it is loaded whole */
    mdl_model_files_t *files;
    mdl_wanted_list_t list;
} load_t;

static int is_wanted(const mdl_wanted_list_t *list, const char *name)
{
    for (int64_t i = 0; i < list->n; i++)
        if (strcmp(list->item[i].name, name) == 0)
            return 1;
    return 0;
}

/* Derived values that some published files carry: the positions' frequencies, a tied head. */
static int is_redundant(const mdl_model_config_t *config, const char *name)
{
    static const char end[] = "rotary_emb.inv_freq";
    size_t n_name = strlen(name);
    if (n_name >= sizeof end - 1 && strcmp(name + n_name - (sizeof end - 1), end) == 0)
        return 1;
    return config->tied_head && strcmp(name, "lm_head.weight") == 0;
}

/* Before memory is asked for, so that a config.json that promises too much costs none. A tensor
 * that the engine would leave out changes the model: it is refused as well. */
static int check_tensors(const mdl_model_files_t *files, const mdl_decoder_t *decoder,
                         const mdl_wanted_list_t *list, const char *folder, mdl_error_t *err)
{
    for (int i = 0; i < mdl_model_files_count(files); i++) {
        const mdl_safetensors_t *file = mdl_model_files_at(files, i);
        for (int64_t t = 0; t < mdl_safetensors_count(file); t++) {
            const char *name = mdl_safetensors_at(file, t)->name;
            if (!is_wanted(list, name) && !is_redundant(&decoder->config, name))
                return mdl_fail(err, MDL_E_INPUT,
                                "%s: tensor %s has no place in the model that config.json "
                                "describes; they belong to different models",
                                folder, name);
        }
    }
    int rc = MDL_OK;
    for (int64_t i = 0; rc == MDL_OK && i < list->n; i++) {
        const mdl_wanted_t *item = &list->item[i];
        rc = mdl_model_files_check(files, item->name, item->n_dim, item->dims, err);
    }
    return rc;
}

/* The values that this rank keeps, into values, which is memory of the host. */
static int read_wanted(const mdl_model_files_t *files, const mdl_wanted_t *item, void *values,
                       mdl_error_t *err)
{
    mdl_encoding_t encoding = item->bfloat16 ? MDL_BFLOAT16 : MDL_FLOAT32;
    int rc = mdl_model_files_read_part(files, item->name, item->n_dim, item->dims, item->first,
                                       item->n, encoding, values, err);
    for (int64_t i = 0; rc == MDL_OK && item->offset != 0 && i < item->n; i++)
        ((float *)values)[i] += item->offset; /* a norm, which is of float32 */
    return rc;
}

/* 1 where the values can be read to where they stay. */
static int is_straight(const mdl_wanted_t *item, const mdl_backend_t *backend)
{
    return item->on_host || backend->on_host;
}

static int read_all(const mdl_model_files_t *files, const mdl_wanted_list_t *list,
                    const mdl_backend_t *backend, mdl_error_t *err)
{
    void *stage = NULL;
    size_t n_room = 0;
    int rc;
    for (int64_t i = 0; i < list->n; i++) {
        size_t n_byte = (size_t)list->item[i].n * mdl_wanted_size(&list->item[i]);
        if (!is_straight(&list->item[i], backend) && n_byte > n_room)
            n_room = n_byte;
    }
    MDL_TRY(mdl_alloc(&stage, n_room, 1, "the largest tensor", err));
    for (int64_t i = 0; i < list->n; i++) {
        const mdl_wanted_t *item = &list->item[i];
        int straight = is_straight(item, backend);
        MDL_TRY(read_wanted(files, item, straight ? item->out : stage, err));
        if (!straight)
            MDL_TRY(
                backend->upload(item->out, stage, (size_t)item->n * mdl_wanted_size(item), err));
    }
done:
    free(stage);
    return rc;
}

/* What config.json asks for, and room for what this rank keeps beside parts of blocks. */
static int prepare(load_t *load, mdl_decoder_t *decoder, mdl_error_t *err)
{
    int rc = MDL_OK;
    mdl_model_config_t *config = &decoder->config;
    mdl_wanted_list_t *list = &load->list;
    size_t n_path = strlen(load->folder) + sizeof "/config.json";
    char *path = NULL;
    MDL_TRY(mdl_alloc(&path, n_path, 1, "a path", err));
    snprintf(path, n_path, "%s/config.json", load->folder);
    MDL_TRY(mdl_model_config_read(path, config, err));
    MDL_TRY(mdl_model_files_open(load->folder, &load->files, err));
    MDL_TRY(mdl_alloc(&list->item, mdl_wanted_most(config), sizeof *list->item, "a list of tensors",
                      err));
    MDL_TRY(mdl_alloc(&decoder->block, (size_t)config->n_layer, sizeof *decoder->block,
                      "a decoder's blocks", err));
    MDL_TRY(mdl_alloc(&decoder->frequency, (size_t)config->n_head_feat, sizeof(float),
                      "a decoder's frequencies", err));
    decoder->frequency_local = decoder->frequency + config->n_head_feat / 2;
    list->bfloat16 = decoder->backend->bfloat16;
    list->sharded = load->comm != MPI_COMM_NULL;
    mdl_wanted_list(list, decoder);
    MDL_TRY(check_tensors(load->files, decoder, list, load->folder, err));
    rc = decoder->backend->alloc(&decoder->storage, list->n_taken, "a decoder's weights", err);
done:
    free(path);
    return rc;
}

static int fill(load_t *load, mdl_decoder_t *decoder, mdl_error_t *err)
{
    int rc;
    const mdl_model_config_t *config = &decoder->config;
    load->list.base = decoder->storage;
    mdl_wanted_list(&load->list, decoder);
    MDL_TRY(read_all(load->files, &load->list, decoder->backend, err));
    mdl_rope_frequency(&config->rope, config->n_head_feat, decoder->frequency);
    mdl_rope_frequency(&config->rope_local, config->n_head_feat, decoder->frequency_local);
done:
    return rc;
}

/* What one rank came to is what all ranks of a sharded load come to. */
static int agree(const load_t *load, int rc, mdl_error_t *err)
{
    return load->comm == MPI_COMM_NULL ? rc : mdl_agree(load->comm, rc, err);
}

static int load_decoder(const mdl_backend_t *backend, load_t *load, mdl_decoder_t **decoder,
                        mdl_error_t *err)
{
    int rc = MDL_OK;
    mdl_decoder_t *loaded = NULL;
    *decoder = NULL;
    MDL_TRY(agree(load, mdl_alloc(&loaded, 1, sizeof *loaded, "a decoder", err), err));
    loaded->backend = backend;
    MDL_TRY(agree(load, prepare(load, loaded, err), err));
    if (load->comm != MPI_COMM_NULL)
        MDL_TRY(mdl_shards_open(backend, load->comm, loaded->config.n_layer, load->list.n_block,
                                &loaded->shards, err));
    MDL_TRY(agree(load, fill(load, loaded, err), err));
    if (load->comm != MPI_COMM_NULL)
        mdl_shards_share(loaded->shards, load->comm);
    *decoder = loaded;
    loaded = NULL;
done:
    mdl_model_files_close(load->files);
    free(load->list.item);
    mdl_decoder_free(loaded);
    return rc;
}

int mdl_decoder_load(const mdl_backend_t *backend, const char *folder, mdl_decoder_t **decoder,
                     mdl_error_t *err)
{
    load_t load = {.folder = folder, .comm = MPI_COMM_NULL};
    return load_decoder(backend, &load, decoder, err);
}

int mdl_decoder_load_sharded(const mdl_backend_t *backend, MPI_Comm comm, const char *folder,
                             mdl_decoder_t **decoder, mdl_error_t *err)
{
    load_t load = {.folder = folder, .comm = comm};
    return load_decoder(backend, &load, decoder, err);
}

void mdl_decoder_use(const mdl_decoder_t *decoder, int64_t layer, int64_t next)
{
    if (decoder->shards != NULL)
        mdl_shards_use(decoder->shards, layer, next);
}

mdl_decoder_memory_t mdl_decoder_memory(const mdl_model_config_t *config, int bfloat16, int on_host,
                                        int n_rank)
{
    size_t size = bfloat16 ? sizeof(mdl_bfloat16_t) : sizeof(float), n_block = 0;
    size_t n_layer = (size_t)config->n_layer;
    for (int i = 0; i < MDL_N_GROUP; i++) {
        mdl_linear_group_t group = (mdl_linear_group_t)i;
        n_block += (size_t)mdl_group_n_out(config, group) *
                   (size_t)mdl_linear_n_in(config, mdl_group_first(config, group));
    }
    size_t n_table = (size_t)config->n_vocab * (size_t)config->n_feat;
    size_t n_matrix = n_layer * n_block + (config->tied_head ? 1 : 2) * n_table;
    size_t n_vector = (size_t)mdl_model_config_n_weight(config) - n_matrix;
    mdl_decoder_memory_t memory = {(n_matrix - n_layer * n_block) * size + n_vector * sizeof(float),
                                   0};
    size_t n_backend = n_layer * n_block * size;
    if (n_rank > 0)
        mdl_shards_memory(on_host, n_rank, config->n_layer, n_block * size, &n_backend,
                          &memory.n_host);
    memory.n_backend += n_backend;
    return memory;
}

const mdl_backend_t *mdl_decoder_backend(const mdl_decoder_t *decoder)
{
    return decoder->backend;
}

const mdl_model_config_t *mdl_decoder_config(const mdl_decoder_t *decoder)
{
    return &decoder->config;
}

void mdl_decoder_free(mdl_decoder_t *decoder)
{
    if (decoder == NULL)
        return;
    mdl_shards_close(decoder->shards);
    decoder->backend->release(decoder->storage);
    free(decoder->frequency);
    free(decoder->block);
    free(decoder);
}
