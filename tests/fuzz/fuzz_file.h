/* Bytes as a file that readers open by name. */
#ifndef MDL_FUZZ_FILE_H
#define MDL_FUZZ_FILE_H

#include <stddef.h>
#include <stdint.h>

/* The path of a file in memory with these bytes, valid until the next call. */
const char *mdl_fuzz_file(const uint8_t *bytes, size_t n_byte);

/* What libFuzzer calls with each input. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_byte);

#endif
