#include "regress/forecast_steps.h"

#include "core/text.h"
#include "io/clusters_file.h"
#include "io/corpus_file.h"
#include "io/model_config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[MDL_N_FORECAST_STEP] = {
    "archive-import", "cka-vision",       "cluster-vision", "archive-extract",
    "cka-language",   "cluster-language", "report"};
enum { IMPORT, CKA_VISION, CLUSTER_VISION, EXTRACT, CKA_LANGUAGE, CLUSTER_LANGUAGE, REPORT };

static const double slow_read = 50e6, usual_read = 200e6, fast_read = 800e6; /* bytes a second */

static mdl_range_t by_bytes(double n_byte)
{
    return (mdl_range_t){n_byte / fast_read, n_byte / usual_read, n_byte / slow_read};
}

/* Bytes of the file in "FILE" or "FILE#PART"; 0 when it isn't there. */
static double bytes_of(const char *path)
{
    struct stat status;
    char *file = path != NULL ? mdl_text("%.*s", (int)strcspn(path, "#"), path) : NULL;
    double n_byte = file != NULL && stat(file, &status) == 0 ? (double)status.st_size : 0;
    free(file);
    return n_byte;
}

/* How many vision clusters there are: low and high are the expected number once it is known. */
static mdl_range_t count_medoids(const mdl_study_t *study)
{
    const double m = study->zoo.n_vision;
    mdl_range_t n = {1, ceil(m / 2), m};
    mdl_clusters_t clusters = {0};
    mdl_error_t ignored;
    char *path = mdl_study_path(study, "clusters/vision.h5");
    if (path != NULL && access(path, R_OK) == 0 &&
        mdl_clusters_read(path, &clusters, &ignored) == MDL_OK)
        n.low = n.expected = n.high = (double)clusters.n_cluster;
    mdl_clusters_free(&clusters);
    free(path);
    return n;
}

/* Seconds and bytes that extraction takes and leaves behind one medoid. */
static int extract_once(const mdl_study_t *study, const double *full, double *seconds,
                        double *n_byte, mdl_error_t *err)
{
    const double n_warm = (double)(study->clusters.warmup_rounds * study->trainer.batch);
    int rc = MDL_OK;
    *seconds = *n_byte = 0;
    for (unsigned l = 0; l < study->zoo.n_language; l++) {
        const mdl_study_language_t *language = &study->zoo.language[l];
        mdl_model_config_t config;
        mdl_corpus_t *corpus;
        char *path = mdl_text("%s/config.json", language->checkpoint);
        if (path == NULL)
            return mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
        rc = mdl_model_config_read(path, &config, err);
        free(path);
        if (rc == MDL_OK)
            rc = mdl_corpus_read(language->corpus, &corpus, err);
        if (rc != MDL_OK)
            return rc;
        double n_row = fmin((double)study->clusters.samples, (double)corpus->n_eval);
        double one = full[l] / (double)(study->trainer.epochs * corpus->n_train);
        *seconds += one * (n_warm + 0.5 * n_row);
        *n_byte += n_row * (double)config.n_feat * sizeof(float);
        mdl_corpus_free(corpus);
    }
    return rc;
}

/* Rank seconds by step from logs/usage: "begin STEP TIME DEVICES JOB", "end STEP TIME CODE". */
static void read_usage(const mdl_study_t *study, mdl_forecast_step_t *steps)
{
    char *path = mdl_study_path(study, "logs/usage"), word[8], step[32];
    double begun[MDL_N_FORECAST_STEP], devices[MDL_N_FORECAST_STEP], time, number;
    char line[256];
    FILE *file = path != NULL ? fopen(path, "r") : NULL;
    for (int k = 0; k < MDL_N_FORECAST_STEP; k++)
        begun[k] = devices[k] = NAN;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%7s %31s %lf %lf", word, step, &time, &number) != 4)
            continue;
        for (int k = 0; k < MDL_N_FORECAST_STEP; k++) {
            if (strcmp(step, steps[k].name) != 0)
                continue;
            if (strcmp(word, "end") == 0 && isfinite(begun[k]))
                steps[k].used = (isnan(steps[k].used) ? 0 : steps[k].used) +
                                fmax(0, time - begun[k]) * devices[k];
            begun[k] = strcmp(word, "begin") == 0 ? time : NAN;
            devices[k] = number;
        }
    }
    if (file != NULL)
        fclose(file);
    free(path);
}

int mdl_forecast_steps(const mdl_study_t *study, const double *full, double spread,
                       mdl_forecast_step_t steps[MDL_N_FORECAST_STEP], mdl_error_t *err)
{
    const mdl_range_t medoids = count_medoids(study), moment = {0.1, 0.5, 5};
    double n_byte = 0, once = 0, once_byte = 0;
    for (unsigned v = 0; v < study->zoo.n_vision; v++)
        n_byte += bytes_of(study->zoo.vision[v].activations);
    if (study->trainer.kind == MDL_TRAINER_NATIVE) {
        int rc = extract_once(study, full, &once, &once_byte, err);
        if (rc != MDL_OK)
            return rc;
    }
    for (int k = 0; k < MDL_N_FORECAST_STEP; k++)
        steps[k] = (mdl_forecast_step_t){names[k], moment, 1, NAN};
    steps[IMPORT].seconds = steps[CKA_VISION].seconds = by_bytes(n_byte);
    steps[EXTRACT].is_known = steps[CKA_LANGUAGE].is_known = once > 0;
    steps[EXTRACT].seconds = (mdl_range_t){medoids.low * once / spread, medoids.expected * once,
                                           medoids.high * once * spread};
    steps[CKA_LANGUAGE].seconds = (mdl_range_t){by_bytes(once_byte).low * medoids.low,
                                                by_bytes(once_byte).expected * medoids.expected,
                                                by_bytes(once_byte).high * medoids.high};
    read_usage(study, steps);
    return MDL_OK;
}
