/* The weight files of one model folder, whether one file or shards. */
#ifndef MDL_IO_MODEL_FILES_H
#define MDL_IO_MODEL_FILES_H

#include "io/safetensors.h"

typedef struct mdl_model_files mdl_model_files_t;

/* Opens folder/model.safetensors or, where that is absent, every shard that
 * folder/model.safetensors.index.json names. A tensor that two shards hold is refused.
 * Closed by mdl_model_files_close. Not collective.
 * Returns MDL_E_MISSING, MDL_E_IO, MDL_E_INPUT or MDL_E_MEMORY. */
int mdl_model_files_open(const char *folder, mdl_model_files_t **files, mdl_error_t *err);

/* NULL is allowed. */
void mdl_model_files_close(mdl_model_files_t *files);

/* The files, 0 <= index < count; borrowed. */
int mdl_model_files_count(const mdl_model_files_t *files);
const mdl_safetensors_t *mdl_model_files_at(const mdl_model_files_t *files, int index);

/* As mdl_safetensors_check. */
int mdl_model_files_check(const mdl_model_files_t *files, const char *name, int n_dim,
                          const int64_t *dims, mdl_error_t *err);

/* As mdl_safetensors_read_float, from whichever file holds the tensor. */
int mdl_model_files_read_float(const mdl_model_files_t *files, const char *name, int n_dim,
                               const int64_t *dims, float *out, mdl_error_t *err);

/* As mdl_safetensors_read_part. */
int mdl_model_files_read_part(const mdl_model_files_t *files, const char *name, int n_dim,
                              const int64_t *dims, int64_t first, int64_t n,
                              mdl_encoding_t encoding, void *out, mdl_error_t *err);

#endif
