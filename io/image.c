#include "io/image.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jpeglib.h>
#include <png.h>

/* The largest file that is read: twice what the largest image takes raw. */
#define MAX_FILE_BYTE ((size_t)6 * MDL_IMAGE_MAX_PIXEL)

/* A progressive JPEG may come in any number of scans, each of which costs a pass over all pixels;
 * encoders write about ten. */
enum { MAX_SCAN = 100 };

/* The bytes of a file that are still to be decoded. */
typedef struct {
    const uint8_t *next;
    size_t n_left;
} input_t;

/* What a decoder says when it gives up, and where it then jumps to. */
typedef struct {
    struct jpeg_error_mgr jpeg; /* first, for libjpeg hands it back */
    jmp_buf leave;
    char text[JMSG_LENGTH_MAX];
} complaint_t;

static int check_size(const char *path, int64_t height, int64_t width, mdl_error_t *err)
{
    if (height >= 1 && width >= 1 && height <= MDL_IMAGE_MAX_SIDE && width <= MDL_IMAGE_MAX_SIDE &&
        height * width <= MDL_IMAGE_MAX_PIXEL)
        return MDL_OK;
    return mdl_fail(err, MDL_E_INPUT,
                    "%s: %lld x %lld pixels; an image may have %d a side and %d in all", path,
                    (long long)width, (long long)height, MDL_IMAGE_MAX_SIDE, MDL_IMAGE_MAX_PIXEL);
}

static void png_gives_up(png_structp png, png_const_charp text)
{
    complaint_t *complaint = png_get_error_ptr(png);
    snprintf(complaint->text, sizeof complaint->text, "%s", text);
    longjmp(complaint->leave, 1);
}

