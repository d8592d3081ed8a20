/* Content digests: XXH3-128 as 32 hexadecimal digits. */
#ifndef MDL_IO_DIGEST_H
#define MDL_IO_DIGEST_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

enum { MDL_DIGEST_SIZE = 33 }; /* 32 digits and the closing zero */

typedef struct mdl_digest mdl_digest_t;

/* A running digest; freed by mdl_digest_finish, which writes the digits. Not collective. */
int mdl_digest_start(mdl_digest_t **digest, mdl_error_t *err);
void mdl_digest_add(mdl_digest_t *digest, const void *bytes, size_t n_byte);
/* Adds the text with its length, so that ("ab","c") and ("a","bc") differ. */
void mdl_digest_add_text(mdl_digest_t *digest, const char *text);
void mdl_digest_finish(mdl_digest_t *digest, char digits[MDL_DIGEST_SIZE]);

/* Digest of a whole file's bytes. Not collective. Returns MDL_E_MISSING or MDL_E_IO. */
int mdl_digest_of_file(const char *path, char digits[MDL_DIGEST_SIZE], mdl_error_t *err);

/* XXH3-64 of one row of stored bytes. */
uint64_t mdl_digest_row(const void *bytes, size_t n_byte);

#endif
