/* The tensors that a model takes from its checkpoint: first listed, then checked and read into one
 * allocation of a backend. */
#ifndef MDL_MODELS_TENSOR_LIST_H
#define MDL_MODELS_TENSOR_LIST_H

#include "io/model_files.h"
#include "kernels/backend.h"

enum { MDL_TENSOR_NAME = 160 };

typedef struct {
    char name[MDL_TENSOR_NAME]; /* empty: zeros that no tensor stands for */
    int n_dim;
    int64_t dims[4];
    int64_t n_value;
    int bfloat16;  /* kept as such, else as float32 */
    size_t offset; /* of the first value in the storage, in bytes */
    void *out;     /* a pointer that is set to the place of the values; may be NULL */
} mdl_wanted_tensor_t;

/* Zeroed before first use but for the backend; item is freed by the caller with free. */
typedef struct {
    const mdl_backend_t *backend;
    int64_t n, n_room;
    size_t n_byte;
    mdl_wanted_tensor_t *item;
    int out_of_memory;
} mdl_tensor_list_t;

/* Asks for the tensor called by format, of shape dims [n_dim]; *out, a pointer, is set to its place
 * unless out is NULL. Values of tensors that are asked for one after the other lie so in memory. */
void mdl_tensor_list_want(mdl_tensor_list_t *list, void *out, int n_dim, const int64_t *dims,
                          const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The same of a frozen matrix, which is kept as the backend keeps them. */
void mdl_tensor_list_want_matrix(mdl_tensor_list_t *list, void *out, int n_dim, const int64_t *dims,
                                 const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Asks for n_value zeros of float32. */
void mdl_tensor_list_zeros(mdl_tensor_list_t *list, void *out, int64_t n_value);

/* Checks the names and shapes of all tensors, then reads them into new *storage (released by the
 * caller by the backend). A tensor of folder whose name begins with prefix must be on the list or,
 * less the prefix, in ignored [n_ignored]. Not collective. Returns MDL_E_INPUT (naming the tensor)
 * or MDL_E_MEMORY. */
int mdl_tensor_list_read(const mdl_tensor_list_t *list, const mdl_model_files_t *files,
                         const char *folder, const char *prefix, const char *const *ignored,
                         int n_ignored, void **storage, mdl_error_t *err);

/* The tensor called name, or NULL. */
const mdl_tensor_t *mdl_tensor_find(const mdl_model_files_t *files, const char *name);

/* Writes what stands before name in the one tensor whose name ends with it to prefix, such as
 * "vision_model."; returns how many tensors end so. */
int mdl_tensor_prefix(const mdl_model_files_t *files, const char *name,
                      char prefix[MDL_TENSOR_NAME]);

#endif
