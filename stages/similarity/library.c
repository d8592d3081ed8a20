/* The installed interface: mordal_cka.h over the suite's own functions. */
#include "similarity/mordal_cka.h"

#include "core/log.h"
#include "core/version.h"
#include "mpi/agree.h"
#include "similarity/archives.h"
#include "similarity/backend.h"
#include "similarity/measure.h"
#include "similarity/similarity.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    mdl_measure_settings_t measure;
    mdl_cka_settings_t cka;
    const char *backend;
} settings_t;

/* Number of name among n names, the first for NULL; -1 when it is none of them. */
static int find(const char *name, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (name == NULL || strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

static int refuse(const char *what, const char *value, mdl_error_t *err)
{
    return mdl_fail(err, MDL_E_USAGE, "%s '%s' is none that Mordal knows: see mordal/cka.h", what,
                    value);
}

/* precision: where given has none. */
static int read_options(const mordal_cka_options *given, mdl_encoding_t precision,
                        settings_t *settings, mdl_error_t *err)
{
    static const char *const estimators[] = {"minibatch", "unbiased", "biased"};
    static const mdl_cka_estimator_t estimator_of[] = {MDL_CKA_MINIBATCH, MDL_CKA_UNBIASED,
                                                       MDL_CKA_BIASED};
    static const char *const kernels[] = {"linear", "rbf"}, *const routes[] = {"gram", "feature"};
    static const char *const backends[] = {"cpu", "cuda", "auto"};
    const mordal_cka_options none = {0}, *o = given != NULL ? given : &none;
    int estimator = find(o->estimator, estimators, 3), kernel = find(o->kernel, kernels, 2);
    int route = find(o->route, routes, 2), backend = find(o->backend, backends, 3);
    *settings = (settings_t){
        .measure = {.grid_rows = o->grid_rows, .grid_cols = o->grid_cols},
        .cka = {.batch = o->batch != 0 ? o->batch : 64, .sigma = o->sigma != 0 ? o->sigma : 1}};
    if (o->measure != NULL && !mdl_measure_find(o->measure, &settings->measure.measure))
        return refuse("measure", o->measure, err);
    if (estimator < 0)
        return refuse("estimator", o->estimator, err);
    if (kernel < 0)
        return refuse("kernel", o->kernel, err);
    if (route < 0)
        return refuse("route", o->route, err);
    if (backend < 0)
        return refuse("backend", o->backend, err);
    settings->backend = backends[backend];
    if (o->precision != NULL &&
        (!mdl_encoding_find(o->precision, &precision) || precision == MDL_FLOAT16))
        return refuse("precision", o->precision, err);
    if (o->grid_rows < 0 || o->grid_cols < 0 || (o->grid_rows == 0) != (o->grid_cols == 0))
        return mdl_fail(err, MDL_E_USAGE, "a process grid of %d x %d", o->grid_rows, o->grid_cols);
    settings->cka.bfloat16 = precision == MDL_BFLOAT16;
    settings->cka.precision = settings->cka.bfloat16 ? MDL_FLOAT32 : precision;
    settings->cka.estimator = estimator_of[estimator];
    settings->cka.kernel = kernel == 1 ? MDL_CKA_RBF : MDL_CKA_LINEAR;
    settings->cka.route = route == 1 ? MDL_CKA_FEATURE : MDL_CKA_GRAM;
    return MDL_OK;
}

/* standard_error may be NULL. */
static int compare(MPI_Comm comm, const settings_t *settings, const mdl_rows_t *models, int n_model,
                   int64_t n_sample, double *similarity, double *standard_error, uint8_t *status,
                   mdl_error_t *err)
{
    int rc;
    if (settings->measure.measure == MDL_MEASURE_CKA) {
        mdl_cka_settings_t cka = settings->cka;
        rc = mdl_cka_choose_backend(comm, settings->backend, &cka, err);
        if (rc == MDL_OK)
            rc = mdl_cka_similarity(comm, &cka, models, n_model, n_sample, similarity,
                                    standard_error, status, err);
    } else {
        for (int64_t k = 0; standard_error != NULL && k < (int64_t)n_model * n_model; k++)
            standard_error[k] = NAN;
        rc = mdl_measure_similarity(comm, &settings->measure, models, n_model, n_sample, similarity,
                                    status, err);
    }
    if (rc == MDL_OK)
        mdl_cka_warn_of_undefined(models, n_model, status);
    return rc;
}

static int read_values(const mdl_rows_t *rows, int64_t first, int64_t n_row,
                       mdl_encoding_t encoding, void *out, mdl_error_t *err)
{
    const mordal_cka_model *model = rows->data;
    size_t n = (size_t)(n_row * model->n_feat);
    double *read = NULL;
    if (model->values != NULL) {
        mdl_float_convert(MDL_FLOAT32, model->values + first * model->n_feat, encoding, out, n);
        return MDL_OK;
    }
    int rc = mdl_alloc(&read, n, sizeof *read, "rows", err);
    if (rc == MDL_OK && model->read(model->data, first, n_row, read) != 0)
        rc = mdl_fail(err, MDL_E_IO, "model %s: rows %lld to %lld could not be read", model->name,
                      (long long)first, (long long)(first + n_row - 1));
    if (rc == MDL_OK)
        mdl_float_convert(MDL_FLOAT64, read, encoding, out, n);
    free(read);
    return rc;
}

static int check_models(const mordal_cka_model *models, int n_model, const double *similarity,
                        mdl_error_t *err)
{
    if (n_model < 1 || models == NULL || similarity == NULL)
        return mdl_fail(err, MDL_E_USAGE, "no models to compare, or no place for the result");
    for (int a = 0; a < n_model; a++)
        if (models[a].name == NULL || models[a].n_feat < 1 ||
            (models[a].values == NULL && models[a].read == NULL))
            return mdl_fail(err, MDL_E_USAGE,
                            "model number %d: it needs a name, at least one feature, and values or "
                            "a function that reads them",
                            a);
    return MDL_OK;
}

/* Only warnings are logged, and one BLAS thread computes meanwhile. */
static int enter(MPI_Comm comm)
{
    int rank;
    MPI_Comm_rank(comm, &rank);
    mdl_log_setup("mordal", rank, MDL_LOG_WARN);
    return openblas_get_num_threads();
}

static int leave(int n_thread, int rc, const mdl_error_t *err, char *error)
{
    openblas_set_num_threads(n_thread);
    if (error != NULL)
        snprintf(error, MORDAL_ERROR_SIZE, "%s", rc == MDL_OK ? "" : err->text);
    return rc;
}

int mordal_cka(MPI_Comm comm, const mordal_cka_options *options, const mordal_cka_model *models,
               int n_model, int64_t n_sample, double *similarity, double *standard_error,
               unsigned char *status, char *error)
{
    mdl_error_t err = {0};
    settings_t settings;
    mdl_rows_t *rows = NULL;
    uint8_t *state = NULL;
    size_t n_pair = n_model > 0 ? (size_t)n_model * (size_t)n_model : 0;
    int n_thread = enter(comm);
    int rc = check_models(models, n_model, similarity, &err);
    if (rc == MDL_OK)
        rc = read_options(options, MDL_FLOAT32, &settings, &err);
    if (rc == MDL_OK)
        rc = mdl_alloc(&rows, (size_t)n_model, sizeof *rows, "models", &err);
    if (rc == MDL_OK)
        rc = mdl_alloc(&state, n_pair, sizeof *state, "states of pairs", &err);
    MDL_TRY(mdl_agree(comm, rc, &err));
    for (int a = 0; a < n_model; a++)
        rows[a] = (mdl_rows_t){models[a].name, models[a].n_feat, read_values, (void *)&models[a]};
    rc = compare(comm, &settings, rows, n_model, n_sample, similarity, standard_error, state, &err);
    if (rc == MDL_OK && status != NULL)
        memcpy(status, state, n_pair);
done:
    free(state);
    free(rows);
    return leave(n_thread, rc, &err, error);
}

/* From the order of the names to that of the paths; size: bytes of an entry. out may be NULL. */
static void put_in_order(const mdl_cka_archives_t *archives, const char *const *paths,
                         const void *sorted, size_t size, void *out)
{
    int n = archives->n_model;
    for (int i = 0; i < n && out != NULL; i++) {
        for (int j = 0; j < n; j++) {
            int a = 0, b = 0;
            while (strcmp(archives->paths[a], paths[i]) != 0)
                a++;
            while (strcmp(archives->paths[b], paths[j]) != 0)
                b++;
            memcpy((char *)out + (size_t)(i * n + j) * size,
                   (const char *)sorted + (size_t)(a * n + b) * size, size);
        }
    }
}

int mordal_cka_files(MPI_Comm comm, const mordal_cka_options *options, const char *const *paths,
                     int n_model, double *similarity, double *standard_error, unsigned char *status,
                     char *error)
{
    mdl_error_t err = {0};
    settings_t settings;
    mdl_cka_archives_t archives = {0};
    double *sorted = NULL;
    uint8_t *state = NULL;
    size_t n_value = n_model > 0 ? (size_t)n_model * (size_t)n_model : 0;
    int n_thread = enter(comm);
    int rc = n_model < 1 || paths == NULL || similarity == NULL
                 ? mdl_fail(&err, MDL_E_USAGE, "no files to compare, or no place for the result")
                 : mdl_alloc(&sorted, 2 * n_value, sizeof *sorted, "similarities", &err);
    if (rc == MDL_OK)
        rc = mdl_alloc(&state, n_value, sizeof *state, "states of pairs", &err);
    if (rc == MDL_OK)
        rc = mdl_cka_archives_open(&archives, paths, n_model, 0, &err);
    if (rc == MDL_OK)
        rc = read_options(options, mdl_cka_archives_precision(&archives), &settings, &err);
    MDL_TRY(mdl_agree(comm, rc, &err));
    MDL_TRY(compare(comm, &settings, archives.models, n_model, archives.n_sample, sorted,
                    sorted + n_value, state, &err));
    put_in_order(&archives, paths, sorted, sizeof *sorted, similarity);
    put_in_order(&archives, paths, sorted + n_value, sizeof *sorted, standard_error);
    put_in_order(&archives, paths, state, sizeof *state, status);
done:
    free(state);
    mdl_cka_archives_close(&archives);
    free(sorted);
    return leave(n_thread, rc, &err, error);
}

const char *mordal_why(unsigned char status)
{
    return status < MDL_SIMILARITY_N_STATUS ? mdl_similarity_why(status) : "no status of Mordal's";
}

const char *mordal_version(void)
{
    return MDL_VERSION;
}
