/* A tiny study for tests of training: the Llama of tests/reference/parity/llama-2 and a corpus of
 * noisy pictures of eight classes, each answered by its class's word. */
#ifndef MDL_TESTS_SYNTHETIC_STUDY_H
#define MDL_TESTS_SYNTHETIC_STUDY_H

#include "io/study.h"

enum { SYNTHETIC_TRAIN = 96, SYNTHETIC_EVAL = 40, SYNTHETIC_CLASSES = 8, SYNTHETIC_FEAT = 12 };

/* Writes a corpus of n_train + n_eval samples to path, whose eval answers are all "never" when
 * unanswerable. */
void synthetic_corpus(const char *path, int n_train, int n_eval, int unanswerable);

/* Makes folder anew with archive/vision/eye.h5 and corpus.h5, and a study over them with the vision
 * encoder eye and the language model mouth. Freed by synthetic_free. Call on one rank to make the
 * files (make = 1) and on the others after it (make = 0). */
mdl_study_t *synthetic_study(const char *folder, int make);
void synthetic_free(mdl_study_t *study);

/* Removes a folder and what is in it. */
void synthetic_remove(const char *folder);

#endif
