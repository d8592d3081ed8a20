/* mordal-archive extract-vision: features of a vision encoder on a folder of images. */
#include "archive/archive.h"
#include "archive/image_list.h"
#include "core/log.h"
#include "core/text.h"
#include "io/model_digest.h"
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

/* Images that a rank encodes between two writes. */
enum { PIECE = 4 };

/* For plans: floating-point operations a second of one rank. */
static const double assumed_rate = 2e10;

typedef struct {
    mdl_stage_t *stage;
    const mdl_archive_options_t *options;
    mdl_image_list_t images;
    mdl_preprocessor_t preprocessor;
    mdl_encoder_t *encoder;
    int64_t height, width; /* of the encoder's pixels */
    int64_t state;         /* the chosen one */
    mdl_encoder_shape_t shape;
    int64_t n_row_token; /* of a row in the archive; 0: pooled */
    char *model, *configuration, *label, *source;
} job_t;

static const mdl_option_t table[] = {
    {"checkpoint", 0, MDL_OPTION_TEXT, "DIR",
     "the encoder: folder with config.json, preprocessor_config.json and model.safetensors "
     "(required)",
     offsetof(mdl_archive_options_t, checkpoint)},
    {"images", 0, MDL_OPTION_TEXT, "FOLDER",
     "its .png, .jpg and .jpeg files; a row is called as its file, less the ending (required)",
     offsetof(mdl_archive_options_t, images)},
    {"output", 'o', MDL_OPTION_TEXT, "OUT.h5", "the archive file to make (required)",
     offsetof(mdl_archive_options_t, out)},
    {"model", 0, MDL_OPTION_TEXT, "NAME", "name of the encoder (default: the name of its folder)",
     offsetof(mdl_archive_options_t, model)},
    {"layer", 0, MDL_OPTION_INT, "L",
     "the output of block (stage of ConvNeXt) L, from 1; -1 is the last, -2 the one before "
     "(default: -2, of ConvNeXt -1)",
     offsetof(mdl_archive_options_t, layer)},
    {"pooling", 0, MDL_OPTION_CHOICE, "mean|cls|patches",
     "mean over the patches, the class token, or every patch (default: mean)",
     offsetof(mdl_archive_options_t, pooling)},
};

/* The index of the state that --layer means. */
static int choose_state(job_t *job, mdl_error_t *err)
{
    int64_t n_layer = mdl_encoder_config(job->encoder)->n_layer, layer = job->options->layer;
    int is_convnext = mdl_encoder_config(job->encoder)->family == MDL_VISION_CONVNEXT;
    if (layer == 0)
        layer = is_convnext ? -1 : -2;
    job->state = layer < 0 ? n_layer + 1 + layer : layer;
    if (job->state < 1 || job->state > n_layer)
        return mdl_fail(err, MDL_E_INPUT,
                        "--layer is %" PRId64 "; the encoder in %s has the layers 1 to %" PRId64,
                        layer, job->options->checkpoint, n_layer);
    return MDL_OK;
}

static int choose_rows(job_t *job, mdl_error_t *err)
{
    const char *pooling = job->options->pooling;
    if (strcmp(pooling, "cls") == 0 && job->shape.n_prefix == 0)
        return mdl_fail(err, MDL_E_INPUT,
                        "--pooling cls: the encoder in %s has no class token; take mean or patches",
                        job->options->checkpoint);
    job->n_row_token = strcmp(pooling, "patches") == 0 ? job->shape.height * job->shape.width : 0;
    return MDL_OK;
}

/* All that this rank needs. Not collective. */
static int prepare(job_t *job, mdl_error_t *err)
{
    char *path = mdl_text("%s/preprocessor_config.json", job->options->checkpoint);
    int rc;
    if (path == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    MDL_TRY(mdl_preprocessor_read(path, &job->preprocessor, err));
    MDL_TRY(mdl_preprocess_size(&job->preprocessor, &job->height, &job->width, err));
    MDL_TRY(mdl_encoder_load(job->options->checkpoint, &job->encoder, err));
    MDL_TRY(choose_state(job, err));
    MDL_TRY(mdl_encoder_shape(job->encoder, job->state, job->height, job->width, &job->shape, err));
    rc = choose_rows(job, err);
done:
    free(path);
    return rc;
}

/* The last part of a folder's path, without slashes behind it; freed by the caller. */
static char *folder_name(const char *path)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    return mdl_text("%.*s", (int)(end - start), path + start);
}

