#define _XOPEN_SOURCE 700 /* nftw */

#include "synthetic_study.h"

#include "core/text.h"
#include "io/archive_file.h"
#include "io/path.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Prompt <bos> 5 <image> 6, answer 10 + class <eos>; ids below 10 have no text. */
enum { BOS = 1, EOS = 2, N_VOCAB = 97, LENGTH = 5, PROMPT = 3, FIRST_WORD = 10 };

static void check(int rc, const mdl_error_t *err)
{
    if (rc != MDL_OK)
        fail_msg("%s", err->text);
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

void synthetic_remove(const char *folder)
{
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* A fixed sequence of numbers in [-1, 1) (Numerical Recipes' ranqd1). */
static float noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) * 0x1p-23f - 1.0f;
}

static void write_vocabulary(hid_t file)
{
    uint8_t bytes[N_VOCAB * 4];
    int64_t offset[N_VOCAB + 1] = {0}, n_id = N_VOCAB + 1;
    mdl_error_t err;
    for (int id = 0; id < N_VOCAB; id++) {
        char word[8] = "";
        if (id >= FIRST_WORD)
            snprintf(word, sizeof word, " w%d", id);
        memcpy(bytes + offset[id], word, strlen(word));
        offset[id + 1] = offset[id] + (int64_t)strlen(word);
    }
    check(mdl_h5_write_uint8(file, "/token_bytes", 1, &offset[N_VOCAB], bytes, &err), &err);
    check(mdl_h5_write_int64(file, "/token_bytes_offset", 1, &n_id, offset, &err), &err);
}

static void write_samples(hid_t file, int64_t n, int n_train, int unanswerable)
{
    int32_t *token = calloc((size_t)n * LENGTH, sizeof *token);
    uint8_t *scored = calloc((size_t)n * LENGTH, 1), *split = calloc((size_t)n, 1);
    int64_t *offset = calloc((size_t)n + 1, sizeof *offset), n_token = n * LENGTH, n_end = n + 1;
    int32_t *visual_at = calloc((size_t)n, sizeof *visual_at);
    char(*text)[2][16] = calloc((size_t)n, sizeof *text);
    const char **image = calloc((size_t)n, sizeof *image);
    const char **answer = calloc((size_t)n, sizeof *answer);
    mdl_error_t err;
    for (int64_t i = 0; i < n; i++) {
        int word = FIRST_WORD + (int)(i % SYNTHETIC_CLASSES);
        const int32_t ids[LENGTH] = {BOS, 5, 6, word, EOS};
        memcpy(token + i * LENGTH, ids, sizeof ids);
        memset(scored + i * LENGTH + PROMPT, 1, LENGTH - PROMPT);
        offset[i + 1] = (i + 1) * LENGTH;
        visual_at[i] = 2;
        split[i] = i >= n_train;
        snprintf(text[i][0], 16, "image-%d", (int)i);
        snprintf(text[i][1], 16, "w%d", word);
        image[i] = text[i][0];
        answer[i] = unanswerable ? "never" : text[i][1];
    }
    check(mdl_h5_write_int32(file, "/token", 1, &n_token, token, &err), &err);
    check(mdl_h5_write_uint8(file, "/scored", 1, &n_token, scored, &err), &err);
    check(mdl_h5_write_int64(file, "/offset", 1, &n_end, offset, &err), &err);
    check(mdl_h5_write_int32(file, "/visual_at", 1, &n, visual_at, &err), &err);
    check(mdl_h5_write_uint8(file, "/split", 1, &n, split, &err), &err);
    check(mdl_h5_write_text(file, "/image", n, image, &err), &err);
    check(mdl_h5_write_text(file, "/answer", n, answer, &err), &err);
    free(token);
    free(scored);
    free(split);
    free(offset);
    free(visual_at);
    free(text);
    free(image);
    free(answer);
}

void synthetic_corpus(const char *path, int n_train, int n_eval, int unanswerable)
{
    mdl_error_t err;
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(file >= 0);
    check(mdl_h5_set_text(file, "schema", "mordal-corpus", &err), &err);
    check(mdl_h5_set_int(file, "schema_version", 1, &err), &err);
    check(mdl_h5_set_int(file, "vocab_size", N_VOCAB, &err), &err);
    check(mdl_h5_set_int(file, "bos_id", BOS, &err), &err);
    check(mdl_h5_set_int(file, "eos_id", EOS, &err), &err);
    check(mdl_h5_set_int(file, "pad_id", 0, &err), &err);
    write_vocabulary(file);
    write_samples(file, n_train + n_eval, n_train, unanswerable);
    mdl_h5_close(file);
}

/* Row i shows class i mod 8 as one large feature among noise, and holds one constant column. */
static void write_archive(const char *path, int64_t n)
{
    const mdl_provenance_t provenance = {
        .schema = "mordal-archive", .version = 1, .configuration = ""};
    mdl_archive_writer_t *writer;
    mdl_error_t err;
    uint32_t state = 7;
    char(*text)[16] = calloc((size_t)n, sizeof *text);
    const char **ids = calloc((size_t)n, sizeof *ids);
    float *rows = calloc((size_t)n * SYNTHETIC_FEAT, sizeof *rows);
    for (int64_t i = 0; i < n; i++) {
        snprintf(text[i], sizeof *text, "image-%d", (int)i);
        ids[i] = text[i];
        for (int k = 0; k < SYNTHETIC_FEAT - 1; k++)
            rows[i * SYNTHETIC_FEAT + k] = 100 + noise(&state);
        rows[i * SYNTHETIC_FEAT + i % SYNTHETIC_CLASSES] += 5;
        rows[i * SYNTHETIC_FEAT + SYNTHETIC_FEAT - 1] = 0.1f;
    }
    const mdl_archive_info_t info = {.model = "eye",
                                     .side = "vision",
                                     .label = "synthetic",
                                     .source = "a test",
                                     .encoding = MDL_FLOAT32,
                                     .n_sample = n,
                                     .n_feat = SYNTHETIC_FEAT,
                                     .sample_ids = ids};
    check(mdl_archive_create(MPI_COMM_SELF, path, &provenance, &info, &writer, &err), &err);
    check(mdl_archive_write(writer, 0, n, rows, &err), &err);
    check(mdl_archive_finish(writer, MDL_OK, &err), &err);
    free(text);
    free(ids);
    free(rows);
}

mdl_study_t *synthetic_study(const char *folder, int make)
{
    static char *targets[] = {(char *)"q_proj", (char *)"v_proj"};
    mdl_study_t *study = calloc(1, sizeof *study);
    mdl_error_t err;
    study->seed = 11;
    study->folder = mdl_text("%s", folder);
    study->zoo.language = calloc(1, sizeof *study->zoo.language);
    study->zoo.n_language = 1;
    study->zoo.language[0].name = (char *)"mouth";
    study->zoo.language[0].checkpoint = (char *)MORDAL_SOURCE_DIR "/tests/reference/parity/llama-2";
    study->zoo.language[0].corpus = mdl_text("%s/corpus.h5", folder);
    study->search.start_ratio = 0.125;
    study->search.eta = 2;
    study->search.max_ratio = 0.5;
    study->regress.divisor = 2;
    study->regress.max_points = 4;
    study->trainer.kind = MDL_TRAINER_NATIVE;
    study->trainer.epochs = 5;
    study->trainer.batch = 6;
    study->trainer.learning_rate = 0.01;
    study->trainer.schedule = (char *)"linear";
    study->trainer.backend = (char *)"cpu";
    study->trainer.precision = (char *)"float32";
    study->trainer.beta1 = 0.9;
    study->trainer.beta2 = 0.999;
    study->trainer.epsilon = 1e-8;
    study->trainer.lora_rank = 2;
    study->trainer.lora_alpha = 4;
    study->trainer.lora_targets = targets;
    study->trainer.n_lora_target = 2;
    study->trainer.max_answer_tokens = 4;
    if (!make)
        return study;
    synthetic_remove(folder);
    check(mdl_path_make_folder(folder, &err), &err);
    synthetic_corpus(study->zoo.language[0].corpus, SYNTHETIC_TRAIN, SYNTHETIC_EVAL, 0);
    char *archive = mdl_study_path(study, "archive/vision/eye.h5");
    write_archive(archive, SYNTHETIC_TRAIN + SYNTHETIC_EVAL);
    free(archive);
    return study;
}

void synthetic_free(mdl_study_t *study)
{
    free(study->folder);
    free(study->zoo.language[0].corpus);
    free(study->zoo.language);
    free(study);
}
