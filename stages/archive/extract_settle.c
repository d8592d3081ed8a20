#include "archive/extract_settle.h"

#include "archive/extract.h"
#include "core/log.h"
#include "core/text.h"
#include "io/sample_ids.h"
#include "mpi/agree.h"
#include "similarity/enough.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* One extraction under way. */
typedef struct {
    mdl_stage_t *stage;
    const mdl_study_t *study;
    const mdl_backend_t *backend;
    mdl_enough_t enough;
    int n_ve, n_lm;
    char **vision, **out;             /* [n_ve], [n_ve, n_lm] paths */
    const char **ve;                  /* [n_ve] names, borrowed */
    mdl_extract_language_t *language; /* [n_lm] */
    int64_t **order;                  /* [n_lm][n_sample], see mdl_extract_rows_t */
    char **ids;                       /* [n_sample] in the order of the rows */
    int64_t n_sample;
    int64_t looks[MDL_STOPPING_MOST]; /* batches that the archives have then */
    int n_look;
    char *over, *touched;    /* [n_ve], [n_ve, n_lm] */
    mdl_adapter_t **adapter; /* [n_ve, n_lm] projectors, once they are warmed up */
} settle_t;

static int ascending(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* The samples' ids from their alphabetical order to a random one: neither depends on the order of
 * the corpora or of the zoo. */
static int shuffle(settle_t *s, char **ids, mdl_error_t *err)
{
    int64_t *order = NULL;
    int rc;
    MDL_TRY(mdl_alloc(&order, (size_t)s->n_sample, sizeof *order, "an order", err));
    MDL_TRY(mdl_alloc(&s->ids, (size_t)s->n_sample, sizeof *s->ids, "sample ids", err));
    qsort(ids, (size_t)s->n_sample, sizeof *ids, ascending);
    mdl_stopping_order(order, s->n_sample, s->study->seed);
    for (int64_t row = 0; row < s->n_sample; row++) {
        s->ids[row] = mdl_text("%s", ids[order[row]]);
        if (s->ids[row] == NULL)
            MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory for sample ids"));
    }
done:
    free(order);
    return rc;
}

/* Where the samples are in a language model's corpus. */
static int find_samples(settle_t *s, int lm, char **ids, int64_t n, mdl_error_t *err)
{
    const char *path = s->language[lm].corpus_path;
    mdl_id_table_t *table = NULL;
    int rc;
    if (n != s->n_sample)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s has %" PRId64 " evaluation samples and %s has %" PRId64
                        ": to stop once the clusters are settled, all language models need the "
                        "same ones; make the corpora from the same samples, or set "
                        "similarity.stop: none",
                        s->language[0].corpus_path, s->n_sample, path, n);
    MDL_TRY(mdl_id_table_new((const char *const *)ids, n, path, &table, err));
    MDL_TRY(mdl_alloc(&s->order[lm], (size_t)n, sizeof **s->order, "an order", err));
    for (int64_t row = 0; row < n; row++) {
        s->order[lm][row] = mdl_id_table_find(table, s->ids[row]);
        if (s->order[lm][row] < 0)
            MDL_TRY(mdl_fail(err, MDL_E_INPUT,
                             "sample '%s' of %s is none of the first %" PRId64
                             " evaluation samples of %s: to stop once the clusters are settled, "
                             "all language models need the same ones; make the corpora from the "
                             "same samples, or set similarity.stop: none",
                             s->ids[row], s->language[0].corpus_path, n, path));
    }
done:
    free(table);
    return rc;
}

/* Reads a model's corpus for its samples' ids; the first model's give the order. */
static int take_corpus(settle_t *s, int lm, mdl_error_t *err)
{
    mdl_corpus_t *corpus = NULL;
    char **ids = NULL, **sorted = NULL;
    int64_t n = s->study->clusters.samples;
    int rc;
    MDL_TRY(mdl_corpus_read(s->language[lm].corpus_path, &corpus, err));
    n = n < corpus->n_eval ? n : corpus->n_eval;
    if (n < 1)
        MDL_TRY(mdl_fail(err, MDL_E_INPUT,
                         "%s: has no evaluation samples (split 1) to extract hidden states of",
                         s->language[lm].corpus_path));
    MDL_TRY(mdl_extract_ids(corpus, n, &ids, err));
    if (lm == 0) {
        s->n_sample = n;
        MDL_TRY(mdl_alloc(&sorted, (size_t)n, sizeof *sorted, "sample ids", err));
        memcpy(sorted, ids, (size_t)n * sizeof *sorted);
        MDL_TRY(shuffle(s, sorted, err));
    }
    rc = find_samples(s, lm, ids, n, err);
done:
    free(sorted);
    free(ids);
    mdl_corpus_free(corpus);
    return rc;
}

