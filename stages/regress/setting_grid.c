#include "regress/setting_grid.h"

#include "core/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VALUE = 10000, MAX_SETTING = 1000000, MAX_WORD = 80 };

/* The values of one key. */
typedef struct {
    double *values; /* [MAX_VALUE] */
    int64_t n;
} axis_t;

static int add_value(axis_t *axis, double value, mdl_key_t key, mdl_error_t *err)
{
    if (axis->n == MAX_VALUE)
        return mdl_fail(err, MDL_E_USAGE, "--sweep: more than %d values of %s", MAX_VALUE,
                        mdl_key_name(key));
    axis->values[axis->n++] = value;
    return MDL_OK;
}

/* FIRST:LAST:STEP, both ends included. */
static int add_range(axis_t *axis, mdl_key_t key, const char *word, mdl_error_t *err)
{
    char text[MAX_WORD];
    mdl_setting_t scratch;
    double first, last, step;
    int rc = MDL_OK;
    snprintf(text, sizeof text, "%s", word);
    char *second = strchr(text, ':'), *third = second != NULL ? strchr(second + 1, ':') : NULL;
    if (third == NULL || key == MDL_KEY_STRATEGY || key == MDL_KEY_METHOD)
        return mdl_fail(err, MDL_E_USAGE, "--sweep: '%s' is no FIRST:LAST:STEP of numbers", word);
    *second++ = *third++ = '\0';
    MDL_TRY(mdl_setting_parse(&scratch, key, text, err));
    first = scratch.value[key];
    MDL_TRY(mdl_setting_parse(&scratch, key, second, err));
    last = scratch.value[key];
    MDL_TRY(mdl_text_to_double(third, "--sweep: STEP", &step, err));
    if (!(step > 0) || last < first || (last - first) / step > MAX_VALUE)
        return mdl_fail(err, MDL_E_USAGE, "--sweep: '%s' has no values or too many", word);
    int64_t n = (int64_t)floor((last - first) / step + 1e-9) + 1;
    for (int64_t i = 0; i < n; i++)
        MDL_TRY(add_value(axis, first + (double)i * step, key, err));
done:
    return rc;
}

static int add_word(mdl_setting_grid_t *grid, axis_t *axes, const char *word, mdl_error_t *err)
{
    const char *value = strchr(word, '=');
    mdl_setting_t scratch;
    int rc = MDL_OK;
    if (value != NULL) {
        char name[MAX_WORD];
        mdl_key_t key;
        snprintf(name, sizeof name, "%.*s", (int)(value - word), word);
        MDL_TRY(mdl_key_parse(name, &key, err));
        for (int k = 0; k < grid->n_key; k++)
            if (grid->keys[k] == key)
                return mdl_fail(err, MDL_E_USAGE, "--sweep: %s is given twice", name);
        axis_t *axis = &axes[grid->n_key];
        grid->keys[grid->n_key++] = key;
        MDL_TRY(mdl_alloc(&axis->values, MAX_VALUE, sizeof(double), "values", err));
        value++;
    } else if (grid->n_key == 0) {
        return mdl_fail(err, MDL_E_USAGE, "--sweep: '%s' has no KEY=", word);
    } else {
        value = word;
    }
    mdl_key_t key = grid->keys[grid->n_key - 1];
    axis_t *axis = &axes[grid->n_key - 1];
    if (strchr(value, ':') != NULL)
        return add_range(axis, key, value, err);
    MDL_TRY(mdl_setting_parse(&scratch, key, value, err));
    rc = add_value(axis, scratch.value[key], key, err);
done:
    return rc;
}

static int add_words(mdl_setting_grid_t *grid, axis_t *axes, const char *text, mdl_error_t *err)
{
    for (const char *at = text; at != NULL;) {
        char word[MAX_WORD];
        size_t length = strcspn(at, ",");
        if (length == 0 || length >= sizeof word)
            return mdl_fail(err, MDL_E_USAGE, "--sweep: a word of %zu letters in '%.60s'", length,
                            text);
        memcpy(word, at, length);
        word[length] = '\0';
        int rc = add_word(grid, axes, word, err);
        if (rc != MDL_OK)
            return rc;
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    return MDL_OK;
}

static int combine(mdl_setting_grid_t *grid, const axis_t *axes, const mdl_setting_t *base,
                   mdl_error_t *err)
{
    int64_t n = 1;
    for (int k = 0; k < grid->n_key; k++) {
        n *= axes[k].n;
        if (n > MAX_SETTING)
            return mdl_fail(err, MDL_E_USAGE, "--sweep: more than %d settings", MAX_SETTING);
    }
    int rc = mdl_alloc(&grid->settings, (size_t)n, sizeof *grid->settings, "settings", err);
    if (rc != MDL_OK)
        return rc;
    grid->n_setting = n;
    for (int64_t s = 0; s < n; s++) {
        mdl_setting_t setting = *base;
        int64_t rest = s;
        for (int k = grid->n_key - 1; k >= 0; k--) {
            setting.value[grid->keys[k]] = axes[k].values[rest % axes[k].n];
            rest /= axes[k].n;
        }
        grid->settings[s] = mdl_setting_resolve(&setting);
    }
    return MDL_OK;
}

int mdl_setting_grid_parse(const char *text, const mdl_setting_t *base, mdl_setting_grid_t *grid,
                           mdl_error_t *err)
{
    axis_t axes[MDL_N_KEY] = {{0}};
    int rc;
    *grid = (mdl_setting_grid_t){0};
    if (text != NULL && *text != '\0')
        MDL_TRY(add_words(grid, axes, text, err));
    rc = combine(grid, axes, base, err);
done:
    for (int k = 0; k < MDL_N_KEY; k++)
        free(axes[k].values);
    if (rc != MDL_OK)
        mdl_setting_grid_free(grid);
    return rc;
}

void mdl_setting_grid_free(mdl_setting_grid_t *grid)
{
    free(grid->settings);
    *grid = (mdl_setting_grid_t){0};
}
