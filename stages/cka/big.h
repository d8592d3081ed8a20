/* Memory for large arrays, in large pages where the system has them. */
#ifndef MDL_CKA_BIG_H
#define MDL_CKA_BIG_H

#include "core/error.h"

/* As mdl_alloc, freed by free, but what is in it is undefined, and it begins with a cache line. Not
 * collective. */
int mdl_big_alloc(void *pointer_to_pointer, size_t count, size_t size, const char *what,
                  mdl_error_t *err);

#endif
