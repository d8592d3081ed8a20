#include "archive/extract_vision.h"

#include "core/log.h"
#include "core/text.h"
#include "io/model_digest.h"
#include "io/row_journal.h"
#include "models/encoder.h"
#include "models/preprocess.h"
#include "mpi/agree.h"
#include "mpi/block.h"
#include "mpi/progress.h"
#include "mpi/stop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Images that are encoded together, and bytes of rows that a rank then writes to the archive at a
 * time. */
enum { PIECE = 4, PIECE_BYTES = 16 << 20 };

/* For plans: floating-point operations a second of one rank. */
static const double assumed_rate = 2e10;

typedef struct {
    mdl_stage_t *stage;
    const mdl_extract_vision_t *extract;
    mdl_preprocessor_t preprocessor;
    mdl_encoder_t *encoder;
    int64_t height, width; /* of the encoder's pixels */
    int64_t state;         /* the chosen one */
    mdl_encoder_shape_t shape;
    int64_t n_row_token; /* of a row in the archive; 0: pooled */
    int64_t n_value;     /* of a row in the archive */
    char *preprocessor_path, *configuration, *label, *source;
} job_t;

/* The index of the state that --layer means. */
static int choose_state(job_t *job, mdl_error_t *err)
{
    int64_t n_layer = mdl_encoder_config(job->encoder)->n_layer, layer = job->extract->layer;
    int is_convnext = mdl_encoder_config(job->encoder)->family == MDL_VISION_CONVNEXT;
    if (layer == 0)
        layer = is_convnext ? -1 : -2;
    job->state = layer < 0 ? n_layer + 1 + layer : layer;
    if (job->state < 1 || job->state > n_layer)
        return mdl_fail(err, MDL_E_INPUT,
                        "layer is %" PRId64 "; the encoder in %s has the layers 1 to %" PRId64,
                        layer, job->extract->checkpoint, n_layer);
    return MDL_OK;
}

static int choose_rows(job_t *job, mdl_error_t *err)
{
    const char *pooling = job->extract->pooling;
    if (strcmp(pooling, "cls") == 0 && job->shape.n_prefix == 0)
        return mdl_fail(err, MDL_E_INPUT,
                        "pooling cls: the encoder in %s has no class token; take mean or patches",
                        job->extract->checkpoint);
    job->n_row_token = strcmp(pooling, "patches") == 0 ? job->shape.height * job->shape.width : 0;
    job->n_value = job->shape.n_feat * (job->n_row_token > 0 ? job->n_row_token : 1);
    return MDL_OK;
}

/* All that this rank needs. Not collective. */
static int prepare(job_t *job, mdl_error_t *err)
{
    const char *folder = job->extract->checkpoint;
    int rc;
    MDL_TRY(mdl_preprocessor_find(folder, &job->preprocessor_path, err));
    MDL_TRY(mdl_preprocessor_read(job->preprocessor_path, &job->preprocessor, err));
    MDL_TRY(mdl_preprocess_size(&job->preprocessor, &job->height, &job->width, err));
    MDL_TRY(mdl_encoder_load(job->extract->backend, folder, &job->encoder, err));
    MDL_TRY(choose_state(job, err));
    MDL_TRY(mdl_encoder_shape(job->encoder, job->state, job->height, job->width, &job->shape, err));
    rc = choose_rows(job, err);
done:
    return rc;
}

static int name_things(job_t *job, mdl_error_t *err)
{
    const mdl_extract_vision_t *extract = job->extract;
    const char *rows = strcmp(extract->pooling, "mean") == 0  ? "mean over the patches"
                       : strcmp(extract->pooling, "cls") == 0 ? "class token"
                                                              : "patches";
    char *images = mdl_text_base_name(extract->images->path);
    job->label = mdl_text("%s of layer %" PRId64, rows, job->state);
    job->source = mdl_text("images of %s", images != NULL ? images : "");
    job->configuration = mdl_text("model=%s\nlayer=%" PRId64 "\npooling=%s", extract->model,
                                  job->state, extract->pooling);
    int missing =
        images == NULL || job->label == NULL || job->source == NULL || job->configuration == NULL;
    free(images);
    return missing ? mdl_fail(err, MDL_E_MEMORY, "out of memory for the names of an extraction")
                   : MDL_OK;
}

/* Rank 0: digests of the encoder, of how it wants its images, and of the images. */
static int digest_inputs(const job_t *job, char digits[MDL_DIGEST_SIZE], mdl_error_t *err)
{
    char model[MDL_DIGEST_SIZE], preprocessor[MDL_DIGEST_SIZE];
    mdl_digest_t *digest;
    int rc;
    MDL_TRY(mdl_model_digest(job->extract->checkpoint, model, err));
    MDL_TRY(mdl_digest_of_file(job->preprocessor_path, preprocessor, err));
    MDL_TRY(mdl_digest_start(&digest, err));
    mdl_digest_add_text(digest, model);
    mdl_digest_add_text(digest, preprocessor);
    mdl_digest_add_text(digest, job->extract->images->digits);
    mdl_digest_finish(digest, digits);
done:
    return rc;
}

