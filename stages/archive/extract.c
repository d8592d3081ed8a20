#include "archive/extract.h"

#include "archive/extract_rows.h"
#include "core/log.h"
#include "core/text.h"
#include "io/archive_file.h"
#include "io/model_digest.h"
#include "models/native_inputs.h"
#include "mpi/agree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* For plans: floating-point operations a second of one rank. */
static const double assumed_rate = 5e9;

/* "CHECKPOINT over CORPUS", by their names alone; NULL when memory is out. */
static char *name_source(const mdl_extract_language_t *language)
{
    char *checkpoint = mdl_text_base_name(language->checkpoint);
    char *corpus = mdl_text_base_name(language->corpus_path);
    char *source = NULL;
    if (checkpoint != NULL && corpus != NULL)
        source = mdl_text("%s over %s", checkpoint, corpus);
    free(checkpoint);
    free(corpus);
    return source;
}

static int name_things(mdl_extract_job_t *job, const char *vision, mdl_error_t *err)
{
    static const char *const rows[] = {[MDL_POOL_MEAN] = "mean last hidden state",
                                       [MDL_POOL_LAST] = "last token's last hidden state",
                                       [MDL_POOL_ALL] = "last hidden states of all positions"};
    const mdl_extract_t *extract = job->extract;
    const mdl_training_settings_t *settings = &extract->settings;
    const mdl_optimiser_settings_t *optimiser = &settings->optimiser;
    job->pooling = mdl_pooling_find(extract->pooling);
    job->vision = mdl_text("%s", vision);
    job->label = mdl_text("%s after %s", rows[job->pooling], vision);
    job->source = name_source(job->language);
    job->configuration = mdl_text(
        "model=%s\nvision=%s\npooling=%s\nsamples=%" PRId64 "\nwarmup_rounds=%" PRId64
        "\nseed=%" PRIu64 "\nepochs=%" PRId64 "\nbatch=%" PRId64
        "\nlearning_rate=%.15g\nschedule=%s\nwarmup_ratio=%.15g\nbeta1=%.15g\nbeta2=%.15g"
        "\nepsilon=%.15g\nweight_decay=%.15g\nclip_norm=%.15g%s",
        job->language->model, vision, extract->pooling, extract->samples, extract->warmup,
        settings->seed, settings->epochs, settings->batch, optimiser->learning_rate,
        optimiser->schedule == MDL_SCHEDULE_COSINE ? "cosine" : "linear", optimiser->warmup_ratio,
        optimiser->beta1, optimiser->beta2, optimiser->epsilon, optimiser->weight_decay,
        optimiser->clip_norm, extract->rows != NULL ? "\norder=random" : "");
    if (job->vision == NULL || job->label == NULL || job->source == NULL ||
        job->configuration == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for the names of an extraction");
    return MDL_OK;
}

/* Rank 0: digests of all inputs; those of the language model are kept for its next extraction. */
static int digest_inputs(mdl_extract_job_t *job, const char *vision_digest,
                         char digits[MDL_DIGEST_SIZE], mdl_error_t *err)
{
    mdl_extract_language_t *language = job->language;
    mdl_digest_t *digest;
    int rc;
    if (language->weights_digest[0] == '\0')
        MDL_TRY(mdl_model_digest(language->checkpoint, language->weights_digest, err));
    if (language->corpus_digest[0] == '\0')
        MDL_TRY(mdl_digest_of_file(language->corpus_path, language->corpus_digest, err));
    MDL_TRY(mdl_digest_start(&digest, err));
    mdl_digest_add_text(digest, vision_digest);
    mdl_digest_add_text(digest, language->weights_digest);
    mdl_digest_add_text(digest, language->corpus_digest);
    mdl_digest_finish(digest, digits);
done:
    return rc;
}

/* A study has many files and ends in a line about all of them. */
static mdl_log_level_t level_of(const mdl_extract_job_t *job)
{
    return job->stage->study_path != NULL ? MDL_LOG_VERBOSE : MDL_LOG_INFO;
}

/* How many rows of the present archive are the first of those that are wanted, and whether that is
 * all there is to do. */
static int look_at_rows(mdl_extract_job_t *job, int *current, mdl_error_t *err)
{
    const mdl_extract_rows_t *rows = job->extract->rows;
    const mdl_archive_stop_t *wanted = &rows->stop;
    mdl_archive_t *old = NULL;
    int rc = mdl_archive_open(job->extract->out, &old, err);
    if (rc != MDL_OK)
        return rc;
    while (job->n_kept < old->n_sample && job->n_kept < rows->n_row &&
           strcmp(old->sample_ids[job->n_kept], rows->ids[job->n_kept]) == 0)
        job->n_kept++;
    *current = job->n_kept == rows->n_row;
    if (*current && wanted->state != MDL_ARCHIVE_OPEN)
        *current = old->n_sample == rows->n_row && old->stop.state == wanted->state &&
                   old->stop.n_available == wanted->n_available &&
                   old->stop.confidence == wanted->confidence &&
                   strcmp(old->stop.rule, wanted->rule) == 0;
    mdl_archive_close(old);
    return MDL_OK;
}

/* Rank 0: is the archive there and made from the same? */
static int look(mdl_extract_job_t *job, const char *vision_digest, mdl_provenance_t *provenance,
                int *current, mdl_error_t *err)
{
    char why[256];
    *provenance = (mdl_provenance_t){.schema = MDL_ARCHIVE_SCHEMA,
                                     .version = MDL_ARCHIVE_VERSION,
                                     .configuration = job->configuration};
    int rc = digest_inputs(job, vision_digest, provenance->inputs_digest, err);
    if (rc != MDL_OK)
        return rc;
    *current = mdl_result_is_current(job->extract->out, provenance, why);
    if (!*current && access(job->extract->out, F_OK) == 0)
        mdl_log(MDL_LOG_INFO, "making %s again: %s", job->extract->out, why);
    *current = *current && !job->extract->anew;
    if (*current && job->extract->rows != NULL)
        rc = look_at_rows(job, current, err);
    if (*current)
        mdl_log(level_of(job), "up to date: %s", job->extract->out);
    return rc;
}

int mdl_extract_n_shard(const mdl_study_t *study, const mdl_backend_t *backend, int n_rank)
{
    int64_t n = study->trainer.ranks_per_candidate;
    return mdl_native_inputs_n_shard(study, backend->on_host,
                                     n > 0 && n < n_rank ? (int)n : n_rank);
}

/* Whole, or shared out over groups of n_shard ranks, or more where they don't divide. */
static int load_decoder(const mdl_stage_t *stage, mdl_extract_language_t *language,
                        mdl_error_t *err)
{
    MPI_Comm group;
    if (language->n_shard == 0)
        return mdl_decoder_load(language->backend, language->checkpoint, &language->decoder, err);
    int n_group = stage->n_rank / language->n_shard;
    MPI_Comm_split(stage->comm, stage->rank * n_group / stage->n_rank, stage->rank, &group);
    int rc = mdl_decoder_load_sharded(language->backend, group, language->checkpoint,
                                      &language->decoder, err);
    MPI_Comm_free(&group);
    return rc;
}

/* Collective over stage->comm where the decoder is sharded. */
static int load_language(const mdl_stage_t *stage, mdl_extract_language_t *language,
                         mdl_error_t *err)
{
    int rc = MDL_OK;
    if (language->decoder == NULL)
        MDL_TRY(load_decoder(stage, language, err));
    if (language->corpus == NULL)
        MDL_TRY(mdl_corpus_read(language->corpus_path, &language->corpus, err));
    int64_t n_vocab = mdl_decoder_config(language->decoder)->n_vocab;
    if (language->corpus->vocab_size != n_vocab)
        rc =
            mdl_fail(err, MDL_E_INPUT,
                     "%s: was tokenised for a vocabulary of %" PRId64 ", model %s has %" PRId64
                     "; make it again with the model's own tokenizer",
                     language->corpus_path, language->corpus->vocab_size, language->model, n_vocab);
done:
    return rc;
}

void mdl_extract_release(mdl_extract_language_t *language)
{
    mdl_decoder_free(language->decoder);
    mdl_corpus_free(language->corpus);
    language->decoder = NULL;
    language->corpus = NULL;
}

/* How many rows there will be and how long the longest is. */
static int count_rows(mdl_extract_job_t *job, const mdl_corpus_t *corpus, int64_t n_visual,
                      mdl_error_t *err)
{
    job->n_sample = job->extract->samples < corpus->n_eval ? job->extract->samples : corpus->n_eval;
    if (job->n_sample < 1)
        return mdl_fail(err, MDL_E_INPUT,
                        "%s: has no evaluation samples (split 1) to extract hidden states of",
                        corpus->path);
    for (int64_t i = 0; i < job->n_sample; i++) {
        int64_t length = mdl_corpus_length(corpus, corpus->eval[i]) + n_visual;
        job->n_position = length > job->n_position ? length : job->n_position;
    }
    return MDL_OK;
}

typedef struct {
    const char *image;
    int64_t place; /* among the evaluation samples */
} named_t;

static int by_image_and_place(const void *left, const void *right)
{
    const named_t *a = left, *b = right;
    int order = strcmp(a->image, b->image);
    return order != 0 ? order : (a->place > b->place) - (a->place < b->place);
}

int mdl_extract_ids(const mdl_corpus_t *corpus, int64_t n, char ***ids, mdl_error_t *err)
{
    named_t *named = NULL;
    int64_t *k = NULL;
    size_t n_byte = (size_t)n * (sizeof(char *) + 22);
    int rc;
    *ids = NULL;
    MDL_TRY(mdl_alloc(&named, (size_t)n, sizeof *named, "sample ids", err));
    MDL_TRY(mdl_alloc(&k, (size_t)n, sizeof *k, "sample ids", err));
    for (int64_t i = 0; i < n; i++) {
        named[i] = (named_t){corpus->image[corpus->eval[i]], i};
        n_byte += strlen(named[i].image);
    }
    qsort(named, (size_t)n, sizeof *named, by_image_and_place);
    for (int64_t i = 1; i < n; i++)
        if (strcmp(named[i].image, named[i - 1].image) == 0)
            k[named[i].place] = k[named[i - 1].place] + 1;
    MDL_TRY(mdl_alloc(ids, n_byte, 1, "sample ids", err));
    char *next = (char *)(*ids + n);
    for (int64_t i = 0; i < n; i++) {
        (*ids)[i] = next;
        next += 1 + sprintf(next, "%s#%" PRId64, corpus->image[corpus->eval[i]], k[i]);
    }
done:
    free(named);
    free(k);
    return rc;
}

/* What new rows need, the warmed-up projector too. Collective as load_language is. */
static int prepare(mdl_extract_job_t *job, mdl_error_t *err)
{
    const mdl_extract_t *extract = job->extract;
    mdl_extract_language_t *language = job->language;
    int rc;
    MDL_TRY(load_language(job->stage, language, err));
    MDL_TRY(mdl_features_read(extract->vision, language->corpus, &job->features, err));
    MDL_TRY(count_rows(job, language->corpus, job->features->n_visual, err));
    if (extract->rows == NULL)
        MDL_TRY(mdl_extract_ids(language->corpus, job->n_sample, &job->ids, err));
    job->n_feat = mdl_decoder_config(language->decoder)->n_feat;
    if (extract->adapter != NULL)
        job->adapter = *extract->adapter;
    if (job->adapter == NULL)
        MDL_TRY(mdl_training_warm_up(&extract->settings, language->decoder, language->corpus,
                                     job->features, extract->warmup, &job->adapter, err));
    if (extract->adapter != NULL)
        *extract->adapter = job->adapter;
    job->n_pass = mdl_training_max_length(&extract->settings, mdl_decoder_config(language->decoder),
                                          job->n_position);
    rc = mdl_workspace_new(language->decoder, job->adapter, job->n_pass, MDL_KEEP_NOTHING,
                           &job->workspace, err);
done:
    return rc;
}

/* What old rows and new ones need. Collective. */
static int get_ready(mdl_extract_job_t *job, mdl_error_t *err)
{
    const mdl_extract_rows_t *rows = job->extract->rows;
    MPI_Comm comm = job->stage->comm;
    int rc = MDL_OK;
    if (job->n_kept > 0)
        rc = mdl_archive_open(job->extract->out, &job->old, err);
    MDL_TRY(mdl_agree(comm, rc, err));
    if (job->n_kept > 0)
        job->n_feat = job->old->n_feat;
    if (rows == NULL || job->n_kept < rows->n_row)
        rc = prepare(job, err);
    MDL_TRY(mdl_agree(comm, rc, err));
    job->n_row = rows != NULL ? rows->n_row : job->n_sample;
done:
    return rc;
}

static int run(mdl_extract_job_t *job, const mdl_provenance_t *provenance, mdl_error_t *err)
{
    const mdl_extract_rows_t *rows = job->extract->rows;
    mdl_archive_writer_t *writer = NULL;
    MPI_Bcast(&job->n_kept, 1, MPI_INT64_T, 0, job->stage->comm);
    int rc;
    MDL_TRY(get_ready(job, err));
    mdl_archive_info_t info = {.model = job->language->model,
                               .side = "language",
                               .label = job->label,
                               .source = job->source,
                               .encoding = MDL_FLOAT32,
                               .n_sample = job->n_row,
                               .n_token = job->pooling == MDL_POOL_ALL ? job->n_position : 0,
                               .n_feat = job->n_feat,
                               .sample_ids =
                                   rows != NULL ? rows->ids : (const char *const *)job->ids};
    if (rows != NULL)
        info.stop = rows->stop;
    MDL_TRY(
        mdl_archive_create(job->stage->comm, job->extract->out, provenance, &info, &writer, err));
    rc = mdl_extract_write_rows(job, writer, err);
    MDL_TRY(mdl_archive_finish(writer, rc, err));
    mdl_log(level_of(job), "wrote %s: %" PRId64 " rows of %" PRId64 " features", job->extract->out,
            job->n_row, job->n_feat);
done:
    return rc;
}

/* Reads what a plan needs, without the weights, and prints it. */
static int print_plan(mdl_extract_job_t *job, const mdl_archive_t *vision, mdl_error_t *err)
{
    mdl_extract_language_t *language = job->language;
    int64_t n_visual = vision->n_token > 0 ? vision->n_token : 1;
    mdl_model_config_t config;
    char stored[32], memory[32], duration[32], sharded[48] = "";
    char *path = mdl_text("%s/config.json", language->checkpoint);
    int rc;
    if (path == NULL)
        MDL_TRY(mdl_fail(err, MDL_E_MEMORY, "out of memory for a path"));
    MDL_TRY(mdl_model_config_read(path, &config, err));
    if (language->corpus == NULL)
        MDL_TRY(mdl_corpus_read(language->corpus_path, &language->corpus, err));
    const mdl_corpus_t *corpus = language->corpus;
    MDL_TRY(count_rows(job, corpus, n_visual, err));
    double n_weight = (double)mdl_model_config_n_weight(&config);
    double n_row_byte = 4.0 * (double)config.n_feat;
    mdl_workspace_keep_t keep =
        job->extract->warmup > 0 ? job->extract->settings.keep : MDL_KEEP_NOTHING;
    if (language->n_shard > 0)
        snprintf(sharded, sizeof sharded, " (weights sharded over %d)", language->n_shard);
    if (job->pooling == MDL_POOL_ALL)
        n_row_byte *= (double)job->n_position;
    int64_t n_pass =
        mdl_training_max_length(&job->extract->settings, &config, corpus->max_length + n_visual);
    double n_memory = (double)mdl_decoder_memory(&config, 0, 1, language->n_shard).n_backend +
                      4.0 * (double)(vision->n_sample * n_visual * vision->n_feat) +
                      (double)mdl_workspace_n_byte(&mdl_backend_room_cpu, &config, vision->n_feat,
                                                   0, n_pass, keep);
    double n_run = (double)job->n_sample / job->stage->n_rank +
                   2.0 * (double)(job->extract->warmup * job->extract->settings.batch);
    printf(
        "%s + %s -> %s: %" PRId64 " rows of %" PRId64 " float32, %s; memory %s a rank%s; "
        "about %s at %.0f GFLOP/s a rank\n",
        job->vision, language->model, job->extract->out, job->n_sample, config.n_feat,
        mdl_text_bytes((double)job->n_sample * n_row_byte, stored),
        mdl_text_bytes(n_memory, memory), sharded,
        mdl_text_duration(2 * n_weight * (double)job->n_position * n_run / assumed_rate, duration),
        assumed_rate / 1e9);
done:
    free(path);
    return rc;
}

static void release(mdl_extract_job_t *job)
{
    mdl_archive_close(job->old);
    mdl_workspace_free(job->workspace);
    if (job->extract->adapter == NULL)
        mdl_adapter_free(job->adapter);
    mdl_features_free(job->features);
    free(job->ids);
    free(job->vision);
    free(job->configuration);
    free(job->label);
    free(job->source);
}

/* What every rank must know of the archive, and what rank 0 finds in its place. */
static int begin(mdl_extract_job_t *job, mdl_archive_t **vision, mdl_provenance_t *provenance,
                 int *current, mdl_error_t *err)
{
    const mdl_stage_t *stage = job->stage;
    int rc = mdl_archive_open(job->extract->vision, vision, err);
    if (rc == MDL_OK)
        rc = name_things(job, (*vision)->model, err);
    MDL_TRY(mdl_agree(stage->comm, rc, err));
    if (stage->dry_run)
        goto done;
    MDL_TRY(mdl_on_root(stage->comm, stage->rank,
                        look(job, (*vision)->content_digest, provenance, current, err), err));
    MPI_Bcast(current, 1, MPI_INT, 0, stage->comm);
done:
    return rc;
}

int mdl_extract_states(mdl_stage_t *stage, mdl_extract_language_t *language,
                       const mdl_extract_t *extract, mdl_archive_tally_t *tally, mdl_error_t *err)
{
    mdl_extract_job_t job = {.stage = stage, .language = language, .extract = extract};
    mdl_archive_t *vision = NULL;
    mdl_provenance_t provenance;
    int current = 0, rc;
    MDL_TRY(begin(&job, &vision, &provenance, &current, err));
    if (stage->dry_run) {
        rc = mdl_on_root(stage->comm, stage->rank, print_plan(&job, vision, err), err);
        goto done;
    }
    if (!current)
        MDL_TRY(run(&job, &provenance, err));
    tally->n_current += current;
    tally->n_written += !current;
done:
    mdl_archive_close(vision);
    release(&job);
    return rc;
}

int mdl_extract_is_current(mdl_stage_t *stage, mdl_extract_language_t *language,
                           const mdl_extract_t *extract, int *current, mdl_error_t *err)
{
    mdl_extract_job_t job = {.stage = stage, .language = language, .extract = extract};
    mdl_archive_t *vision = NULL;
    mdl_provenance_t provenance;
    *current = 0;
    int rc = begin(&job, &vision, &provenance, current, err);
    mdl_archive_close(vision);
    release(&job);
    return rc;
}
