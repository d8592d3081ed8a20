/* A key's value: from the text of a YAML scalar into the field of its struct, and freed again. */
#include "core/text.h"
#include "io/study_keys.h"

#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 4096, MAX_TEXTS = 100 };

const mdl_study_key_t *mdl_study_key_find(const char *path)
{
    for (int i = 0; i < mdl_n_study_key; i++)
        if (strcmp(mdl_study_keys[i].path, path) == 0)
            return &mdl_study_keys[i];
    return NULL;
}

static void *field(const mdl_study_key_t *key, void *base)
{
    return (char *)base + key->offset;
}

static int matches(const char *text, const char *pattern)
{
    regex_t regex;
    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return 0;
    int found = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

static int set_text(char **target, char *text, mdl_error_t *err)
{
    if (text == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a setting");
    free(*target);
    *target = text;
    return MDL_OK;
}

/* values: "[1,)" and the like; an empty end is infinite. */
static int check_interval(double value, const char *values, mdl_error_t *err)
{
    char *end;
    double low = strtod(values + 1, &end);
    int has_low = end != values + 1;
    const char *comma = strchr(values, ',');
    double high = strtod(comma + 1, &end);
    int has_high = end != comma + 1;
    int open_low = values[0] == '(', open_high = *end == ')';
    if ((has_low && (open_low ? value <= low : value < low)) ||
        (has_high && (open_high ? value >= high : value > high)))
        return mdl_fail(err, MDL_E_INPUT, "%g is out of range; it must lie in %s", value, values);
    return MDL_OK;
}

static int set_number(const mdl_study_key_t *key, void *base, const char *text, mdl_error_t *err)
{
    double *number = field(key, base);
    int rc = mdl_text_to_double(text, "value", number, NULL);
    if (rc != MDL_OK)
        return mdl_fail(err, MDL_E_INPUT, "'%s' is not a finite number", text);
    return check_interval(*number, key->values, err);
}

static int set_int(const mdl_study_key_t *key, void *base, const char *text, mdl_error_t *err)
{
    int64_t *number = field(key, base);
    int rc = mdl_text_to_int(text, "value", number, NULL);
    if (rc != MDL_OK)
        return mdl_fail(err, MDL_E_INPUT, "'%s' is not a whole number", text);
    return check_interval((double)*number, key->values, err);
}

static int set_seed(const mdl_study_key_t *key, void *base, const char *text, mdl_error_t *err)
{
    char *end;
    errno = 0;
    uint64_t *seed = field(key, base);
    *seed = strtoull(text, &end, 10);
    if (!matches(text, "^[0-9]+$") || *end != '\0' || errno == ERANGE)
        return mdl_fail(err, MDL_E_INPUT, "'%s' is not a whole number from 0 to %" PRIu64, text,
                        UINT64_MAX);
    return MDL_OK;
}

static int set_bool(const mdl_study_key_t *key, void *base, const char *text, mdl_error_t *err)
{
    int *flag = field(key, base);
    *flag = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
    if (!*flag && strcmp(text, "false") != 0 && strcmp(text, "no") != 0)
        return mdl_fail(err, MDL_E_INPUT, "'%s' is neither true nor false", text);
    return MDL_OK;
}

/* The position of text in "a|b|c", or an error that lists them and names the nearest. */
static int choose(const char *values, const char *text, int *position, mdl_error_t *err)
{
    char words[8][32];
    const char *names[8];
    int n = 0;
    for (const char *word = values; word != NULL && n < 8; n++) {
        snprintf(words[n], sizeof words[n], "%.*s", (int)strcspn(word, "|"), word);
        names[n] = words[n];
        word = strchr(word, '|');
        word = word != NULL ? word + 1 : NULL;
    }
    for (*position = 0; *position < n; (*position)++)
        if (strcmp(words[*position], text) == 0)
            return MDL_OK;
    const char *nearest = mdl_text_nearest(text, names, n);
    return mdl_fail(err, MDL_E_INPUT, "'%s' is none of %s%s%s%s", text, values,
                    nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "",
                    nearest != NULL ? "?" : "");
}

static int set_path(const mdl_study_key_t *key, void *base, const char *text, const char *folder,
                    mdl_error_t *err)
{
    char *path = text[0] == '/' ? mdl_text("%s", text) : mdl_text("%s/%s", folder, text);
    return set_text(field(key, base), path, err);
}

static int set_matching(const mdl_study_key_t *key, void *base, const char *text,
                        const char *pattern, const char *rule, mdl_error_t *err)
{
    if (!matches(text, pattern))
        return mdl_fail(err, MDL_E_INPUT, "'%s' is not allowed; %s", text, rule);
    return set_text(field(key, base), mdl_text("%s", text), err);
}

/* The default of a list: [a, b]. */
static int set_texts(const mdl_study_key_t *key, void *base, const char *text, mdl_error_t *err)
{
    if (text[0] != '[')
        return mdl_fail(err, MDL_E_INPUT, "'%s' is not a list; write [a, b]", text);
    for (const char *word = text + strspn(text, "[, "); *word != ']' && *word != '\0';) {
        int length = (int)strcspn(word, ",] ");
        char *copy = mdl_text("%.*s", length, word);
        int rc = copy != NULL ? mdl_study_key_add(key, base, copy, err)
                              : mdl_fail(err, MDL_E_MEMORY, "out of memory for a setting");
        free(copy);
        if (rc != MDL_OK)
            return rc;
        word += length;
        word += strspn(word, ", ");
    }
    return MDL_OK;
}

int mdl_study_key_add(const mdl_study_key_t *key, void *base, const char *text, mdl_error_t *err)
{
    char ***texts = field(key, base);
    unsigned *n = (unsigned *)(void *)((char *)base + key->count_offset);
    if (*n >= MAX_TEXTS)
        return mdl_fail(err, MDL_E_INPUT, "has more than %d entries", MAX_TEXTS);
    if (!matches(text, "^[A-Za-z0-9._-]{1,64}$"))
        return mdl_fail(err, MDL_E_INPUT, "'%.64s' is not allowed; use letters, digits, . _ -",
                        text);
    for (unsigned i = 0; i < *n; i++)
        if (strcmp((*texts)[i], text) == 0)
            return mdl_fail(err, MDL_E_INPUT, "'%s' is there twice", text);
    char **longer = realloc(*texts, (*n + 1) * sizeof **texts);
    if (longer == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a setting");
    *texts = longer;
    longer[*n] = NULL;
    int rc = set_text(&longer[*n], mdl_text("%s", text), err);
    if (rc == MDL_OK)
        (*n)++;
    return rc;
}

int mdl_study_key_set(const mdl_study_key_t *key, void *base, const char *text, const char *folder,
                      mdl_error_t *err)
{
    int position;
    if (strlen(text) > MAX_TEXT)
        return mdl_fail(err, MDL_E_INPUT, "is longer than %d letters", MAX_TEXT);
    if (text[0] == '\0')
        return mdl_fail(err, MDL_E_INPUT, "has no value; write one or take the key out");
    switch (key->type) {
    case MDL_KEY_TEXT:
        return set_text(field(key, base), mdl_text("%s", text), err);
    case MDL_KEY_NAME:
        return set_matching(key, base, text, "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$",
                            "a name is up to 100 letters, digits, . _ - and starts with no dot",
                            err);
    case MDL_KEY_WORD:
        return set_matching(key, base, text, "^[A-Za-z0-9._,@:/+=%~-]+$",
                            "use letters, digits and . _ , @ : / + = % ~ -", err);
    case MDL_KEY_TIME:
        return set_matching(key, base, text, "^([0-9]{1,4}-)?[0-9]{1,6}(:[0-9]{1,2}){0,2}$",
                            "write [D-]HH:MM:SS", err);
    case MDL_KEY_PATH:
        return set_path(key, base, text, folder, err);
    case MDL_KEY_CHOICE:
        if (choose(key->values, text, &position, err) != MDL_OK)
            return MDL_E_INPUT;
        return set_text(field(key, base), mdl_text("%s", text), err);
    case MDL_KEY_TRAINER:
        if (choose(key->values, text, &position, err) != MDL_OK)
            return MDL_E_INPUT;
        *(mdl_trainer_kind_t *)field(key, base) = (mdl_trainer_kind_t)position;
        return MDL_OK;
    case MDL_KEY_INT:
        return set_int(key, base, text, err);
    case MDL_KEY_SEED:
        return set_seed(key, base, text, err);
    case MDL_KEY_NUMBER:
        return set_number(key, base, text, err);
    case MDL_KEY_BOOL:
        return set_bool(key, base, text, err);
    case MDL_KEY_TEXTS:
        return set_texts(key, base, text, err);
    case MDL_KEY_MODELS:
        break;
    }
    return mdl_fail(err, MDL_E_INPUT, "'%s' is not a list of models", text);
}

static void clear_models(const mdl_study_key_t *key, char *items, unsigned n)
{
    size_t length = strlen(key->path);
    for (int i = 0; i < mdl_n_study_key; i++) {
        const mdl_study_key_t *part = &mdl_study_keys[i];
        if (strncmp(part->path, key->path, length) == 0 && part->path[length] == '[')
            for (unsigned j = 0; j < n; j++)
                mdl_study_key_clear(part, items + j * key->item_size);
    }
}

void mdl_study_key_clear(const mdl_study_key_t *key, void *base)
{
    unsigned *n = (unsigned *)(void *)((char *)base + key->count_offset);
    switch (key->type) {
    case MDL_KEY_TEXTS: {
        char ***texts = field(key, base);
        for (unsigned i = 0; i < *n; i++)
            free((*texts)[i]);
        free(*texts);
        *texts = NULL;
        *n = 0;
        break;
    }
    case MDL_KEY_MODELS: {
        char *items;
        memcpy(&items, field(key, base), sizeof items);
        clear_models(key, items, *n);
        free(items);
        memset(field(key, base), 0, sizeof items);
        *n = 0;
        break;
    }
    case MDL_KEY_TEXT:
    case MDL_KEY_NAME:
    case MDL_KEY_WORD:
    case MDL_KEY_TIME:
    case MDL_KEY_PATH:
    case MDL_KEY_CHOICE: {
        char **text = field(key, base);
        free(*text);
        *text = NULL;
        break;
    }
    default:
        break;
    }
}
