/* How a search goes about it, and with which numbers: what `mordal simulate` can set and sweep. */
#ifndef MDL_REGRESS_STRATEGY_H
#define MDL_REGRESS_STRATEGY_H

#include "regress/predict.h"

#include <stdint.h>

typedef enum {
    MDL_STRATEGY_PAPER,    /* clusters, halving of their medoids, regression of the survivors */
    MDL_STRATEGY_INTERVAL, /* train those whose interval reaches the leader's */
    MDL_STRATEGY_CROSS,    /* INTERVAL on a cheap column, then on its best encoder's row */
    MDL_STRATEGY_HALVING,  /* successive halving of all candidates, to ratio 1 */
    MDL_STRATEGY_ADDITIVE, /* one row and one column of the VE x LLM matrix, the rest added up */
    MDL_STRATEGY_SCORE,    /* by scores that need no training */
    MDL_STRATEGY_RANDOM,   /* a share of the candidates, drawn, to ratio 1 */
    MDL_STRATEGY_GRID,     /* all of them to ratio 1 */
    MDL_N_STRATEGY
} mdl_strategy_t;

/* The keys of a setting; those of the study have the study's names. */
typedef enum {
    MDL_KEY_STRATEGY, /* mdl_strategy_t */
    MDL_KEY_METHOD,   /* mdl_method_t */
    MDL_KEY_T_VE,     /* similarity from which encoders cluster */
    MDL_KEY_T_LLM,    /* the same of language models */
    MDL_KEY_START_RATIO,
    MDL_KEY_ETA,
    MDL_KEY_MAX_RATIO,
    MDL_KEY_KEEP,
    MDL_KEY_DIVISOR,
    MDL_KEY_POINTS,
    MDL_KEY_TOLERANCE,
    MDL_KEY_MAX_POINTS,
    MDL_KEY_CONFIDENCE, /* of the intervals that INTERVAL and CROSS cut by */
    MDL_KEY_FLOOR,      /* ratio before which they don't cut slow starters */
    MDL_KEY_SHARE,      /* of the candidates that RANDOM and SCORE train */
    MDL_KEY_CLUSTERS,   /* 0 = every candidate is a cluster of its own */
    MDL_KEY_HALVING,    /* 0 = every cluster lives */
    MDL_KEY_PREDICTION, /* 0 = the error at R counts */
    MDL_N_KEY
} mdl_key_t;

/* NaN = the strategy's default. */
typedef struct {
    double value[MDL_N_KEY];
} mdl_setting_t;

/* Everything at its strategy's default; PAPER with its own method. */
mdl_setting_t mdl_setting_defaults(void);

const char *mdl_key_name(mdl_key_t key);
/* Returns MDL_E_USAGE with the nearest known name for another. Not collective. */
int mdl_key_parse(const char *name, mdl_key_t *key, mdl_error_t *err);

/* Sets a key from text: a number in the key's range, or the name of a strategy or method.
 * Returns MDL_E_USAGE. Not collective. */
int mdl_setting_parse(mdl_setting_t *setting, mdl_key_t key, const char *text, mdl_error_t *err);

/* The value of a key as text, into buffer. */
const char *mdl_setting_print(const mdl_setting_t *setting, mdl_key_t key, char buffer[32]);

/* 1 when the seed makes a difference. */
int mdl_strategy_draws(mdl_strategy_t strategy);

/* The setting with every NaN replaced by its strategy's default. */
mdl_setting_t mdl_setting_resolve(const mdl_setting_t *setting);

#endif