static int name_things(job_t *job, mdl_error_t *err)
{
    const mdl_archive_options_t *options = job->options;
    char *images = folder_name(options->images);
    job->model =
        options->model != NULL ? mdl_text("%s", options->model) : folder_name(options->checkpoint);
    job->label = mdl_text("%s of layer %" PRId64,
                          strcmp(options->pooling, "mean") == 0  ? "mean over the patches"
                          : strcmp(options->pooling, "cls") == 0 ? "class token"
                                                                 : "patches",
                          job->state);
    job->source = mdl_text("images of %s", images != NULL ? images : "");
    job->configuration =
        mdl_text("model=%s\nlayer=%" PRId64 "\npooling=%s", job->model != NULL ? job->model : "",
                 job->state, options->pooling);
    int missing = images == NULL || job->model == NULL || job->label == NULL ||
                  job->source == NULL || job->configuration == NULL;
    free(images);
    return missing ? mdl_fail(err, MDL_E_MEMORY, "out of memory for the names of an extraction")
                   : MDL_OK;
}

/* Rank 0: digests of the encoder, of how it wants its images, and of the images. */
static int digest_inputs(const job_t *job, char digits[MDL_DIGEST_SIZE], mdl_error_t *err)
{
    const char *folder = job->options->checkpoint;
    char part[MDL_DIGEST_SIZE];
    char *path = mdl_text("%s/preprocessor_config.json", folder);
    mdl_digest_t *digest = NULL;
    int rc = path != NULL ? mdl_digest_start(&digest, err)
                          : mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    if (rc == MDL_OK)
        rc = mdl_model_digest(folder, part, err);
    if (rc == MDL_OK) {
        mdl_digest_add_text(digest, part);
        rc = mdl_digest_of_file(path, part, err);
    }
    if (rc == MDL_OK) {
        mdl_digest_add_text(digest, part);
        rc = mdl_image_list_digest(&job->images, job->options->images, digest, err);
    }
    if (digest != NULL)
        mdl_digest_finish(digest, digits);
    free(path);
    return rc;
}

/* Rank 0: is the archive there and made from the same? */
static int look(const job_t *job, mdl_provenance_t *provenance, int *current, mdl_error_t *err)
{
    char why[256];
    const char *out = job->options->out;
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
    return MDL_OK;
}

static int read_pixels(const job_t *job, int64_t index, float *pixel, mdl_error_t *err)
{
    mdl_image_t image = {0};
    char *path = mdl_text("%s/%s", job->options->images, job->images.name[index]);
    int rc = path != NULL ? mdl_image_read(path, &image, err)
                          : mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    if (rc == MDL_OK) {
        rc = mdl_preprocess(&job->preprocessor, &image, pixel, err);
        if (rc != MDL_OK)
            mdl_error_prefix(err, "%s", path);
    }
    free(image.rgb);
    free(path);
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
    } else if (strcmp(job->options->pooling, "cls") == 0) {
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
    size_t n_hidden = (size_t)(shape->n_token * shape->n_feat);
    int rc = MDL_OK;
    MDL_TRY(mdl_alloc(&room->pixel, PIECE * 3, (size_t)(job->height * job->width) * sizeof(float),
                      "images", err));
    MDL_TRY(mdl_alloc(&room->hidden, PIECE * n_hidden, sizeof(float), "hidden states", err));
    MDL_TRY(mdl_alloc(&room->row, PIECE * n_hidden, sizeof(float), "rows", err));
    MDL_TRY(mdl_alloc(&room->state, (size_t)mdl_encoder_n_state(job->encoder), sizeof *room->state,
                      "states", err));
    room->state[job->state] = room->hidden;
done:
    return rc;
}

/* Each image by itself, so that a row doesn't depend on what else is encoded with it. */
static int compute_rows(const job_t *job, const room_t *room, int64_t first, int64_t n,
                        mdl_error_t *err)
{
    const mdl_encoder_output_t output = {.state = room->state};
    int64_t n_row = job->shape.n_feat * (job->n_row_token > 0 ? job->n_row_token : 1);
    int rc = MDL_OK;
    for (int64_t i = 0; i < n && rc == MDL_OK; i++) {
        rc = read_pixels(job, first + i, room->pixel, err);
        if (rc == MDL_OK)
            rc = mdl_encoder_forward(job->encoder, room->pixel, 1, job->height, job->width, &output,
                                     err);
        if (rc == MDL_OK)
            pool(job, room->hidden, room->row + i * n_row);
    }
    return rc;
}

static int stop_together(const job_t *job, mdl_error_t *err)
{
    int stop = mdl_stop_wanted();
    MPI_Allreduce(MPI_IN_PLACE, &stop, 1, MPI_INT, MPI_MAX, job->stage->comm);
    return stop ? mdl_fail(err, MDL_E_AGAIN, "%s is not written yet", job->options->out) : MDL_OK;
}

