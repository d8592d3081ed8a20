#include "io/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const path = "test.safetensors";

/* Writes length, header and n_data bytes; the claimed length is the true one plus lie. */
static void write_file(const char *header, long long lie, const void *data, size_t n_data)
{
    unsigned long long length = strlen(header) + (unsigned long long)lie;
    unsigned char prefix[8];
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        prefix[i] = (unsigned char)(length >> (8 * i));
    assert_int_equal(fwrite(prefix, 1, 8, file), 8);
    assert_int_equal(fwrite(header, 1, strlen(header), file), strlen(header));
    assert_int_equal(fwrite(data, 1, n_data, file), n_data);
    assert_int_equal(fclose(file), 0);
}

static mdl_safetensors_t *open_good(void)
{
    mdl_error_t err;
    mdl_safetensors_t *file;
    if (mdl_safetensors_open(path, &file, &err) != MDL_OK)
        fail_msg("%s", err.text);
    return file;
}

#define TENSOR(dtype, shape, begin, end)                                                           \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

/* One defect each; the data are 16 bytes. */
static const struct {
    const char *what;
    const char *header;
    long long lie;       /* added to the header's length */
    const char *message; /* part of the error's sentence */
} hostile[] = {
    {"header longer than the file", "{}", 1000, "truncated"},
    {"header length that overflows", "{}", -3, "truncated"},
    {"header length with the sign bit", "{}", (long long)1 << 62, "truncated"},
    {"empty header", "", 0, "truncated"},
    {"no JSON", "nonsense", 0, "JSON"},
    {"cut JSON", "{\"a\":" TENSOR("F32", "[4]", 0, 16), 0, "JSON"},
    {"bytes after the JSON", "{}x", 0, "JSON"},
    {"JSON array", "[1, 2]", 0, "JSON object"},
    {"no such dtype", "{\"a\":" TENSOR("F8_E4M3", "[16]", 0, 16) "}", 0, "F8_E4M3"},
    {"dtype is a number", "{\"a\":{\"dtype\":1,\"shape\":[4],\"data_offsets\":[0,16]}}", 0,
     "dtype"},
    {"no dtype", "{\"a\":{\"shape\":[4],\"data_offsets\":[0,16]}}", 0, "dtype"},
    {"entry is a number", "{\"a\":3}", 0, "describes no tensor"},
    {"entry without a name", "{\"\":" TENSOR("F32", "[4]", 0, 16) "}", 0, "describes no tensor"},
    {"no shape", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,16]}}", 0, "shape"},
    {"shape is text", "{\"a\":" TENSOR("F32", "\"4\"", 0, 16) "}", 0, "shape"},
    {"negative shape", "{\"a\":" TENSOR("F32", "[-4]", 0, 16) "}", 0, "dimension"},
    {"two negative shapes", "{\"a\":" TENSOR("F32", "[-2,-2]", 0, 16) "}", 0, "dimension"},
    {"fractional shape", "{\"a\":" TENSOR("F32", "[4.0]", 0, 16) "}", 0, "dimension"},
    {"nine dimensions", "{\"a\":" TENSOR("F32", "[1,1,1,1,1,1,1,1,4]", 0, 16) "}", 0, "shape"},
    {"shape that overflows", "{\"a\":" TENSOR("F32", "[4294967296,4294967297]", 0, 16) "}", 0,
     "too large"},
    {"size that overflows", "{\"a\":" TENSOR("F64", "[2305843009213693954]", 0, 16) "}", 0,
     "too large"},
    {"number beyond 64 bits", "{\"a\":" TENSOR("F32", "[99999999999999999999]", 0, 16) "}", 0,
     "JSON"},
    {"no offsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4]}}", 0, "outside"},
    {"three offsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16,16]}}", 0,
     "outside"},
    {"negative offset", "{\"a\":" TENSOR("F32", "[4]", -16, 0) "}", 0, "outside"},
    {"offsets exchanged", "{\"a\":" TENSOR("F32", "[4]", 16, 0) "}", 0, "outside"},
    {"data beyond the end", "{\"a\":" TENSOR("F32", "[8]", 0, 32) "}", 0, "outside"},
    {"size and shape differ", "{\"a\":" TENSOR("F32", "[3]", 0, 16) "}", 0, "need 12"},
    {"size and dtype differ", "{\"a\":" TENSOR("F16", "[4]", 0, 16) "}", 0, "need 8"},
    {"overlap", "{\"a\":" TENSOR("F32", "[3]", 0, 12) ",\"b\":" TENSOR("F32", "[2]", 8, 16) "}", 0,
     "overlaps"},
    {"same place twice",
     "{\"a\":" TENSOR("F32", "[4]", 0, 16) ",\"b\":" TENSOR("F32", "[4]", 0, 16) "}", 0,
     "overlaps"},
    {"gap", "{\"a\":" TENSOR("F32", "[1]", 0, 4) ",\"b\":" TENSOR("F32", "[2]", 8, 16) "}", 0,
     "gap"},
    {"gap at the start", "{\"a\":" TENSOR("F32", "[2]", 8, 16) "}", 0, "gap"},
    {"bytes that belong to none", "{\"a\":" TENSOR("F32", "[3]", 0, 12) "}", 0, "belong to none"},
    {"the same name twice",
     "{\"a\":" TENSOR("F32", "[2]", 0, 8) ",\"a\":" TENSOR("F32", "[2]", 8, 16) "}", 0, "JSON"},
};

