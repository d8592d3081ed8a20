/* Everything that the report is made from: the results of the stages before, as far as they are
 * there. */
#ifndef MDL_REPORT_INPUT_H
#define MDL_REPORT_INPUT_H

#include "io/candidates_file.h"
#include "io/clusters_file.h"
#include "io/regress_file.h"
#include "io/rung_file.h"
#include "io/similarity_file.h"
#include "io/study.h"

/* One file that was read, with what it says of itself. */
typedef struct {
    char *path, *schema, *tool_version, *content_digest, *configuration;
    int64_t version;
} mdl_report_file_t;

/* Similarity and clusters of one set of models. */
typedef struct {
    char *name; /* the encoder through which the language models were seen; NULL for vision */
    mdl_similarity_t similarity;
    mdl_clusters_t clusters;
    int has_similarity, has_clusters;
} mdl_report_side_t;

typedef struct {
    const mdl_study_t *study;            /* borrowed; NULL when files were named by hand */
    const char *study_path;              /* as given on the command line, borrowed */
    mdl_report_file_t *files;            /* n_file */
    mdl_report_side_t vision, *language; /* n_language */
    mdl_candidates_t candidates;
    mdl_rung_t *rungs; /* n_rung, ascending in rung */
    mdl_regress_t regress;
    char *final_candidate;
    mdl_point_t final;
    int n_file, n_language, n_rung;
    int has_candidates, has_regress, has_final;
} mdl_report_input_t;

/* Paths of the results that a report on study would read, in order, whether they are there or not;
 * for the language side as far as the vision medoids are known. Freed with mdl_report_paths_free.
 * One rank only. Returns MDL_E_MEMORY, or MDL_E_INPUT for damaged vision clusters. */
int mdl_report_paths(const mdl_study_t *study, char ***paths, int *n_path, mdl_error_t *err);
void mdl_report_paths_free(char **paths, int n_path);

/* Reads one result, whatever its schema, into input. The name of a language side is taken from the
 * file's name, language-NAME.h5. One rank only. Returns MDL_E_MISSING, or MDL_E_INPUT when the file
 * is damaged, of a schema that no report needs, or says what another one said already. */
int mdl_report_input_add(mdl_report_input_t *input, const char *path, mdl_error_t *err);

/* Checks that the files fit together (similarity and clusters name the same models) and orders the
 * rungs. Call after the last file. Returns MDL_E_INPUT naming the side. Not collective. */
int mdl_report_input_finish(mdl_report_input_t *input, mdl_error_t *err);

void mdl_report_input_free(mdl_report_input_t *input);

#endif
