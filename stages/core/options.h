/* One table of options a command: it gives the parsing, the help text and the man page check. */
#ifndef MDL_CORE_OPTIONS_H
#define MDL_CORE_OPTIONS_H

#include "core/error.h"

#include <stdio.h>

typedef enum {
    MDL_OPTION_FLAG,   /* int, set to 1 */
    MDL_OPTION_INT,    /* int64_t */
    MDL_OPTION_DOUBLE, /* double, finite */
    MDL_OPTION_TEXT,   /* const char *, borrowed from argv */
    MDL_OPTION_CHOICE  /* const char *, one of the words in arg, which are separated by | */
} mdl_option_type_t;

typedef struct {
    const char *name; /* long name without the dashes */
    char letter;      /* short name, 0 if none */
    mdl_option_type_t type;
    const char *arg;  /* what stands for the value in the help: N, FILE, biased|unbiased */
    const char *help; /* one sentence with unit and default */
    size_t offset;    /* where the value goes: offsetof(options struct, field) */
} mdl_option_t;

typedef struct {
    const mdl_option_t *table;
    int n_option;
    void *values; /* the struct that the offsets point into; holds the defaults already */
} mdl_option_group_t;

/* Parses argv[1..] by all groups together. *arguments gets the words that are no options
 * (borrowed from argv, which is reordered). Returns MDL_E_USAGE naming the option, and the nearest
 * known name for an unknown one. Not collective. */
int mdl_options_parse(const mdl_option_group_t *groups, int n_group, int argc, char **argv,
                      char ***arguments, int *n_argument, mdl_error_t *err);

/* Prints the table as help lines. */
void mdl_options_print(FILE *out, const mdl_option_t *table, int n_option);

#endif
