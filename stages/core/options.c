#include "core/options.h"

#include "core/text.h"

#include <getopt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPTION = 48 };

static int is_choice(const char *choices, const char *word)
{
    size_t length = strlen(word);
    if (strchr(word, '|') != NULL)
        return 0;
    for (const char *c = choices; c != NULL; c = strchr(c, '|')) {
        c += *c == '|';
        if (length > 0 && strncmp(c, word, length) == 0 && (c[length] == '|' || c[length] == '\0'))
            return 1;
    }
    return 0;
}

static int store(const mdl_option_t *option, const char *text, void *values, mdl_error_t *err)
{
    void *field = (char *)values + option->offset;
    char name[72];
    snprintf(name, sizeof name, "--%s", option->name);
    switch (option->type) {
    case MDL_OPTION_FLAG:
        *(int *)field = 1;
        return MDL_OK;
    case MDL_OPTION_INT:
        return mdl_text_to_int(text, name, field, err);
    case MDL_OPTION_DOUBLE:
        return mdl_text_to_double(text, name, field, err);
    case MDL_OPTION_CHOICE:
        if (!is_choice(option->arg, text))
            return mdl_fail(err, MDL_E_USAGE, "%s: '%s' is none of %s", name, text, option->arg);
        break;
    case MDL_OPTION_TEXT:
        break;
    }
    *(const char **)field = text;
    return MDL_OK;
}

/* All groups in the form that getopt_long wants; entry i of longs belongs to known[i], owner[i]. */
typedef struct {
    struct option longs[MAX_OPTION + 1];
    char shorts[2 * MAX_OPTION + 2];
    const mdl_option_t *known[MAX_OPTION];
    void *owner[MAX_OPTION];
    int n;
} joined_t;

static void join(const mdl_option_group_t *groups, int n_group, joined_t *all)
{
    char *letter = all->shorts;
    *letter++ = ':';
    all->n = 0;
    for (int g = 0; g < n_group; g++) {
        for (int i = 0; i < groups[g].n_option && all->n < MAX_OPTION; i++, all->n++) {
            const mdl_option_t *option = &groups[g].table[i];
            int takes_value = option->type != MDL_OPTION_FLAG;
            all->known[all->n] = option;
            all->owner[all->n] = groups[g].values;
            all->longs[all->n] = (struct option){
                option->name, takes_value ? required_argument : no_argument, NULL, 256 + all->n};
            if (option->letter != 0)
                *letter++ = option->letter;
            if (option->letter != 0 && takes_value)
                *letter++ = ':';
        }
    }
    all->longs[all->n] = (struct option){NULL, 0, NULL, 0};
    *letter = '\0';
}

static int unknown_option(const joined_t *all, const char *word, mdl_error_t *err)
{
    const char *names[MAX_OPTION];
    for (int i = 0; i < all->n; i++)
        names[i] = all->known[i]->name;
    const char *start = word + strspn(word, "-");
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(start, "="), start);
    const char *nearest = mdl_text_nearest(name, names, all->n);
    if (nearest != NULL)
        return mdl_fail(err, MDL_E_USAGE, "unknown option '%s'; did you mean --%s?", word, nearest);
    return mdl_fail(err, MDL_E_USAGE, "unknown option '%s'; --help lists the options", word);
}

static int index_of_key(const joined_t *all, int key)
{
    if (key >= 256)
        return key - 256;
    int i = 0;
    while (all->known[i]->letter != key)
        i++;
    return i;
}

int mdl_options_parse(const mdl_option_group_t *groups, int n_group, int argc, char **argv,
                      char ***arguments, int *n_argument, mdl_error_t *err)
{
    joined_t all;
    join(groups, n_group, &all);
    opterr = 0;
    optind = 1;
    int key;
    while ((key = getopt_long(argc, argv, all.shorts, all.longs, NULL)) != -1) {
        const char *word = argv[optind - 1];
        if (key == ':')
            return mdl_fail(err, MDL_E_USAGE, "option '%s' needs a value; see --help", word);
        if (key == '?')
            return unknown_option(&all, word, err);
        int i = index_of_key(&all, key);
        int rc = store(all.known[i], optarg, all.owner[i], err);
        if (rc != MDL_OK)
            return rc;
    }
    *arguments = argv + optind;
    *n_argument = argc - optind;
    return MDL_OK;
}

void mdl_options_print(FILE *out, const mdl_option_t *table, int n_option)
{
    for (int i = 0; i < n_option; i++) {
        char left[96];
        int n;
        if (table[i].letter != 0)
            n = snprintf(left, sizeof left, "  -%c, --%s", table[i].letter, table[i].name);
        else
            n = snprintf(left, sizeof left, "      --%s", table[i].name);
        if (table[i].type != MDL_OPTION_FLAG && n < (int)sizeof left)
            snprintf(left + n, sizeof left - (size_t)n, " %s", table[i].arg);
        if (strlen(left) > 30)
            fprintf(out, "%s\n%32s%s\n", left, "", table[i].help);
        else
            fprintf(out, "%-32s%s\n", left, table[i].help);
    }
}