static void png_warns(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void png_takes(png_structp png, png_bytep bytes, size_t n)
{
    input_t *input = png_get_io_ptr(png);
    if (n > input->n_left)
        png_error(png, "the file ends too early");
    memcpy(bytes, input->next, n);
    input->next += n;
    input->n_left -= n;
}

/* Any kind of pixels to 8-bit RGB. */
static void png_ask_for_rgb(png_structp png, png_infop info)
{
    if (png_get_color_type(png, info) == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(png);
    else if (png_get_bit_depth(png, info) < 8)
        png_set_expand_gray_1_2_4_to_8(png);
    if (!(png_get_color_type(png, info) & PNG_COLOR_MASK_COLOR))
        png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
}

/* Between png_create_read_struct and its end; jumps when the file is bad. */
static int png_read_pixels(png_structp png, png_infop info, const char *path, mdl_image_t *image,
                           png_bytep **rows, mdl_error_t *err)
{
    png_read_info(png, info);
    image->height = png_get_image_height(png, info);
    image->width = png_get_image_width(png, info);
    int rc = check_size(path, image->height, image->width, err);
    if (rc == MDL_OK && png_get_bit_depth(png, info) > 8)
        rc = mdl_fail(err, MDL_E_INPUT, "%s: 16 bits a colour; convert it to 8", path);
    if (rc != MDL_OK)
        return rc;
    png_ask_for_rgb(png, info);
    size_t n_row_byte = (size_t)image->width * 3;
    if (png_get_rowbytes(png, info) != n_row_byte)
        return mdl_fail(err, MDL_E_INPUT, "%s: an unknown kind of PNG", path);
    rc = mdl_alloc(&image->rgb, (size_t)image->height, n_row_byte, "an image", err);
    if (rc == MDL_OK)
        rc = mdl_alloc(rows, (size_t)image->height, sizeof **rows, "an image's rows", err);
    if (rc != MDL_OK)
        return rc;
    for (int64_t i = 0; i < image->height; i++)
        (*rows)[i] = image->rgb + (size_t)i * n_row_byte;
    png_read_image(png, *rows);
    png_read_end(png, NULL);
    return MDL_OK;
}

static int read_png(input_t input, const char *path, mdl_image_t *image, mdl_error_t *err)
{
    complaint_t complaint = {.text = "out of memory"};
    png_infop info = NULL;
    png_bytep *rows = NULL, **rows_place = &rows;
    int rc;
    png_structp png =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, &complaint, png_gives_up, png_warns);
    if (png != NULL)
        info = png_create_info_struct(png);
    if (info == NULL) {
        png_destroy_read_struct(&png, NULL, NULL);
        return mdl_fail(err, MDL_E_MEMORY, "%s: no memory to read a PNG", path);
    }
    if (setjmp(complaint.leave) == 0) {
        png_set_read_fn(png, &input, png_takes);
        png_set_user_limits(png, MDL_IMAGE_MAX_SIDE, MDL_IMAGE_MAX_SIDE);
        /* Text, profiles and the like, which may claim any size, are passed over unread. */
        png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
        rc = png_read_pixels(png, info, path, image, rows_place, err);
    } else {
        rc = mdl_fail(err, MDL_E_INPUT, "%s: a bad PNG: %s", path, complaint.text);
    }
    png_destroy_read_struct(&png, &info, NULL);
    free(*rows_place);
    return rc;
}

static void jpeg_gives_up(j_common_ptr jpeg)
{
    complaint_t *complaint = (complaint_t *)jpeg->err;
    jpeg->err->format_message(jpeg, complaint->text);
    longjmp(complaint->leave, 1);
}

/* A warning tells of damaged data, which would become features of something else. */
static void jpeg_says(j_common_ptr jpeg, int level)
{
    if (level < 0)
        jpeg_gives_up(jpeg);
}

static void jpeg_goes_on(j_common_ptr jpeg)
{
    complaint_t *complaint = (complaint_t *)jpeg->err;
    if (((j_decompress_ptr)jpeg)->input_scan_number <= MAX_SCAN)
        return;
    snprintf(complaint->text, sizeof complaint->text, "more than %d scans", MAX_SCAN);
    longjmp(complaint->leave, 1);
}

/* Between jpeg_create_decompress and its end; jumps when the file is bad. */
static int jpeg_read_pixels(struct jpeg_decompress_struct *jpeg, const char *path,
                            mdl_image_t *image, mdl_error_t *err)
{
    jpeg_read_header(jpeg, TRUE);
    image->height = jpeg->image_height;
    image->width = jpeg->image_width;
    int rc = check_size(path, image->height, image->width, err);
    if (rc == MDL_OK && jpeg->num_components != 1 && jpeg->num_components != 3)
        rc = mdl_fail(err, MDL_E_INPUT, "%s: a JPEG of %d colours; convert it to RGB", path,
                      jpeg->num_components);
    if (rc == MDL_OK)
        rc = mdl_alloc(&image->rgb, (size_t)image->height, (size_t)image->width * 3, "an image",
                       err);
    if (rc != MDL_OK)
        return rc;
    jpeg->out_color_space = JCS_RGB;
    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = image->rgb + (size_t)jpeg->output_scanline * (size_t)image->width * 3;
        jpeg_read_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_decompress(jpeg);
    return MDL_OK;
}

static int read_jpeg(input_t input, const char *path, mdl_image_t *image, mdl_error_t *err)
{
    struct jpeg_progress_mgr progress = {.progress_monitor = jpeg_goes_on};
    struct jpeg_decompress_struct jpeg = {0};
    complaint_t complaint = {.text = ""};
    int rc;
    jpeg.err = jpeg_std_error(&complaint.jpeg);
    complaint.jpeg.error_exit = jpeg_gives_up;
    complaint.jpeg.emit_message = jpeg_says;
    if (setjmp(complaint.leave) == 0) {
        jpeg_create_decompress(&jpeg);
        jpeg.progress = &progress;
        jpeg_mem_src(&jpeg, input.next, input.n_left);
        rc = jpeg_read_pixels(&jpeg, path, image, err);
    } else {
        rc = mdl_fail(err, MDL_E_INPUT, "%s: a bad JPEG: %s", path, complaint.text);
    }
    jpeg_destroy_decompress(&jpeg);
    return rc;
}

int mdl_image_decode(const uint8_t *bytes, size_t n_byte, const char *name, mdl_image_t *image,
                     mdl_error_t *err)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    static const uint8_t jpeg[3] = {0xff, 0xd8, 0xff};
    const input_t input = {bytes, n_byte};
    int rc;
    memset(image, 0, sizeof *image);
    if (n_byte >= sizeof png && memcmp(bytes, png, sizeof png) == 0)
        rc = read_png(input, name, image, err);
    else if (n_byte >= sizeof png && memcmp(bytes, jpeg, sizeof jpeg) == 0)
        rc = read_jpeg(input, name, image, err);
    else
        rc = mdl_fail(err, MDL_E_INPUT, "%s is neither a PNG nor a JPEG file", name);
    if (rc != MDL_OK) {
        free(image->rgb);
        image->rgb = NULL;
    }
    return rc;
}

static int read_file(const char *path, uint8_t **bytes, size_t *n_byte, mdl_error_t *err)
{
    struct stat info;
    int rc = MDL_OK;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return mdl_fail(err, MDL_E_MISSING, "cannot open %s: %s", path, strerror(errno));
    if (fstat(fileno(file), &info) != 0 || !S_ISREG(info.st_mode))
        rc = mdl_fail(err, MDL_E_INPUT, "%s is neither a PNG nor a JPEG, it is not a file of bytes",
                      path);
    else if ((uint64_t)info.st_size > MAX_FILE_BYTE)
        rc = mdl_fail(err, MDL_E_INPUT, "%s has %lld bytes, an image may have %zu", path,
                      (long long)info.st_size, MAX_FILE_BYTE);
    else
        rc = mdl_alloc(bytes, (size_t)info.st_size + 1, 1, "an image file", err);
    if (rc == MDL_OK) {
        *n_byte = (size_t)info.st_size;
        if (fread(*bytes, 1, *n_byte, file) != *n_byte)
            rc = mdl_fail(err, MDL_E_IO, "%s cannot be read", path);
    }
    fclose(file);
    return rc;
}

int mdl_image_read(const char *path, mdl_image_t *image, mdl_error_t *err)
{
    uint8_t *bytes = NULL;
    size_t n_byte = 0;
    memset(image, 0, sizeof *image);
    int rc = read_file(path, &bytes, &n_byte, err);
    if (rc == MDL_OK)
        rc = mdl_image_decode(bytes, n_byte, path, image, err);
    free(bytes);
    return rc;
}
