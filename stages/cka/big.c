#define _DEFAULT_SOURCE /* madvise */
#include "cka/big.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LARGE_PAGE = 2 << 20, CACHE_LINE = 64 };

int mdl_big_alloc(void *pointer_to_pointer, size_t count, size_t size, const char *what,
                  mdl_error_t *err)
{
    void *memory = NULL;
    if (size > 0 && count <= (SIZE_MAX - LARGE_PAGE) / size) {
        size_t unit = count * size < LARGE_PAGE ? CACHE_LINE : LARGE_PAGE;
        size_t n_byte = (count * size / unit + 1) * unit;
        memory = aligned_alloc(unit, n_byte);
#ifdef MADV_HUGEPAGE
        if (memory != NULL && unit == LARGE_PAGE)
            (void)madvise(memory, n_byte, MADV_HUGEPAGE); /* a wish: small pages do as well */
#endif
    }
    if (memory == NULL)
        return mdl_alloc(pointer_to_pointer, count, size, what, err);
    memcpy(pointer_to_pointer, &memory, sizeof memory);
    return MDL_OK;
}
