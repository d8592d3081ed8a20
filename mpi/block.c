#include "mpi/block.h"

void mdl_block_range(int64_t n, int n_part, int part, int64_t *first, int64_t *end)
{
    int64_t base = n / n_part, extra = n % n_part;
    *first = part * base + (part < extra ? part : extra);
    *end = *first + base + (part < extra);
}
