/* The tensors that a model takes from its checkpoint: first listed, then checked and read into one
 * allocation. */
#ifndef MDL_MODELS_TENSOR_LIST_H
#define MDL_MODELS_TENSOR_LIST_H

#include "io/model_files.h"

enum { MDL_TENSOR_NAME = 160 };

typedef struct {
    char name[MDL_TENSOR_NAME]; /* empty: zeros that no tensor stands for */
    int n_dim;
    int64_t dims[4];
    int64_t offset; /* of the first value in the storage */
    float **out;    /* set to the place of the values; may be NULL */
} mdl_wanted_tensor_t;

/* Zeroed before first use; item is freed by the caller with free. */
typedef struct {
    int64_t n, n_room, n_value;
    mdl_wanted_tensor_t *item;
    int out_of_memory;
} mdl_tensor_list_t;

/* Asks for the tensor called by format, of shape dims [n_dim]. Values of tensors that are asked for
 * one after the other lie so in memory. */
void mdl_tensor_list_want(mdl_tensor_list_t *list, float **out, int n_dim, const int64_t *dims,
                          const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Asks for n_value zeros. */
void mdl_tensor_list_zeros(mdl_tensor_list_t *list, float **out, int64_t n_value);

/* Checks the names and shapes of all tensors, then reads them into new *storage (freed by the
 * caller with free). A tensor of folder whose name begins with prefix must be on the list or, less
 * the prefix, in ignored [n_ignored]. Not collective.
 * Returns MDL_E_INPUT (naming the tensor) or MDL_E_MEMORY. */
int mdl_tensor_list_read(const mdl_tensor_list_t *list, const mdl_model_files_t *files,
                         const char *folder, const char *prefix, const char *const *ignored,
                         int n_ignored, float **storage, mdl_error_t *err);

/* The tensor called name, or NULL. */
const mdl_tensor_t *mdl_tensor_find(const mdl_model_files_t *files, const char *name);

/* Writes what stands before name in the one tensor whose name ends with it to prefix, such as
 * "vision_model."; returns how many tensors end so. */
int mdl_tensor_prefix(const mdl_model_files_t *files, const char *name,
                      char prefix[MDL_TENSOR_NAME]);

#endif
