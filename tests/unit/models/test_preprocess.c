/* Images and their preparation against Pillow and transformers' image processors;
 * tests/reference/make_preprocess_reference.py made what is compared. */
#include "models/preprocess.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FOLDER MORDAL_SOURCE_DIR "/tests/reference/preprocess/"

/* In the order of their bytes. */
static const char *const images[] = {"bits.png", "clear.png",   "grey.large.jpeg",
                                     "grey.png", "palette.png", "progressive.JPG",
                                     "tall.png", "tiny.png",    "wide.jpg"};
enum { N_IMAGE = sizeof images / sizeof images[0] };

static void check(int rc, const mdl_error_t *err)
{
    if (rc != MDL_OK)
        fail_msg("%s", err->text);
}

/* The n_value float32 values of a .npy file, which end it. */
static float *read_npy(const char *name, size_t n_value)
{
    char path[512];
    float *values = malloc(n_value * sizeof *values);
    snprintf(path, sizeof path, FOLDER "%s.npy", name);
    FILE *file = fopen(path, "rb");
    assert_true(file != NULL && values != NULL);
    assert_int_equal(fseek(file, -(long)(n_value * sizeof *values), SEEK_END), 0);
    assert_int_equal(ftell(file), 128);
    assert_int_equal(fread(values, sizeof *values, n_value, file), n_value);
    fclose(file);
    return values;
}

static float *prepare(const char *name, const char *file, int64_t *height, int64_t *width)
{
    mdl_error_t err;
    mdl_preprocessor_t preprocessor;
    mdl_image_t image;
    char path[512];
    snprintf(path, sizeof path, FOLDER "%s.json", name);
    check(mdl_preprocessor_read(path, &preprocessor, &err), &err);
    check(mdl_preprocess_size(&preprocessor, height, width, &err), &err);
    snprintf(path, sizeof path, FOLDER "images/%s", file);
    check(mdl_image_read(path, &image, &err), &err);
    float *pixel = malloc((size_t)(3 * *height * *width) * sizeof *pixel);
    assert_non_null(pixel);
    check(mdl_preprocess(&preprocessor, &image, pixel, &err), &err);
    free(image.rgb);
    return pixel;
}

/* The 8-bit values are the same, so what is left is the rounding of the normalisation: 1e-6. One
 * step of a colour would be 1 / 255 / deviation, above 7e-3. */
static void as_the_reference(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t height, width;
    } cases[] = {{"clip", 28, 28},          {"siglip", 28, 28},
                 {"convnext", 32, 32},      {"dinov2", 28, 28},
                 {"internvl", 28, 28},      {"bilinear", 28, 21},
                 {"timm-center", 28, 28},   {"timm-squash", 28, 28},
                 {"timm-bilinear", 28, 28}, {"timm-squash-crop", 28, 28}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        int64_t height, width, n = 3 * cases[c].height * cases[c].width;
        float *expected = read_npy(cases[c].name, (size_t)(N_IMAGE * n));
        for (int i = 0; i < N_IMAGE; i++) {
            float *pixel = prepare(cases[c].name, images[i], &height, &width);
            assert_true(height == cases[c].height && width == cases[c].width);
            for (int64_t k = 0; k < n; k++)
                if (!(fabsf(pixel[k] - expected[i * n + k]) < 1e-6f))
                    fail_msg("%s %s: value %d is %g, not %g", cases[c].name, images[i], (int)k,
                             (double)pixel[k], (double)expected[i * n + k]);
            free(pixel);
        }
        free(expected);
    }
}

/* An image that loses more than twice as many rows as columns, which Pillow 13 resizes in another
 * order. */
static void portrait(void **state)
{
    (void)state;
    int64_t height, width;
    enum { N = 3 * 28 * 28 };
    float *expected = read_npy("portrait", N);
    float *pixel = prepare("siglip", "../portrait.png", &height, &width);
    assert_true(height == 28 && width == 28);
    for (int64_t k = 0; k < N; k++)
        assert_true(fabsf(pixel[k] - expected[k]) < 1e-6f);
    free(pixel);
    free(expected);
}

/* From 384 on ConvNeXt resizes to a square; every eighth value of the first image. */
static void convnext_large(void **state)
{
    (void)state;
    int64_t height, width;
    float *expected = read_npy("convnext-large", 3 * 48 * 48);
    float *pixel = prepare("convnext-large", images[0], &height, &width);
    assert_true(height == 384 && width == 384);
    for (int64_t k = 0; k < 3 * 48 * 48; k++)
        assert_true(fabsf(pixel[(k / 48 * 8) * 384 + k % 48 * 8] - expected[k]) < 1e-6f);
    free(pixel);
    free(expected);
}

static void write_file(const char *path, const void *bytes, size_t n_byte)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n_byte, file), n_byte);
    fclose(file);
}