/* Rank 0: is the archive there and made from the same? */
static int look(const job_t *job, mdl_provenance_t *provenance, int *current, mdl_error_t *err)
{
    char why[256];
    const char *out = job->extract->out;
    *provenance = (mdl_provenance_t){.schema = MDL_ARCHIVE_SCHEMA,
                                     .version = MDL_ARCHIVE_VERSION,
                                     .configuration = job->configuration};
    int rc = digest_inputs(job, provenance->inputs_digest, err);
    if (rc != MDL_OK)
        return rc;
    *current = mdl_result_is_current(out, provenance, why);
    if (*current && !job->stage->force)
        mdl_log(MDL_LOG_INFO, "up to date: %s", out);
    else if (!*current && access(out, F_OK) == 0)
        mdl_log(MDL_LOG_INFO, "making %s again: %s", out, why);
    *current = *current && !job->stage->force;
    if (*current)
        mdl_row_journal_remove(out);
    return MDL_OK;
}

static int read_pixels(const job_t *job, int64_t index, float *pixel, mdl_error_t *err)
{
    const mdl_image_source_t *images = job->extract->images;
    mdl_image_t image = {0};
    int rc = mdl_image_source_read(images, index, &image, err);
    if (rc == MDL_OK) {
        rc = mdl_preprocess(&job->preprocessor, &image, pixel, err);
        if (rc != MDL_OK)
            mdl_error_prefix(err, "%s: %s", images->path, images->id[index]);
    }
    free(image.rgb);
    return rc;
}

/* state [n_token, n_feat] of one image to its row. The mean is summed in float64. */
static void pool(const job_t *job, const float *state, float *row)
{
    const mdl_encoder_shape_t *shape = &job->shape;
    int64_t n_feat = shape->n_feat, n_patch = shape->height * shape->width;
    const float *patches = state + shape->n_prefix * n_feat;
    if (job->n_row_token > 0) {
        memcpy(row, patches, (size_t)(n_patch * n_feat) * sizeof *row);
    } else if (strcmp(job->extract->pooling, "cls") == 0) {
        memcpy(row, state, (size_t)n_feat * sizeof *row);
    } else {
        for (int64_t i = 0; i < n_feat; i++) {
            double sum = 0;
            for (int64_t patch = 0; patch < n_patch; patch++)
                sum += (double)patches[patch * n_feat + i];
            row[i] = (float)(sum / (double)n_patch);
        }
    }
}

/* What a piece of images needs. */
typedef struct {
    float *pixel, *hidden, *row, **state;
} room_t;

static int make_room(const job_t *job, room_t *room, mdl_error_t *err)
{
    const mdl_encoder_shape_t *shape = &job->shape;
    int rc;
    MDL_TRY(mdl_alloc(&room->pixel, PIECE * 3, (size_t)(job->height * job->width) * sizeof(float),
                      "images", err));
    MDL_TRY(mdl_alloc(&room->hidden, (size_t)(PIECE * shape->n_token),
                      (size_t)shape->n_feat * sizeof(float), "hidden states", err));
    MDL_TRY(mdl_alloc(&room->row, (size_t)job->n_value, sizeof(float), "a row", err));
    MDL_TRY(mdl_alloc(&room->state, (size_t)mdl_encoder_n_state(job->encoder), sizeof *room->state,
                      "states", err));
    room->state[job->state] = room->hidden;
done:
    return rc;
}

static void free_room(room_t *room)
{
    free(room->pixel);
    free(room->hidden);
    free(room->row);
    free(room->state);
}

/* The rows of a piece that aren't there. Pieces are cut by the images' places alone and encoded as
 * a whole, so that a row doesn't depend on the ranks or on where an earlier run ended. */
static int add_piece(const job_t *job, const room_t *room, int64_t piece,
                     mdl_row_journal_t *journal, mdl_error_t *err)
{
    const mdl_encoder_output_t output = {.state = room->state};
    int64_t first = piece * PIECE, n = job->extract->images->n - first, n_pixel, n_hidden;
    int rc = MDL_OK;
    n = n < PIECE ? n : PIECE;
    n_pixel = 3 * job->height * job->width;
    n_hidden = job->shape.n_token * job->shape.n_feat;
    for (int64_t i = 0; i < n; i++)
        MDL_TRY(read_pixels(job, first + i, room->pixel + i * n_pixel, err));
    MDL_TRY(
        mdl_encoder_forward(job->encoder, room->pixel, n, job->height, job->width, &output, err));
    for (int64_t i = 0; i < n; i++) {
        if (mdl_row_journal_has(journal, first + i))
            continue;
        pool(job, room->hidden + i * n_hidden, room->row);
        MDL_TRY(mdl_row_journal_add(journal, first + i, room->row, err));
    }
done:
    return rc;
}

