/* Centred Gram matrices that are kept from one comparison to the next, a file (io/gram_file.h) for
 * each model, so that a model that joins a zoo costs one pass over its own activations. */
#ifndef MDL_SIMILARITY_GRAM_CACHE_H
#define MDL_SIMILARITY_GRAM_CACHE_H

#include "similarity/archives.h"
#include "similarity/similarity.h"

/* As mdl_cka_archives_open, but where a path isn't there, the file of that name in folder (NULL:
 * none) stands in for it. Not collective. */
int mdl_gram_cache_archives(const char *folder, const char *const *paths, int n, int common,
                            mdl_cka_archives_t *archives, mdl_error_t *err);

/* 1 when there is a folder to keep matrices in, or a file that stands in. Not collective. */
int mdl_gram_cache_is_needed(const char *folder, const mdl_cka_archives_t *archives);

/* Refuses an estimator that no matrices can be kept for. Not collective. Returns MDL_E_USAGE. */
int mdl_gram_cache_check(const mdl_cka_settings_t *settings, mdl_error_t *err);

/* Which models' files serve with all batches: kept: [n_model] 1 or 0. Says why others don't. Not
 * collective. Returns as mdl_gram_cache_open. */
int mdl_gram_cache_look(const char *folder, const mdl_cka_settings_t *settings,
                        const mdl_cka_archives_t *archives, char *kept, mdl_error_t *err);

/* Takes the files of the models from folder (NULL: only those that stand in for archives), each
 * FOLDER/MODEL.h5, and begins new ones for models that have none, one with some batches alone (that
 * a comparison stopped after), or one of other rows, batches, precision or activations. archives
 * are borrowed. *cache is NULL when it fails. Collective over comm. Returns MDL_E_USAGE
 * (mdl_gram_cache_check), MDL_E_INPUT when a file that stands in for an archive doesn't fit,
 * MDL_E_IO, MDL_E_MEMORY. */
int mdl_gram_cache_open(MPI_Comm comm, const char *folder, const mdl_cka_settings_t *settings,
                        const mdl_cka_archives_t *archives, mdl_gram_cache_t **cache,
                        mdl_error_t *err);

/* Puts the new files into place when rc is MDL_OK and batches came in, which join those that a file
 * had; frees. cache may be NULL. Collective over comm. */
int mdl_gram_cache_close(mdl_gram_cache_t *cache, int rc, mdl_error_t *err);

/* 1 when a batch is there, whose rows needn't be read; or every batch. Not collective. */
int mdl_gram_cache_has(const mdl_gram_cache_t *cache, int model, int64_t number);
int mdl_gram_cache_has_all(const mdl_gram_cache_t *cache, int model);

/* 1 when no rows of the model can be read. Not collective. */
int mdl_gram_cache_is_alone(const mdl_gram_cache_t *cache, int model);

/* 1 unless all its matrices are zero. Not collective. */
int mdl_gram_cache_varies(const mdl_gram_cache_t *cache, int model);

/* The packed Gram matrix, n_value reals, power and exponent of batch number, out of the file of a
 * model that mdl_gram_cache_has, or into a new one. Not collective. */
int mdl_gram_cache_get(const mdl_gram_cache_t *cache, int model, int64_t number, int64_t n_value,
                       void *gram, double *power, double *exponent, mdl_error_t *err);
int mdl_gram_cache_put(mdl_gram_cache_t *cache, int model, int64_t number, int64_t n_value,
                       const void *gram, double power, double exponent, mdl_error_t *err);

#endif
