/* Candidate clusters: schema "mordal-candidates", version 1. Every (vision encoder, language model)
 * pair of the zoo belongs to one candidate cluster: its VE's cluster x the LM's cluster as seen
 * through that VE cluster's medoid.
 * /candidate string (N) "VE+LM"; /ve /lm string (N); /cluster int32 (N); /medoid int32 (C), index
 * of each cluster's medoid candidate (medoid VE + medoid LM); /name string (C) "VEmedoid+LMmedoid".
 * Attributes as of every result. */
#ifndef MDL_IO_CANDIDATES_FILE_H
#define MDL_IO_CANDIDATES_FILE_H

#include "io/result.h"

#define MDL_CANDIDATES_SCHEMA "mordal-candidates"
enum { MDL_CANDIDATES_VERSION = 1 };

typedef struct {
    int64_t n_candidate, n_cluster;
    char **candidate, **ve, **lm; /* n_candidate */
    int32_t *cluster;             /* n_candidate */
    int32_t *medoid;              /* n_cluster */
} mdl_candidates_t;

int mdl_candidates_write(const char *path, const mdl_provenance_t *provenance,
                         const mdl_candidates_t *candidates, mdl_error_t *err);
/* Checks shapes, ranges, names. Freed with mdl_candidates_free. Not collective. */
int mdl_candidates_read(const char *path, mdl_candidates_t *candidates, mdl_error_t *err);
void mdl_candidates_free(mdl_candidates_t *candidates);

#endif
