/* The keys of a study file: one table gives parsing, defaults, checks and the reference. */
#ifndef MDL_IO_STUDY_KEYS_H
#define MDL_IO_STUDY_KEYS_H

#include "io/study.h"

#include <stdio.h>

typedef enum {
    MDL_KEY_TEXT,    /* char *, one line or more */
    MDL_KEY_NAME,    /* char *, [A-Za-z0-9._-]+ and no dot in front */
    MDL_KEY_WORD,    /* char *, letters that neither shell nor Slurm treats as special */
    MDL_KEY_TIME,    /* char *, a time limit of Slurm */
    MDL_KEY_PATH,    /* char *, a file or folder that has to be there */
    MDL_KEY_CHOICE,  /* char *, one of the words in values */
    MDL_KEY_TRAINER, /* mdl_trainer_kind_t, the position of the word in values */
    MDL_KEY_INT,     /* int64_t in the interval values */
    MDL_KEY_SEED,    /* uint64_t */
    MDL_KEY_NUMBER,  /* double in the interval values */
    MDL_KEY_BOOL,    /* int */
    MDL_KEY_TEXTS,   /* mdl_study_texts_t: names, without doubles */
    MDL_KEY_MODELS   /* mdl_study_models_t: mappings with the keys "PATH[].KEY" */
} mdl_key_type_t;

typedef struct {
    const char *path; /* trainer.lora.rank, zoo.vision[].name */
    mdl_key_type_t type;
    size_t offset;       /* in mdl_study_t; of a key of a list's item: in the item */
    size_t count_offset; /* of lists: where the length goes */
    size_t item_size;    /* of MDL_KEY_MODELS */
    const char *initial; /* the default as written in YAML; NULL = none, and then the key may be
                            left out unless required is set */
    int required;
    const char *values; /* a|b|c or an interval like (0,1] or [1,) */
    const char *unit;
    const char *help;
} mdl_study_key_t;

extern const mdl_study_key_t mdl_study_keys[];
extern const int mdl_n_study_key;

/* The key with this path or NULL. Not collective. */
const mdl_study_key_t *mdl_study_key_find(const char *path);

/* Sets the key's field in base (the study or a list's item) from the text of a YAML scalar;
 * relative paths start at folder. Returns MDL_E_INPUT with a sentence about the value alone.
 * Not collective. */
int mdl_study_key_set(const mdl_study_key_t *key, void *base, const char *text, const char *folder,
                      mdl_error_t *err);

/* Adds one text to a key of type MDL_KEY_TEXTS. Not collective. */
int mdl_study_key_add(const mdl_study_key_t *key, void *base, const char *text, mdl_error_t *err);

/* Frees what the key's field holds and empties it. Not collective. */
void mdl_study_key_clear(const mdl_study_key_t *key, void *base);

/* Prints all keys as a table in Markdown. */
void mdl_study_keys_print(FILE *out);

#endif