static int name_files(settle_t *s, const mdl_clusters_t *vision, mdl_error_t *err)
{
    for (int v = 0; v < s->n_ve; v++) {
        s->ve[v] = vision->models[vision->medoid[v]];
        s->vision[v] = mdl_study_path(s->study, "archive/vision/%s.h5", s->ve[v]);
        int missing = s->vision[v] == NULL;
        for (int l = 0; l < s->n_lm; l++) {
            char **out = &s->out[v * s->n_lm + l];
            *out = mdl_study_path(s->study, "archive/language/%s/%s.h5", s->ve[v],
                                  s->language[l].model);
            missing = missing || *out == NULL;
        }
        if (missing)
            return mdl_fail(err, MDL_E_MEMORY, "out of memory for the paths of the study");
    }
    return MDL_OK;
}

static int allocate(settle_t *s, const mdl_clusters_t *vision, mdl_error_t *err)
{
    size_t n_ve = (size_t)vision->n_cluster, n_lm = s->study->zoo.n_language;
    int rc;
    s->n_ve = (int)n_ve;
    s->n_lm = (int)n_lm;
    MDL_TRY(mdl_alloc(&s->vision, n_ve, sizeof(char *), "paths", err));
    MDL_TRY(mdl_alloc(&s->out, n_ve * n_lm, sizeof(char *), "paths", err));
    MDL_TRY(mdl_alloc(&s->ve, n_ve, sizeof(char *), "names", err));
    MDL_TRY(mdl_alloc(&s->language, n_lm, sizeof *s->language, "language models", err));
    MDL_TRY(mdl_alloc(&s->order, n_lm, sizeof *s->order, "orders", err));
    MDL_TRY(mdl_alloc(&s->over, n_ve, 1, "clusters", err));
    MDL_TRY(mdl_alloc(&s->touched, n_ve * n_lm, 1, "files", err));
    MDL_TRY(mdl_alloc(&s->adapter, n_ve * n_lm, sizeof *s->adapter, "projectors", err));
done:
    return rc;
}

/* All that is known before anything is extracted. Not collective. */
static int begin(settle_t *s, const mdl_clusters_t *vision, mdl_error_t *err)
{
    const char **names = NULL;
    int rc;
    MDL_TRY(allocate(s, vision, err));
    MDL_TRY(mdl_alloc(&names, (size_t)s->n_lm, sizeof *names, "names", err));
    for (int l = 0; l < s->n_lm; l++) {
        const mdl_study_language_t *entry = &s->study->zoo.language[l];
        s->language[l] = (mdl_extract_language_t){
            .model = entry->name,
            .checkpoint = entry->checkpoint,
            .corpus_path = entry->corpus,
            .backend = s->backend,
            .n_shard = mdl_extract_n_shard(s->study, s->backend, s->stage->n_rank)};
        names[l] = entry->name;
    }
    MDL_TRY(name_files(s, vision, err));
    MDL_TRY(mdl_enough_begin(&s->enough, s->study, "language", names, s->n_lm, err));
    for (int l = 0; l < s->n_lm; l++)
        MDL_TRY(take_corpus(s, l, err));
    s->n_look =
        mdl_stopping_looks(mdl_cka_n_batch(s->n_sample, s->enough.settings.batch), s->looks);
done:
    free(names);
    return rc;
}

