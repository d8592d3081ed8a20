/* From the bytes of a study file to its struct. */
#ifndef MDL_IO_STUDY_YAML_H
#define MDL_IO_STUDY_YAML_H

#include "io/study.h"

#include <stddef.h>

/* Fills study (which holds the defaults and the folder) from the YAML in bytes; file names it in
 * messages. Returns MDL_E_INPUT with file, line, key and the nearest known key. Not collective. */
int mdl_study_parse(mdl_study_t *study, const char *file, const char *bytes, size_t n_byte,
                    mdl_error_t *err);

#endif