static int stop_together(const job_t *job, int64_t n_left, mdl_error_t *err)
{
    int stop = mdl_stop_wanted();
    MPI_Allreduce(MPI_IN_PLACE, &stop, 1, MPI_INT, MPI_MAX, job->stage->comm);
    return stop && n_left > 0
               ? mdl_fail(err, MDL_E_AGAIN,
                          "%s: %" PRId64 " of %" PRId64 " images are encoded; run the same command "
                          "again to go on",
                          job->extract->out, job->extract->images->n - n_left,
                          job->extract->images->n)
               : MDL_OK;
}

/* The pieces with an image that has no row, in their order; n_left counts such images. */
static int list_missing(const job_t *job, const mdl_row_journal_t *journal, int64_t **missing,
                        int64_t *n_missing, int64_t *n_left, mdl_error_t *err)
{
    int64_t n = job->extract->images->n;
    int rc = mdl_alloc(missing, (size_t)(n / PIECE + 1), sizeof **missing, "a list of images", err);
    *n_missing = *n_left = 0;
    for (int64_t i = 0; rc == MDL_OK && i < n; i++) {
        if (mdl_row_journal_has(journal, i))
            continue;
        (*n_left)++;
        if (*n_missing == 0 || (*missing)[*n_missing - 1] != i / PIECE)
            (*missing)[(*n_missing)++] = i / PIECE;
    }
    if (rc == MDL_OK && *n_left < n)
        mdl_log(MDL_LOG_INFO, "goes on: %" PRId64 " of %" PRId64 " images are encoded", n - *n_left,
                n);
    return rc;
}

/* The missing rows to the journal, a piece a rank at a time. */
static int compute_rows(const job_t *job, mdl_row_journal_t *journal, mdl_error_t *err)
{
    int64_t *missing = NULL, n_missing = 0, n_left = 0, n_rank = job->stage->n_rank;
    room_t room = {0};
    mdl_progress_t progress;
    int rc = make_room(job, &room, err);
    if (rc == MDL_OK)
        rc = list_missing(job, journal, &missing, &n_missing, &n_left, err);
    MDL_TRY(mdl_agree(job->stage->comm, rc, err));
    mdl_progress_start(&progress, "images", (double)n_left);
    for (int64_t n_done = 0; n_done < n_missing; n_done += n_rank) {
        int64_t mine = n_done + job->stage->rank;
        if (mine < n_missing)
            rc = add_piece(job, &room, missing[mine], journal, err);
        MDL_TRY(mdl_agree(job->stage->comm, rc, err));
        double share = (double)(n_done + n_rank) / (double)n_missing;
        share = share < 1 ? share : 1;
        MDL_TRY(stop_together(job, (int64_t)((1 - share) * (double)n_left), err));
        mdl_progress_update(&progress, share * (double)n_left);
    }
done:
    free(missing);
    free_room(&room);
    return rc;
}

/* From the journal to the archive; a rank writes a block of the rows. */
static int copy_rows(const job_t *job, mdl_row_journal_t *journal, mdl_archive_writer_t *writer,
                     mdl_error_t *err)
{
    int n_rank = job->stage->n_rank;
    int64_t first, end, n_image = job->extract->images->n;
    int64_t n_piece = PIECE_BYTES / (job->n_value * (int64_t)sizeof(float));
    float *rows = NULL;
    n_piece = n_piece > 0 ? n_piece : 1;
    mdl_block_range(n_image, n_rank, job->stage->rank, &first, &end);
    int rc = mdl_alloc(&rows, (size_t)(n_piece * job->n_value), sizeof *rows, "rows to write", err);
    MDL_TRY(mdl_agree(job->stage->comm, rc, err));
    int64_t most = (n_image + n_rank - 1) / n_rank; /* all ranks take equally many steps */
    for (int64_t n_done = 0; n_done < most; n_done += n_piece) {
        int64_t row = first + n_done < end ? first + n_done : end;
        int64_t n = end - row < n_piece ? end - row : n_piece;
        for (int64_t i = 0; i < n && rc == MDL_OK; i++)
            rc = mdl_row_journal_read(journal, row + i, rows + i * job->n_value, err);
        MDL_TRY(mdl_agree(job->stage->comm, rc, err));
        MDL_TRY(mdl_archive_write(writer, row, n, rows, err));
    }
done:
    free(rows);
    return rc;
}

