#include "similarity/enough.h"

#include "core/text.h"
#include "mpi/agree.h"
#include "similarity/archives.h"
#include "similarity/settings.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* "a,b,c", in ascending order. NULL when memory is out. */
static char *list_names(const char *const *names, int n_model)
{
    const char **sorted = malloc((size_t)n_model * sizeof *sorted);
    char *list = sorted != NULL ? mdl_text("%s", "") : NULL;
    if (sorted != NULL) {
        memcpy(sorted, names, (size_t)n_model * sizeof *sorted);
        qsort(sorted, (size_t)n_model, sizeof *sorted, by_name);
    }
    for (int a = 0; list != NULL && a < n_model; a++) {
        char *longer = mdl_text("%s%s%s", list, a > 0 ? "," : "", sorted[a]);
        free(list);
        list = longer;
    }
    free(sorted);
    return list;
}

char *mdl_enough_rule(const mdl_cka_settings_t *settings, const char *const *names, int n_model)
{
    static const char *const linkages[] = {"average", "complete", "single"};
    const mdl_stopping_t *stopping = settings->stopping;
    char *list = list_names(names, n_model), *rule = NULL;
    if (list != NULL)
        rule = mdl_text("batch=%" PRId64 "\nkernel=%s\nsigma=%.15g\nprecision=%s\nalpha=%.15g\n"
                        "linkage=%s\nthreshold=%.15g\nseed=%" PRIu64 "\nmodels=%s\n",
                        settings->batch, settings->kernel == MDL_CKA_RBF ? "rbf" : "linear",
                        settings->sigma, mdl_encoding_name(settings->precision), stopping->alpha,
                        linkages[stopping->cut.linkage], stopping->cut.threshold, stopping->seed,
                        list);
    free(list);
    return rule;
}

int mdl_enough_begin(mdl_enough_t *enough, const mdl_study_t *study, const char *side,
                     const char *const *names, int n_model, mdl_error_t *err)
{
    *enough = (mdl_enough_t){0};
    mdl_cka_settings_of_study(study, side, &enough->settings, &enough->stopping);
    enough->settings.precision = MDL_FLOAT32;
    enough->settings.stopping = &enough->stopping;
    if (enough->settings.estimator != MDL_CKA_MINIBATCH)
        return mdl_fail(err, MDL_E_INPUT,
                        "similarity.stop: clusters goes by batches: it needs similarity.estimator: "
                        "minibatch, not %s",
                        study->similarity.estimator);
    enough->rule = mdl_enough_rule(&enough->settings, names, n_model);
    return enough->rule != NULL ? MDL_OK
                                : mdl_fail(err, MDL_E_MEMORY, "out of memory for a question");
}

void mdl_enough_free(mdl_enough_t *enough)
{
    free(enough->rule);
    enough->rule = NULL;
}

/* Rank 0 decides for all, so that they agree whatever their processors. */
static int decide(MPI_Comm comm, const mdl_enough_t *enough, const mdl_cka_sums_t *sums,
                  int n_model, int n_look, int all_read, mdl_stopped_t *stopped, mdl_error_t *err)
{
    const mdl_stopping_t *stopping = &enough->stopping;
    int rank;
    MPI_Comm_rank(comm, &rank);
    int rc = mdl_on_root(
        comm, rank, mdl_stopping_test(sums, n_model, &stopping->cut, all_read, &stopped->last, err),
        err);
    if (rc != MDL_OK)
        return rc;
    MPI_Bcast(&stopped->last, (int)sizeof stopped->last, MPI_BYTE, 0, comm);
    stopped->decided = mdl_stopping_is_settled(&stopped->last, stopping->alpha, n_look);
    stopped->confidence = 1 - (stopped->decided ? stopping->alpha : stopped->last.doubt);
    return MDL_OK;
}

int mdl_enough_ask(MPI_Comm comm, const mdl_enough_t *enough, const char *const *paths, int n_path,
                   int64_t n_row, int n_look, int all_read, mdl_stopped_t *stopped,
                   mdl_error_t *err)
{
    mdl_cka_settings_t settings = enough->settings;
    mdl_cka_archives_t archives;
    mdl_cka_sums_t sums = {0};
    *stopped = (mdl_stopped_t){.n_row = n_row};
    settings.stopping = NULL;
    int rc = mdl_cka_archives_open(&archives, paths, n_path, 1, err);
    if (rc == MDL_OK)
        rc = mdl_cka_check(&settings, n_path, archives.n_sample, err);
    MDL_TRY(mdl_agree(comm, rc, err));
    MDL_TRY(mdl_cka_hsic(comm, &settings, archives.models, n_path, n_row, &sums, err));
    rc = decide(comm, enough, &sums, n_path, n_look, all_read, stopped, err);
done:
    mdl_cka_sums_free(&sums);
    mdl_cka_archives_close(&archives);
    return rc;
}