static size_t read_bytes(const char *name, unsigned char *bytes, size_t n_room)
{
    char path[512];
    snprintf(path, sizeof path, FOLDER "images/%s", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t n = fread(bytes, 1, n_room, file);
    fclose(file);
    return n;
}

static void refuse(const char *path, int code, const char *message)
{
    mdl_error_t err;
    mdl_image_t image;
    assert_int_equal(mdl_image_read(path, &image, &err), code);
    assert_null(image.rgb);
    if (strstr(err.text, message) == NULL)
        fail_msg("\"%s\" doesn't say \"%s\"", err.text, message);
}

/* Cut files, flipped bytes, a bomb of a header, and what is no image at all. */
static void bad_images(void **state)
{
    (void)state;
    static unsigned char bytes[1 << 15];
    char path[] = "mordal-image-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    refuse("/nowhere/at/all.png", MDL_E_MISSING, "cannot open");
    refuse(path, MDL_E_INPUT, "neither a PNG nor a JPEG");
    refuse("/tmp", MDL_E_INPUT, "neither a PNG nor a JPEG");

    size_t n = read_bytes("tall.png", bytes, sizeof bytes);
    write_file(path, bytes, n / 2);
    refuse(path, MDL_E_INPUT, "a bad PNG");
    bytes[n / 2] ^= 0x10;
    write_file(path, bytes, n);
    refuse(path, MDL_E_INPUT, "a bad PNG");
    bytes[n / 2] ^= 0x10;
    memcpy(bytes + 16, "\x00\x00\x7f\xff\x00\x00\x7f\xff", 8); /* 32767 x 32767 */
    memcpy(bytes + 29, "\x85\x4b\xb8\x1b", 4);
    write_file(path, bytes, n);
    refuse(path, MDL_E_INPUT, "a");

    /* A text of 497 MB, it says, in a file of 41 bytes. */
    memcpy(bytes,
           "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x2f\0\0\x2e\x05\x08\0\0\0\0\x6f\xf9\xa8\xe1"
           "\x1d\xa1\x49\x44zTXt",
           41);
    write_file(path, bytes, 41);
    refuse(path, MDL_E_INPUT, "ends too early");

    n = read_bytes("wide.jpg", bytes, sizeof bytes);
    write_file(path, bytes, n / 2);
    refuse(path, MDL_E_INPUT, "a bad JPEG");
    write_file(path, bytes, 20);
    refuse(path, MDL_E_INPUT, "a bad JPEG");
    unlink(path);
}

static void bad_preprocessors(void **state)
{
    (void)state;
#define GOOD "\"resample\": 3, \"image_mean\": [0, 0, 0], \"image_std\": [1, 1, 1]"
    static const char *const cases[][2] = {
        {"{" GOOD "}", "size must be"},
        {"{\"size\": {\"height\": 8}, " GOOD "}", "size must be"},
        {"{\"size\": 0, " GOOD "}", "size must be"},
        {"{\"size\": 8, \"image_mean\": [0, 0, 0], \"image_std\": [1, 1, 1]}", "resample"},
        {"{\"size\": 8, \"resample\": 1}", "resample"},
        {"{\"size\": 8, \"resample\": 3}", "image_mean must be three"},
        {"{\"size\": 8, \"do_resize\": false, " GOOD "}", "do_resize = true alone"},
        {"{\"size\": 8, \"do_pad\": true, " GOOD "}", "do_pad = false alone"},
        {"{\"size\": 8, \"do_center_crop\": true, " GOOD "}", "crop_size must be"},
        {"{\"size\": 8, \"rescale_factor\": 0, " GOOD "}", "rescale_factor"},
        {"{\"size\": 8, \"image_processor_type\": \"ConvNextImageProcessor\", \"crop_pct\": "
         "0, " GOOD "}",
         "crop_pct"},
        {"{\"size\": 8, " GOOD "}", "doesn't crop"},
        {"{\"size\": 8, \"crop_size\": 9, " GOOD "}", "crops more than it leaves"},
        {"{\"pretrained_cfg\": 3}", "input_size"},
        {"{\"pretrained_cfg\": {\"input_size\": [1, 8, 8]}}", "input_size"},
        {"{\"pretrained_cfg\": {\"input_size\": [3, 8, 9]}}", "square"},
        {"{\"pretrained_cfg\": {\"input_size\": [3, 8, 8], \"crop_mode\": \"border\"}}",
         "'border'"},
        {"{\"pretrained_cfg\": {\"input_size\": [3, 8, 8], \"crop_pct\": 2}}", "crop_pct"},
        {"{\"pretrained_cfg\": {\"input_size\": [3, 8, 8], \"interpolation\": \"random\"}}",
         "'random'"},
        {"{\"pretrained_cfg\": {\"input_size\": [3, 8, 8]}}", "mean must be three"},
    };
    char path[] = "mordal-preprocessor-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mdl_error_t err;
        mdl_preprocessor_t preprocessor;
        int64_t height, width;
        write_file(path, cases[i][0], strlen(cases[i][0]));
        int rc = mdl_preprocessor_read(path, &preprocessor, &err);
        if (rc == MDL_OK)
            rc = mdl_preprocess_size(&preprocessor, &height, &width, &err);
        assert_int_equal(rc, MDL_E_INPUT);
        if (strstr(err.text, cases[i][1]) == NULL)
            fail_msg("\"%s\" doesn't say \"%s\"", err.text, cases[i][1]);
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_reference),  cmocka_unit_test(convnext_large),
        cmocka_unit_test(portrait),          cmocka_unit_test(bad_images),
        cmocka_unit_test(bad_preprocessors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