static void hostile_headers(void **state)
{
    (void)state;
    char data[16] = {0};
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        mdl_error_t err = {0};
        mdl_safetensors_t *file;
        write_file(hostile[i].header, hostile[i].lie, data, sizeof data);
        int rc = mdl_safetensors_open(path, &file, &err);
        if (rc != MDL_E_INPUT || file != NULL || strstr(err.text, hostile[i].message) == NULL)
            fail_msg("%s: returned %d, \"%s\"", hostile[i].what, rc, err.text);
    }
}

static void write_bytes(const char *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

/* A good file cut anywhere is refused; with any one bit flipped it is refused or read, never a
 * crash. */
static void every_truncation_and_flipped_bits(void **state)
{
    (void)state;
    const char *header =
        "{\"a\":" TENSOR("F32", "[2]", 0, 8) ",\"b\":" TENSOR("F16", "[2,2]", 8, 16) "}";
    char bytes[512], data[16] = {0};
    mdl_safetensors_t *opened;
    write_file(header, 0, data, sizeof data);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    for (size_t n_kept = 0; n_kept < n; n_kept++) {
        write_bytes(bytes, n_kept);
        assert_int_equal(mdl_safetensors_open(path, &opened, NULL), MDL_E_INPUT);
    }
    for (size_t bit = 0; bit < 8 * n; bit += 3) {
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
        write_bytes(bytes, n);
        mdl_safetensors_open(path, &opened, NULL);
        mdl_safetensors_close(opened);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    }
}

static void missing_file_folder_and_pipe(void **state)
{
    (void)state;
    mdl_error_t err;
    mdl_safetensors_t *file;
    assert_int_equal(mdl_safetensors_open("no-such-file", &file, &err), MDL_E_MISSING);
    assert_null(file);
    assert_int_equal(mdl_safetensors_open(".", &file, &err), MDL_E_INPUT);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes: waiting would be for ever */
    assert_int_equal(mdl_safetensors_open(path, &file, &err), MDL_E_INPUT);
    assert_int_equal(unlink(path), 0);
}

/* The same numbers in every float type, at places that no type is aligned to. */
static void conversions(void **state)
{
    (void)state;
    const char *header = "{\"__metadata__\":{\"format\":\"pt\"},\"pad\":" TENSOR(
        "U8", "[1]", 0,
        1) ",\"f16\":" TENSOR("F16", "[5]", 1,
                              11) ",\"bf16\":" TENSOR("BF16", "[3]", 11,
                                                      17) ",\"f32\":" TENSOR("F32", "[1,3]", 17,
                                                                             29) ",\"f64\""
                                                                                 ":" TENSOR("F6"
                                                                                            "4",
                                                                                            "[]",
                                                                                            29,
                                                                                            37) "}";
    const unsigned short f16[5] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000};
    const unsigned short bf16[3] = {0x3f80, 0xc000, 0x3eab};
    const float f32[3] = {1, -2, 0.1f};
    const double f64 = 0.1;
    char data[37] = {7};
    memcpy(data + 1, f16, 10);
    memcpy(data + 11, bf16, 6);
    memcpy(data + 17, f32, 12);
    memcpy(data + 29, &f64, 8);
    write_file(header, 0, data, sizeof data);
    mdl_error_t err;
    mdl_safetensors_t *file = open_good();
    float out[5];
    int64_t five = 5, three = 3, pair[2] = {1, 3};
    assert_int_equal(mdl_safetensors_count(file), 5);
    assert_string_equal(mdl_safetensors_at(file, 0)->name, "bf16");
    assert_string_equal(mdl_safetensors_at(file, 4)->name, "pad");
    assert_int_equal(mdl_safetensors_read_float(file, "f16", 1, &five, out, &err), MDL_OK);
    assert_true(out[0] == 1 && out[1] == -2 && out[2] == 0x1p-24f && out[3] == 65504.0f);
    assert_true(out[4] == 0 && signbit(out[4]));
    assert_int_equal(mdl_safetensors_read_float(file, "bf16", 1, &three, out, &err), MDL_OK);
    assert_true(out[0] == 1 && out[1] == -2 && out[2] == 0x1.56p-2f);
    assert_int_equal(mdl_safetensors_read_float(file, "f32", 2, pair, out, &err), MDL_OK);
    assert_true(out[0] == 1 && out[1] == -2 && out[2] == 0.1f);
    assert_int_equal(mdl_safetensors_read_float(file, "f64", 0, NULL, out, &err), MDL_OK);
    assert_true(out[0] == 0.1f);

    mdl_safetensors_close(file);
}

