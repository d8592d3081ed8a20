#define _GNU_SOURCE /* memfd_create */
#include "fuzz_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

const char *mdl_fuzz_file(const uint8_t *bytes, size_t n_byte)
{
    static char path[64];
    static int file = -1;
    if (file < 0)
        file = memfd_create("input", 0);
    if (file < 0 || ftruncate(file, 0) != 0 || pwrite(file, bytes, n_byte, 0) != (ssize_t)n_byte)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return path;
}
