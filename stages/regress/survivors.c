#include "regress/survivors.h"

#include "core/text.h"
#include "io/path.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_RUNG = 1000 };

static const char *const advice = "run mordal-rung --study STUDY.yaml until it says that it has "
                                  "finished";

/* A rung has to be made from the files that are there now. */
static int check_inputs(const char *path, const char *const *inputs, int n_input, mdl_error_t *err)
{
    char digits[MDL_DIGEST_SIZE];
    char *stored = NULL;
    hid_t file;
    int rc = mdl_result_inputs_digest(inputs, n_input, digits, err);
    if (rc != MDL_OK)
        return rc;
    MDL_TRY(mdl_h5_open(path, advice, &file, err));
    rc = mdl_h5_get_text(file, "inputs_digest", &stored, err);
    if (rc == MDL_OK && strcmp(stored, digits) != 0)
        rc = mdl_fail(err, MDL_E_MISSING, "%s: its inputs changed since it was made; %s", path,
                      advice);
    mdl_h5_close(file);
done:
    free(stored);
    return rc;
}

/* Notes which clusters rung n dropped. */
static int note_dropped(mdl_survivors_t *survivors, const mdl_rung_t *rung, mdl_error_t *err)
{
    for (int64_t i = 0; i < rung->n_candidate; i++) {
        if (rung->cluster[i] >= survivors->zoo.n_cluster)
            return mdl_fail(err, MDL_E_INPUT,
                            "rung %lld has cluster %d of %lld; were the candidate clusters made "
                            "again? %s",
                            (long long)rung->rung, (int)rung->cluster[i],
                            (long long)survivors->zoo.n_cluster, advice);
        survivors->dropped_in[rung->cluster[i]] = rung->promoted[i] ? 0 : rung->rung;
    }
    return MDL_OK;
}

/* Reads rung number n_rung + 1 and adds its path to inputs. */
static int read_rung(const mdl_study_t *study, mdl_survivors_t *survivors, char **inputs,
                     mdl_error_t *err)
{
    const int64_t n = survivors->n_rung;
    const char *const made_from[] = {inputs[0], inputs[n]};
    int rc;
    inputs[n + 1] = mdl_study_path(study, "rungs/rung-%lld.h5", (long long)n + 1);
    if (inputs[n + 1] == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    MDL_TRY(mdl_path_check_readable(inputs[n + 1], advice, 1, err));
    MDL_TRY(mdl_rung_read(inputs[n + 1], &survivors->rungs[n], err));
    survivors->n_rung++;
    MDL_TRY(check_inputs(inputs[n + 1], made_from, n > 0 ? 2 : 1, err));
    rc = note_dropped(survivors, &survivors->rungs[n], err);
done:
    return rc;
}

int mdl_survivors_read(const mdl_study_t *study, mdl_survivors_t *survivors, mdl_error_t *err)
{
    char **inputs = NULL;
    int rc;
    *survivors = (mdl_survivors_t){0};
    MDL_TRY(mdl_alloc(&inputs, MAX_RUNG + 2, sizeof *inputs, "paths", err));
    MDL_TRY(mdl_alloc(&survivors->rungs, MAX_RUNG, sizeof *survivors->rungs, "rungs", err));
    inputs[0] = mdl_study_path(study, "clusters/candidates.h5");
    if (inputs[0] == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory for a path"));
    MDL_TRY(mdl_path_check_readable(
        inputs[0], "run mordal-cluster --study STUDY.yaml --side language first", 1, err));
    MDL_TRY(mdl_candidates_read(inputs[0], &survivors->zoo, err));
    MDL_TRY(mdl_alloc(&survivors->dropped_in, (size_t)survivors->zoo.n_cluster,
                      sizeof *survivors->dropped_in, "clusters", err));
    while (!mdl_study_in_rounds(study) &&
           (survivors->n_rung == 0 || !survivors->rungs[survivors->n_rung - 1].finished)) {
        if (survivors->n_rung == MAX_RUNG)
            MDL_TRY(
                mdl_fail(err, MDL_E_INPUT, "more than %d rungs and none is the last", MAX_RUNG));
        MDL_TRY(read_rung(study, survivors, inputs, err));
    }
    rc = mdl_result_inputs_digest((const char *const *)inputs, (int)survivors->n_rung + 1,
                                  survivors->inputs_digest, err);
done:
    for (int i = 0; inputs != NULL && i <= MAX_RUNG; i++)
        free(inputs[i]);
    free(inputs);
    if (rc != MDL_OK)
        mdl_survivors_free(survivors);
    return rc;
}

void mdl_survivors_free(mdl_survivors_t *survivors)
{
    mdl_candidates_free(&survivors->zoo);
    for (int64_t i = 0; i < survivors->n_rung; i++)
        mdl_rung_free(&survivors->rungs[i]);
    free(survivors->rungs);
    free(survivors->dropped_in);
    *survivors = (mdl_survivors_t){0};
}