/* Some of a tensor's values, and values as bfloat16: those of the file, or rounded to the nearest
 * and ties to even. */
static void parts(void **state)
{
    (void)state;
    const float f32[4] = {1, 1 + 0x1p-8f, 1 + 0x3p-8f, -(1 + 0x1.2p-8f)};
    const uint16_t expected[4] = {0x3f80, 0x3f80, 0x3f82, 0xbf81};
    const uint16_t bf16[4] = {0x3f80, 0xc000, 0x8000, 0x3eab};
    const unsigned too_large[2] = {0x7f7fffff, 0}; /* for bfloat16, and finite in float32 */
    char data[32];
    memcpy(data, f32, 16);
    memcpy(data + 16, bf16, 8);
    memcpy(data + 24, too_large, 8);
    write_file("{\"a\":" TENSOR("F32", "[2,2]", 0, 16) ",\"b\":" TENSOR(
                   "BF16", "[4]", 16, 24) ",\"c\":" TENSOR("F32", "[2]", 24, 32) "}",
               0, data, sizeof data);
    mdl_error_t err;
    mdl_safetensors_t *file = open_good();
    const int64_t pair[2] = {2, 2}, four = 4, two = 2;
    float out[4];
    uint16_t half[4];
    assert_int_equal(mdl_safetensors_read_part(file, "a", 2, pair, 1, 2, MDL_FLOAT32, out, &err),
                     MDL_OK);
    assert_true(out[0] == f32[1] && out[1] == f32[2]);
    assert_int_equal(mdl_safetensors_read_part(file, "a", 2, pair, 4, 0, MDL_FLOAT32, out, &err),
                     MDL_OK);
    assert_int_equal(mdl_safetensors_read_part(file, "a", 2, pair, 3, 2, MDL_FLOAT32, out, &err),
                     MDL_E_INTERNAL);
    assert_int_equal(mdl_safetensors_read_part(file, "a", 2, pair, 0, 4, MDL_BFLOAT16, half, &err),
                     MDL_OK);
    assert_memory_equal(half, expected, sizeof half);
    assert_int_equal(mdl_safetensors_read_part(file, "b", 1, &four, 1, 3, MDL_BFLOAT16, half, &err),
                     MDL_OK);
    assert_memory_equal(half, bf16 + 1, 6);
    assert_int_equal(mdl_safetensors_read_part(file, "c", 1, &two, 0, 2, MDL_FLOAT32, out, &err),
                     MDL_OK);
    assert_int_equal(mdl_safetensors_read_part(file, "c", 1, &two, 0, 2, MDL_BFLOAT16, half, &err),
                     MDL_E_INPUT);
    assert_non_null(strstr(err.text, "value 0 is not finite"));
    mdl_safetensors_close(file);
}

static void wrong_shapes_and_names(void **state)
{
    (void)state;
    const int64_t three = 3;
    float out[3];
    mdl_error_t err;
    write_file("{\"f32\":" TENSOR("F32", "[1,3]", 0, 12) ",\"pad\":" TENSOR("U8", "[]", 12, 13) "}",
               0, "\0\0\0\0\0\0\0\0\0\0\0\0", 13);
    mdl_safetensors_t *file = open_good();
    assert_int_equal(mdl_safetensors_read_float(file, "f32", 1, &three, out, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "(1, 3) where (3)"));
    assert_int_equal(mdl_safetensors_read_float(file, "pad", 0, NULL, out, &err), MDL_E_INPUT);
    assert_int_equal(mdl_safetensors_read_float(file, "absent", 0, NULL, out, &err), MDL_E_INPUT);
    mdl_safetensors_close(file);
}

