/* JSON files from outside, of bounded size. */
#ifndef MDL_IO_JSON_FILE_H
#define MDL_IO_JSON_FILE_H

#include "core/error.h"

#include <jansson.h>

/* Reads the file at path, at most max_byte long, as one JSON object without doubled keys.
 * *json is released by the caller with json_decref. Not collective.
 * Returns MDL_E_MISSING, MDL_E_IO, MDL_E_INPUT (with line and column) or MDL_E_MEMORY. */
int mdl_json_read(const char *path, size_t max_byte, json_t **json, mdl_error_t *err);

#endif