static int write_rows(const job_t *job, mdl_archive_writer_t *writer, mdl_error_t *err)
{
    int n_rank = job->stage->n_rank;
    int64_t first, end, n_image = job->images.n;
    room_t room = {0};
    mdl_progress_t progress;
    mdl_block_range(n_image, n_rank, job->stage->rank, &first, &end);
    int rc = make_room(job, &room, err);
    MDL_TRY(mdl_agree(job->stage->comm, rc, err));
    mdl_progress_start(&progress, "images", (double)n_image);
    int64_t most = (n_image + n_rank - 1) / n_rank; /* all ranks take equally many steps */
    for (int64_t n_done = 0; n_done < most; n_done += PIECE) {
        int64_t row = first + n_done < end ? first + n_done : end;
        int64_t n = end - row < PIECE ? end - row : PIECE;
        rc = compute_rows(job, &room, row, n, err);
        MDL_TRY(mdl_agree(job->stage->comm, rc, err));
        MDL_TRY(mdl_archive_write(writer, row, n, room.row, err));
        MDL_TRY(stop_together(job, err));
        mdl_progress_update(&progress, (double)((row + n - first) * n_rank));
    }
done:
    free(room.pixel);
    free(room.hidden);
    free(room.row);
    free(room.state);
    return rc;
}

static int write_archive(const job_t *job, const mdl_provenance_t *provenance, mdl_error_t *err)
{
    mdl_archive_writer_t *writer = NULL;
    mdl_archive_info_t info = {.model = job->model,
                               .side = "vision",
                               .label = job->label,
                               .source = job->source,
                               .encoding = MDL_FLOAT32,
                               .n_sample = job->images.n,
                               .n_token = job->n_row_token,
                               .n_feat = job->shape.n_feat,
                               .sample_ids = (const char *const *)job->images.id};
    int rc =
        mdl_archive_create(job->stage->comm, job->options->out, provenance, &info, &writer, err);
    if (rc != MDL_OK)
        return rc;
    rc = write_rows(job, writer, err);
    rc = mdl_archive_finish(writer, rc, err);
    if (rc == MDL_OK)
        mdl_log(MDL_LOG_INFO, "wrote %s: %" PRId64 " rows of %" PRId64 " features",
                job->options->out, job->images.n, job->shape.n_feat);
    return rc;
}

static void print_plan(const job_t *job)
{
    const mdl_encoder_shape_t *shape = &job->shape;
    const mdl_vision_config_t *config = mdl_encoder_config(job->encoder);
    int64_t n_row = shape->n_feat * (job->n_row_token > 0 ? job->n_row_token : 1);
    double n_weight =
        (double)config->n_feat * (4.0 * (double)config->n_feat + 3.0 * (double)config->n_mlp_feat);
    double n_operation = 2 * n_weight * (double)(job->state * shape->n_token * job->images.n);
    char stored[32], duration[32];
    if (job->stage->rank == 0)
        printf("%s -> %s: %" PRId64 " rows of %" PRId64 " float32, %s; about %s at %.0f GFLOP/s a "
               "rank\n",
               job->model, job->options->out, job->images.n, n_row,
               mdl_text_bytes(4.0 * (double)(job->images.n * n_row), stored),
               mdl_text_duration(n_operation / job->stage->n_rank / assumed_rate, duration),
               assumed_rate / 1e9);
}

static int run(mdl_stage_t *stage, const mdl_archive_options_t *options, mdl_error_t *err)
{
    job_t job = {.stage = stage, .options = options};
    mdl_provenance_t provenance;
    int current = 0, rc;
    if (stage->n_argument > 0)
        return mdl_fail(err, MDL_E_USAGE, "extract-vision takes options alone, '%s' is none",
                        stage->arguments[0]);
    if (options->checkpoint == NULL || options->images == NULL || options->out == NULL)
        return mdl_fail(err, MDL_E_USAGE, "extract-vision needs --checkpoint, --images and -o");
    MDL_TRY(mdl_image_list_read(stage->comm, options->images, &job.images, err));
    rc = prepare(&job, err);
    if (rc == MDL_OK)
        rc = name_things(&job, err);
    MDL_TRY(mdl_agree(stage->comm, rc, err));
    if (stage->dry_run) {
        print_plan(&job);
        goto done;
    }
    MDL_TRY(mdl_on_root(stage->comm, stage->rank, look(&job, &provenance, &current, err), err));
    MPI_Bcast(&current, 1, MPI_INT, 0, stage->comm);
    if (!current)
        rc = write_archive(&job, &provenance, err);
done:
    mdl_encoder_free(job.encoder);
    mdl_image_list_free(&job.images);
    free(job.model);
    free(job.label);
    free(job.source);
    free(job.configuration);
    return rc;
}

const mdl_archive_command_t mdl_archive_extract_vision = {
    .name = "extract-vision",
    .command = {.program = "mordal-archive extract-vision",
                .usage = "--checkpoint DIR --images FOLDER -o OUT.h5 [OPTION...]",
                .summary = "Archives the features of a vision encoder on the images of a folder,\n"
                           "resized, cropped and normalised as its preprocessor_config.json says.",
                .options = table,
                .n_option = sizeof table / sizeof table[0]},
    .run = run};
