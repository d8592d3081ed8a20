/* mordal-archive: the activations of models as archive files, one HDF5 file a model. */
#ifndef MDL_ARCHIVE_ARCHIVE_H
#define MDL_ARCHIVE_ARCHIVE_H

#include "core/stage.h"
#include "io/archive_file.h"
#include "kernels/backend.h"

typedef struct {
    const char *side, *out, *rows, *label, *encoding;
    const char *vision, *checkpoint, *corpus, *model, *pooling, *images, *backend, *precision;
    int64_t samples, warmup, batch, seed, layer;
    double learning_rate;
} mdl_archive_options_t;

/* What became of the files that a command was to make. */
typedef struct {
    int n_written, n_current;
} mdl_archive_tally_t;

/* One line for a whole study: what was written of folder and what was up to date. Not collective.
 */
void mdl_archive_log_tally(const mdl_archive_tally_t *tally, const char *folder);

/* Where a command computes: what --backend says, else trainer.backend of the study (NULL: none),
 * else the processor, which a dry run takes too. Collective over stage->comm. Returns what
 * mdl_backend_choose returns. */
int mdl_archive_choose_backend(const mdl_stage_t *stage, const mdl_archive_options_t *options,
                               const mdl_study_t *study, const mdl_backend_t **backend,
                               mdl_error_t *err);

/* One sub-command: its help and options, and what it does. run is collective over stage->comm. */
typedef struct {
    const char *name;
    mdl_command_t command;
    int (*run)(mdl_stage_t *stage, const mdl_archive_options_t *options, mdl_error_t *err);
} mdl_archive_command_t;

extern const mdl_archive_command_t mdl_archive_import, mdl_archive_extract,
    mdl_archive_extract_vision, mdl_archive_ls, mdl_archive_verify, mdl_archive_verify_model,
    mdl_archive_export;

#endif