static void end(settle_t *s)
{
    for (int l = 0; s->order != NULL && l < s->n_lm; l++)
        free(s->order[l]);
    for (int l = 0; s->language != NULL && l < s->n_lm; l++)
        mdl_extract_release(&s->language[l]);
    for (int v = 0; s->vision != NULL && v < s->n_ve; v++)
        free(s->vision[v]);
    for (int k = 0; s->out != NULL && k < s->n_ve * s->n_lm; k++)
        free(s->out[k]);
    for (int k = 0; s->adapter != NULL && k < s->n_ve * s->n_lm; k++)
        mdl_adapter_free(s->adapter[k]);
    for (int64_t i = 0; s->ids != NULL && i < s->n_sample; i++)
        free(s->ids[i]);
    mdl_enough_free(&s->enough);
    free(s->vision);
    free(s->out);
    free(s->ve);
    free(s->language);
    free(s->order);
    free(s->ids);
    free(s->over);
    free(s->touched);
    free(s->adapter);
}

/* Samples that the archives have at a look: whole batches, at the last all there are. */
static int64_t rows_at(const settle_t *s, int look)
{
    int64_t n_row = s->looks[look] * s->enough.settings.batch;
    return look == s->n_look - 1 || n_row > s->n_sample ? s->n_sample : n_row;
}

static mdl_extract_rows_t rows_of(const settle_t *s, int lm, int64_t n_row,
                                  mdl_archive_state_t state, double confidence)
{
    return (mdl_extract_rows_t){.order = s->order[lm],
                                .ids = (const char *const *)s->ids,
                                .n = s->n_sample,
                                .n_row = n_row,
                                .stop = {.state = state,
                                         .n_available = s->n_sample,
                                         .confidence = confidence,
                                         .rule = s->enough.rule}};
}

static mdl_extract_t extract_of(const settle_t *s, int v, int lm, const mdl_extract_rows_t *rows)
{
    const mdl_study_t *study = s->study;
    return (mdl_extract_t){.vision = s->vision[v],
                           .out = s->out[v * s->n_lm + lm],
                           .pooling = study->clusters.pooling,
                           .samples = study->clusters.samples,
                           .warmup = study->clusters.warmup_rounds,
                           .settings = mdl_training_settings(study),
                           .adapter = &s->adapter[v * s->n_lm + lm],
                           .rows = rows};
}

/* Brings one archive to these rows. */
static int bring(settle_t *s, int v, int lm, const mdl_extract_rows_t *rows, int anew,
                 mdl_error_t *err)
{
    mdl_archive_tally_t tally = {0};
    mdl_extract_t extract = extract_of(s, v, lm, rows);
    extract.anew = anew;
    int rc = mdl_extract_states(s->stage, &s->language[lm], &extract, &tally, err);
    s->touched[v * s->n_lm + lm] |= tally.n_written > 0;
    return rc;
}

/* Whether an earlier run came to the end behind this encoder, by the same rule and from the same
 * inputs: then the archives say so. */
static int find_end(settle_t *s, int v, mdl_error_t *err)
{
    mdl_archive_t *first = NULL;
    mdl_error_t ignored = {.rank = -1};
    char *rule = s->enough.rule;
    int rc = MDL_OK, over = !s->stage->force &&
                            mdl_archive_open(s->out[v * s->n_lm], &first, &ignored) == MDL_OK;
    over = over && first->stop.state > MDL_ARCHIVE_OPEN && strcmp(first->stop.rule, rule) == 0;
    MPI_Allreduce(MPI_IN_PLACE, &over, 1, MPI_INT, MPI_MIN, s->stage->comm);
    for (int l = 0; over && l < s->n_lm; l++) {
        mdl_extract_rows_t rows =
            rows_of(s, l, first->n_sample, first->stop.state, first->stop.confidence);
        mdl_extract_t extract = extract_of(s, v, l, &rows);
        MDL_TRY(mdl_extract_is_current(s->stage, &s->language[l], &extract, &over, err));
    }
    s->over[v] = (char)over;
done:
    mdl_archive_close(first);
    return rc;
}

