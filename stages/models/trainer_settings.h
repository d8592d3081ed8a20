/* The settings that a candidate's measured points depend on, as text for provenance. */
#ifndef MDL_MODELS_TRAINER_SETTINGS_H
#define MDL_MODELS_TRAINER_SETTINGS_H

#include "io/study.h"

/* *settings: new text "trainer.key=value\n...", of the study's kind of trainer alone, freed by the
 * caller. Reads the replay's table for its digest. Not collective. Returns MDL_E_MEMORY or
 * what mdl_digest_of_file returns. */
int mdl_trainer_settings(const mdl_study_t *study, char **settings, mdl_error_t *err);

#endif
