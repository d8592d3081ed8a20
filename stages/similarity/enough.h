/* Whether the rows that archives hold so far are enough: what an extraction asks that goes on until
 * the clusters are settled. docs/numerics.md, "Sequential stopping". */
#ifndef MDL_SIMILARITY_ENOUGH_H
#define MDL_SIMILARITY_ENOUGH_H

#include "io/study.h"
#include "similarity/similarity.h"

typedef struct {
    mdl_cka_settings_t settings; /* settings.stopping points to stopping */
    mdl_stopping_t stopping;
    char *rule; /* all that the answer depends on beside the rows, "key=value" a line */
} mdl_enough_t;

/* The question that a study asks of a side's models, names: [n_model]. Freed with mdl_enough_free,
 * also after a failure. Not collective. Returns MDL_E_INPUT unless similarity.estimator is
 * minibatch, MDL_E_MEMORY. */
int mdl_enough_begin(mdl_enough_t *enough, const mdl_study_t *study, const char *side,
                     const char *const *names, int n_model, mdl_error_t *err);
void mdl_enough_free(mdl_enough_t *enough);

/* Puts the question of settings (settings->stopping is set) to the models into words: two of the
 * same words have the same answer on the same rows. NULL when memory is out. Not collective. */
char *mdl_enough_rule(const mdl_cka_settings_t *settings, const char *const *names, int n_model);

/* Reads the first n_row rows of the archives at paths, whose samples are in the same random order,
 * and tests whether they settle the clusters at one of n_look looks; all_read: there are no more.
 * *stopped is the same on every rank. Collective over comm. Returns what mdl_cka_archives_open and
 * mdl_cka_hsic return. */
int mdl_enough_ask(MPI_Comm comm, const mdl_enough_t *enough, const char *const *paths, int n_path,
                   int64_t n_row, int n_look, int all_read, mdl_stopped_t *stopped,
                   mdl_error_t *err);

#endif