static void log_end(const settle_t *s, int v, const mdl_stopped_t *stopped)
{
    if (stopped->decided)
        mdl_log(MDL_LOG_INFO,
                "behind %s: clusters settled after %" PRId64 " of %" PRId64
                " samples (%.0f%%): at most %g%% of such runs stop with others",
                s->ve[v], stopped->n_row, s->n_sample,
                100 * (double)stopped->n_row / (double)s->n_sample, 100 * s->enough.stopping.alpha);
    else
        mdl_log(MDL_LOG_WARN,
                "behind %s: clusters undecided after all %" PRId64
                " samples: others may give others (nominal confidence %.0f%%); more samples "
                "(clusters.samples) would settle it",
                s->ve[v], stopped->n_row, 100 * stopped->confidence);
}

/* Asks whether the archives behind an encoder have enough, and if so makes them final. */
static int ask(settle_t *s, int v, int look, mdl_error_t *err)
{
    mdl_stopped_t stopped;
    int last = look == s->n_look - 1;
    int rc;
    MDL_TRY(mdl_enough_ask(s->stage->comm, &s->enough,
                           (const char *const *)s->out + (int64_t)v * s->n_lm, s->n_lm,
                           rows_at(s, look), s->n_look, last, &stopped, err));
    if (!stopped.decided && !last)
        goto done;
    for (int l = 0; l < s->n_lm; l++) {
        mdl_extract_rows_t rows = rows_of(
            s, l, stopped.n_row, stopped.decided ? MDL_ARCHIVE_SETTLED : MDL_ARCHIVE_UNDECIDED,
            stopped.confidence);
        MDL_TRY(bring(s, v, l, &rows, 0, err));
    }
    s->over[v] = 1;
    log_end(s, v, &stopped);
done:
    return rc;
}

/* A look: each language model is loaded once for all encoders that aren't done. */
static int look_at(settle_t *s, int look, mdl_error_t *err)
{
    int rc = MDL_OK;
    for (int l = 0; l < s->n_lm; l++) {
        for (int v = 0; v < s->n_ve; v++) {
            mdl_extract_rows_t rows = rows_of(s, l, rows_at(s, look), MDL_ARCHIVE_OPEN, 0);
            if (!s->over[v])
                MDL_TRY(bring(s, v, l, &rows, s->stage->force && look == 0, err));
        }
        mdl_extract_release(&s->language[l]);
    }
    for (int v = 0; v < s->n_ve; v++)
        if (!s->over[v])
            MDL_TRY(ask(s, v, look, err));
done:
    return rc;
}

static int plan(settle_t *s, mdl_error_t *err)
{
    int rc = MDL_OK;
    if (s->stage->rank == 0 && s->n_look > 1)
        printf("archive/language: in random order until the clusters are settled, at the earliest "
               "after %" PRId64 " of %" PRId64 " samples, %d looks; at most:\n",
               rows_at(s, 0), s->n_sample, s->n_look);
    else if (s->stage->rank == 0)
        printf("archive/language: %" PRId64 " samples are too few batches of %" PRId64
               " to stop before the end\n",
               s->n_sample, s->enough.settings.batch);
    for (int l = 0; l < s->n_lm; l++) {
        for (int v = 0; v < s->n_ve; v++) {
            mdl_extract_rows_t rows = rows_of(s, l, s->n_sample, MDL_ARCHIVE_OPEN, 0);
            MDL_TRY(bring(s, v, l, &rows, 0, err));
        }
        mdl_extract_release(&s->language[l]);
    }
done:
    return rc;
}

int mdl_extract_settle(mdl_stage_t *stage, const mdl_study_t *study, const mdl_backend_t *backend,
                       const mdl_clusters_t *vision, mdl_error_t *err)
{
    settle_t s = {.stage = stage, .study = study, .backend = backend};
    mdl_archive_tally_t tally = {0};
    int rc = begin(&s, vision, err);
    MDL_TRY(mdl_agree(stage->comm, rc, err));
    if (stage->dry_run) {
        rc = plan(&s, err);
        goto done;
    }
    for (int v = 0; v < s.n_ve; v++)
        MDL_TRY(find_end(&s, v, err));
    for (int look = 0; look < s.n_look; look++)
        MDL_TRY(look_at(&s, look, err));
    for (int k = 0; k < s.n_ve * s.n_lm; k++) {
        tally.n_written += s.touched[k];
        tally.n_current += !s.touched[k];
    }
    mdl_archive_log_tally(&tally, "archive/language");
done:
    end(&s);
    return rc;
}