static void refused_values(void **state)
{
    (void)state;
    static const struct {
        const char *dtype, *shape;
        unsigned long long bits;
    } cases[] = {{"F64", "[1]", 0x7ff8000000000000}, /* NaN */
                 {"F64", "[1]", 0x7e37e43c8800759c}, /* 1e300 */
                 {"F32", "[2]", 0x7f800000},         /* Inf, then 0 */
                 {"F32", "[2]", 0xffc0000000000000}, /* 0, then NaN */
                 {"F16", "[4]", 0x7c00},             /* Inf */
                 {"BF16", "[4]", 0xff80}};           /* -Inf */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[256];
        mdl_error_t err;
        float out[4];
        snprintf(header, sizeof header,
                 "{\"w\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[0,8]}}", cases[i].dtype,
                 cases[i].shape);
        write_file(header, 0, &cases[i].bits, 8);
        mdl_safetensors_t *file = open_good();
        const mdl_tensor_t *tensor = mdl_safetensors_find(file, "w");
        assert_int_equal(mdl_safetensors_read_float(file, "w", 1, tensor->dims, out, &err),
                         MDL_E_INPUT);
        assert_non_null(strstr(err.text, "tensor w"));
        assert_non_null(strstr(err.text, "not finite"));
        mdl_safetensors_close(file);
    }
}

/* Enough values for two threads, at odd addresses; the last but two becomes a NaN, then one of the
 * piece before it and one of the third piece as well, of which the first is told every time. */
static void long_tensor(void **state)
{
    (void)state;
    enum { N = (2 << 20) + 5 };
    char header[256];
    uint16_t *bits = malloc(N * sizeof *bits);
    float *out = malloc(N * sizeof *out);
    const int64_t dims[1] = {N};
    mdl_error_t err;
    assert_true(bits != NULL && out != NULL);
    for (int pass = 0; pass < 10; pass++) {
        for (uint32_t i = 0; i < N; i++)
            bits[i] = (uint16_t)(i * 2654435761u >> 16 & 0xbfff);
        bits[N - 3] = pass == 0 ? bits[N - 3] : 0x7fc0;
        bits[N - 131073] = pass < 2 ? bits[N - 131073] : 0x7f80;
        bits[300000] = pass < 2 ? bits[300000] : 0xffc0;
        int n_header = snprintf(
            header, sizeof header,
            "{\"w\":{\"dtype\":\"BF16\",\"shape\":[%d],\"data_offsets\":[0,%d]}}", N, 2 * N);
        if (n_header % 2 == 0)
            strcat(header, " ");
        write_file(header, 0, bits, N * sizeof *bits);
        mdl_safetensors_t *file = open_good();
        assert_int_equal(mdl_safetensors_find(file, "w")->offset % 2, 1);
        int rc = mdl_safetensors_read_float(file, "w", 1, dims, out, &err);
        assert_int_equal(rc, pass == 0 ? MDL_OK : MDL_E_INPUT);
        if (pass > 0)
            assert_non_null(strstr(err.text, pass == 1 ? "value 2097154 is not finite"
                                                       : "value 300000 is not finite"));
        for (int64_t i = 0; pass == 0 && i < N; i++) {
            uint32_t got;
            memcpy(&got, &out[i], sizeof got);
            assert_true(got == (uint32_t)bits[i] << 16);
        }
        mdl_safetensors_close(file);
    }
    free(bits);
    free(out);
}

/* Values that stay as they are, many pieces of them, to targets at every kind of distance from
 * their place in the file, and no byte beside the target is written. */
static void kept_as_they_are(void **state)
{
    (void)state;
    enum { N = 300001, ROOM = 4096 };
    static const size_t shifts[] = {0, 4, 60, 64, 2048, 4092};
    char header[256];
    float *values = malloc(N * sizeof *values);
    char *out = malloc(N * sizeof *values + 2 * ROOM);
    const int64_t dims[1] = {N};
    mdl_error_t err;
    assert_true(values != NULL && out != NULL);
    for (int i = 0; i < N; i++)
        values[i] = (float)(i - 1000) / 7;
    snprintf(header, sizeof header,
             "{\"w\":{\"dtype\":\"F32\",\"shape\":[%d],\"data_offsets\":[0,%d]}}", N, 4 * N);
    write_file(header, 0, values, N * sizeof *values);
    mdl_safetensors_t *file = open_good();
    for (size_t i = 0; i < sizeof shifts / sizeof *shifts; i++) {
        char *target = out + shifts[i];
        memset(out, 0x55, N * sizeof *values + 2 * ROOM);
        if (mdl_safetensors_read_float(file, "w", 1, dims, (float *)(void *)target, &err) != MDL_OK)
            fail_msg("%s", err.text);
        assert_memory_equal(target, values, N * sizeof *values);
        assert_int_equal(target[N * sizeof *values], 0x55);
        assert_true(i == 0 || target[-1] == 0x55);
    }
    mdl_safetensors_close(file);
    free(values);
    free(out);
}