static int write_archive(const job_t *job, const mdl_provenance_t *provenance,
                         mdl_row_journal_t *journal, mdl_error_t *err)
{
    mdl_archive_writer_t *writer = NULL;
    const mdl_extract_vision_t *extract = job->extract;
    mdl_archive_info_t info = {.model = extract->model,
                               .side = "vision",
                               .label = job->label,
                               .source = job->source,
                               .encoding = MDL_FLOAT32,
                               .n_sample = extract->images->n,
                               .n_token = job->n_row_token,
                               .n_feat = job->shape.n_feat,
                               .sample_ids = (const char *const *)extract->images->id};
    int rc = mdl_archive_create(job->stage->comm, extract->out, provenance, &info, &writer, err);
    if (rc != MDL_OK)
        return rc;
    rc = copy_rows(job, journal, writer, err);
    rc = mdl_archive_finish(writer, rc, err);
    if (rc == MDL_OK)
        mdl_log(MDL_LOG_INFO, "wrote %s: %" PRId64 " rows of %" PRId64 " features", extract->out,
                extract->images->n, job->shape.n_feat);
    return rc;
}

/* Rank 0: what the rows' bits depend on. */
static int journal_key(const job_t *job, const mdl_provenance_t *provenance,
                       char key[MDL_DIGEST_SIZE], mdl_error_t *err)
{
    mdl_digest_t *digest;
    int rc = mdl_digest_start(&digest, err);
    if (rc != MDL_OK)
        return rc;
    mdl_digest_add_text(digest, provenance->configuration);
    mdl_digest_add_text(digest, provenance->inputs_digest);
    mdl_digest_add_text(digest, job->extract->backend->name);
    mdl_digest_finish(digest, key);
    return MDL_OK;
}

static int make_archive(const job_t *job, const mdl_provenance_t *provenance, mdl_error_t *err)
{
    mdl_stage_t *stage = job->stage;
    const char *out = job->extract->out;
    mdl_row_journal_t *journal = NULL;
    char key[MDL_DIGEST_SIZE] = "";
    int rc;
    MDL_TRY(mdl_on_root(stage->comm, stage->rank, journal_key(job, provenance, key, err), err));
    MPI_Bcast(key, MDL_DIGEST_SIZE, MPI_CHAR, 0, stage->comm);
    MDL_TRY(mdl_row_journal_open(stage->comm, out, key, job->extract->images->n,
                                 (size_t)job->n_value * sizeof(float), &journal, err));
    MDL_TRY(compute_rows(job, journal, err));
    MDL_TRY(mdl_row_journal_finish(journal, err));
    MDL_TRY(write_archive(job, provenance, journal, err));
    if (stage->rank == 0)
        mdl_row_journal_remove(out);
done:
    mdl_row_journal_close(journal);
    return rc;
}

static void print_plan(const job_t *job)
{
    const mdl_encoder_shape_t *shape = &job->shape;
    const mdl_vision_config_t *config = mdl_encoder_config(job->encoder);
    int64_t n_image = job->extract->images->n;
    double n_weight =
        (double)config->n_feat * (4.0 * (double)config->n_feat + 3.0 * (double)config->n_mlp_feat);
    double n_operation = 2 * n_weight * (double)(job->state * shape->n_token * n_image);
    char stored[32], duration[32];
    if (job->stage->rank == 0)
        printf("%s -> %s: %" PRId64 " rows of %" PRId64 " float32, %s; about %s at %.0f GFLOP/s a "
               "rank\n",
               job->extract->model, job->extract->out, n_image, job->n_value,
               mdl_text_bytes(4.0 * (double)(n_image * job->n_value), stored),
               mdl_text_duration(n_operation / job->stage->n_rank / assumed_rate, duration),
               assumed_rate / 1e9);
}

int mdl_extract_features(mdl_stage_t *stage, const mdl_extract_vision_t *extract,
                         mdl_archive_tally_t *tally, mdl_error_t *err)
{
    job_t job = {.stage = stage, .extract = extract};
    mdl_provenance_t provenance;
    int current = 0;
    int rc = prepare(&job, err);
    if (rc == MDL_OK)
        rc = name_things(&job, err);
    MDL_TRY(mdl_agree(stage->comm, rc, err));
    if (stage->dry_run) {
        print_plan(&job);
        goto done;
    }
    MDL_TRY(mdl_image_source_digest(stage->comm, extract->images, err));
    MDL_TRY(mdl_on_root(stage->comm, stage->rank, look(&job, &provenance, &current, err), err));
    MPI_Bcast(&current, 1, MPI_INT, 0, stage->comm);
    tally->n_current += current;
    if (current)
        goto done;
    MDL_TRY(make_archive(&job, &provenance, err));
    tally->n_written++;
done:
    mdl_encoder_free(job.encoder);
    free(job.preprocessor_path);
    free(job.label);
    free(job.source);
    free(job.configuration);
    return rc;
}
