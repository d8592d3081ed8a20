#include "regress/strategy.h"

#include "core/text.h"
#include "io/study.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const char *name;
    double low, high, value; /* range, and the default of most strategies */
    int is_integer;
} spec_t;

static const spec_t keys[MDL_N_KEY] = {
    [MDL_KEY_STRATEGY] = {"strategy", 0, MDL_N_STRATEGY - 1, MDL_STRATEGY_PAPER, 1},
    [MDL_KEY_METHOD] = {"method", 0, 0, NAN, 1},
    [MDL_KEY_T_VE] = {"t_ve", -1, 1, 0.7, 0},
    [MDL_KEY_T_LLM] = {"t_llm", -1, 1, 0.8, 0},
    [MDL_KEY_START_RATIO] = {"start_ratio", 1e-6, 1, 0.03, 0},
    [MDL_KEY_ETA] = {"eta", 1.05, 1000, 2, 0},
    [MDL_KEY_MAX_RATIO] = {"max_ratio", 1e-6, 1, 0.125, 0},
    [MDL_KEY_KEEP] = {"keep", 1, 1e6, 3, 1},
    [MDL_KEY_DIVISOR] = {"divisor", 1.05, 1000, 2, 0},
    [MDL_KEY_POINTS] = {"points", 1, 60, 3, 1},
    [MDL_KEY_TOLERANCE] = {"tolerance", 0, 1e6, 5e-5, 0},
    [MDL_KEY_MAX_POINTS] = {"max_points", 1, 60, 5, 1},
    [MDL_KEY_CONFIDENCE] = {"confidence", 0.001, 0.999999, 0.9, 0},
    [MDL_KEY_FLOOR] = {"floor", 0, 1, 0.125, 0},
    [MDL_KEY_SHARE] = {"share", 0, 1, 0.1, 0},
    [MDL_KEY_CLUSTERS] = {"clusters", 0, 1, 1, 1},
    [MDL_KEY_HALVING] = {"halving", 0, 1, 1, 1},
    [MDL_KEY_PREDICTION] = {"prediction", 0, 1, 1, 1},
};

static const char *const strategies[MDL_N_STRATEGY] = {"paper",    "interval", "cross",  "halving",
                                                       "additive", "score",    "random", "grid"};

mdl_setting_t mdl_setting_defaults(void)
{
    mdl_setting_t setting;
    for (int k = 0; k < MDL_N_KEY; k++)
        setting.value[k] = NAN;
    return setting;
}

const char *mdl_key_name(mdl_key_t key)
{
    return keys[key].name;
}

int mdl_key_parse(const char *name, mdl_key_t *key, mdl_error_t *err)
{
    const char *names[MDL_N_KEY];
    for (int k = 0; k < MDL_N_KEY; k++) {
        names[k] = keys[k].name;
        *key = (mdl_key_t)k;
        if (strcmp(name, keys[k].name) == 0)
            return MDL_OK;
    }
    const char *nearest = mdl_text_nearest(name, names, MDL_N_KEY);
    return mdl_fail(err, MDL_E_USAGE, "--sweep: unknown key '%.40s'%s%s", name,
                    nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "");
}

static int parse_strategy(const char *text, double *value, mdl_error_t *err)
{
    for (int s = 0; s < MDL_N_STRATEGY; s++)
        if (strcmp(text, strategies[s]) == 0) {
            *value = s;
            return MDL_OK;
        }
    return mdl_fail(
        err, MDL_E_USAGE,
        "strategy '%.40s' is none of paper, interval, cross, halving, additive, score, random, "
        "grid",
        text);
}

int mdl_setting_parse(mdl_setting_t *setting, mdl_key_t key, const char *text, mdl_error_t *err)
{
    const spec_t *spec = &keys[key];
    double *value = &setting->value[key];
    if (key == MDL_KEY_STRATEGY)
        return parse_strategy(text, value, err);
    if (key == MDL_KEY_METHOD) {
        mdl_method_t method;
        int rc = mdl_method_parse(text, &method, err);
        *value = method;
        if (rc != MDL_OK)
            err->code = MDL_E_USAGE;
        return rc != MDL_OK ? MDL_E_USAGE : MDL_OK;
    }
    int rc = mdl_text_to_double(text, spec->name, value, err);
    if (rc != MDL_OK)
        return rc;
    if (*value < spec->low || *value > spec->high || (spec->is_integer && *value != floor(*value)))
        return mdl_fail(err, MDL_E_USAGE, "%s: %s is not %s between %g and %g", spec->name, text,
                        spec->is_integer ? "a whole number" : "a number", spec->low, spec->high);
    return MDL_OK;
}

const char *mdl_setting_print(const mdl_setting_t *setting, mdl_key_t key, char buffer[32])
{
    double value = setting->value[key];
    if (key == MDL_KEY_STRATEGY)
        return strategies[(int)value];
    if (key == MDL_KEY_METHOD)
        return mdl_method_name((mdl_method_t)value);
    snprintf(buffer, 32, "%.10g", value);
    return buffer;
}

int mdl_strategy_draws(mdl_strategy_t strategy)
{
    return strategy == MDL_STRATEGY_RANDOM || strategy == MDL_STRATEGY_ADDITIVE;
}

/* What the baselines and INTERVAL have otherwise than the paper. */
static double default_of(mdl_strategy_t strategy, mdl_key_t key)
{
    const int by_interval = strategy == MDL_STRATEGY_INTERVAL || strategy == MDL_STRATEGY_CROSS;
    if (key == MDL_KEY_METHOD)
        return by_interval ? MDL_METHOD_POOLED : MDL_METHOD_LOG_LINEAR;
    if (key == MDL_KEY_MAX_RATIO && strategy != MDL_STRATEGY_PAPER)
        return 1;
    if (key == MDL_KEY_START_RATIO && by_interval)
        return 1.0 / 64;
    if (key == MDL_KEY_CONFIDENCE && by_interval)
        return mdl_study_confidence(strategies[strategy]);
    if (strategy == MDL_STRATEGY_SCORE && key == MDL_KEY_SHARE)
        return 0;
    if (strategy == MDL_STRATEGY_HALVING && key == MDL_KEY_KEEP)
        return 1;
    if (strategy == MDL_STRATEGY_HALVING && (key == MDL_KEY_CLUSTERS || key == MDL_KEY_PREDICTION))
        return 0;
    return keys[key].value;
}

mdl_setting_t mdl_setting_resolve(const mdl_setting_t *setting)
{
    mdl_setting_t full = *setting;
    if (isnan(full.value[MDL_KEY_STRATEGY]))
        full.value[MDL_KEY_STRATEGY] = MDL_STRATEGY_PAPER;
    for (int k = 0; k < MDL_N_KEY; k++)
        if (isnan(full.value[k]))
            full.value[k] = default_of((mdl_strategy_t)full.value[MDL_KEY_STRATEGY], (mdl_key_t)k);
    return full;
}