/* What has no float32, and what isn't finite, can be had as it is. */
static void raw_values(void **state)
{
    (void)state;
    const int32_t numbers[3] = {-7, 1 << 30, 5};
    const uint32_t nan_bits = 0x7fc00001;
    char data[17] = {9};
    memcpy(data + 1, numbers, 12);
    memcpy(data + 13, &nan_bits, 4);
    write_file("{\"b\":" TENSOR("U8", "[1]", 0, 1) ",\"i\":" TENSOR(
                   "I32", "[3]", 1, 13) ",\"n\":" TENSOR("F32", "[]", 13, 17) "}",
               0, data, sizeof data);
    mdl_error_t err;
    mdl_safetensors_t *file = open_good();
    int32_t got[2];
    uint32_t bits;
    const mdl_tensor_t *tensor = mdl_safetensors_find(file, "i");
    assert_int_equal(mdl_safetensors_read_raw(file, tensor, 1, 2, got, &err), MDL_OK);
    assert_memory_equal(got, numbers + 1, sizeof got);
    assert_int_equal(mdl_safetensors_read_raw(file, tensor, 2, 2, got, &err), MDL_E_INTERNAL);
    tensor = mdl_safetensors_find(file, "n");
    assert_int_equal(mdl_safetensors_read_raw(file, tensor, 0, 1, &bits, &err), MDL_OK);
    assert_int_equal(bits, nan_bits);
    mdl_safetensors_close(file);
}

/* A file that is cut after it was opened is an error that says so, not a crash; what is still
 * there can be read. */
static void cut_while_open(void **state)
{
    (void)state;
    const float values[4] = {1, 2, 3, 4};
    const int64_t two = 2;
    float out[2];
    mdl_error_t err;
    write_file("{\"a\":" TENSOR("F32", "[2]", 0, 8) ",\"b\":" TENSOR("F32", "[2]", 8, 16) "}", 0,
               values, sizeof values);
    mdl_safetensors_t *file = open_good();
    const mdl_tensor_t *tensor = mdl_safetensors_find(file, "b");
    assert_int_equal(truncate(path, tensor->offset + 5), 0);
    assert_int_equal(mdl_safetensors_read_float(file, "a", 1, &two, out, &err), MDL_OK);
    assert_true(out[0] == 1 && out[1] == 2);
    assert_int_equal(mdl_safetensors_read_float(file, "b", 1, &two, out, &err), MDL_E_INPUT);
    assert_non_null(strstr(err.text, "when it was opened"));
    assert_int_equal(mdl_safetensors_read_part(file, "b", 1, &two, 0, 2, MDL_BFLOAT16, out, &err),
                     MDL_E_INPUT);
    assert_int_equal(mdl_safetensors_read_raw(file, tensor, 1, 1, out, &err), MDL_E_INPUT);
    mdl_safetensors_close(file);
}

static void empty_tensors(void **state)
{
    (void)state;
    write_file("{\"b\":" TENSOR("F32", "[1]", 0, 4) ",\"a\":" TENSOR(
                   "F32", "[0,7]", 0, 0) ",\"c\":" TENSOR("F32", "[0]", 4, 4) "}",
               0, "\0\0\0", 4);
    mdl_safetensors_t *file = open_good();
    assert_int_equal(mdl_safetensors_find(file, "a")->n_value, 0);
    assert_int_equal(mdl_safetensors_count(file), 3);
    mdl_safetensors_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_headers),
        cmocka_unit_test(every_truncation_and_flipped_bits),
        cmocka_unit_test(missing_file_folder_and_pipe),
        cmocka_unit_test(conversions),
        cmocka_unit_test(parts),
        cmocka_unit_test(wrong_shapes_and_names),
        cmocka_unit_test(refused_values),
        cmocka_unit_test(long_tensor),
        cmocka_unit_test(kept_as_they_are),
        cmocka_unit_test(raw_values),
        cmocka_unit_test(cut_while_open),
        cmocka_unit_test(empty_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
