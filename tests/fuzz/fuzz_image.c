/* Images, from the bytes of a file to an encoder's pixels. Mutated PNG files get right checksums,
 * without which the decoder would look no further. */
#include "fuzz_file.h"
#include "io/image.h"
#include "models/preprocess.h"

#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t n_byte, size_t n_most);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t n_byte, size_t n_most, unsigned seed);

static uint32_t read_big(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* CRC-32 of PNG (ISO 3309), bit by bit. */
static uint32_t checksum(const uint8_t *bytes, size_t n_byte)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n_byte; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t n_byte, size_t n_most, unsigned seed)
{
    size_t n = LLVMFuzzerMutate(bytes, n_byte, n_most), at = 8;
    int is_png = n > 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0;
    if (!is_png || seed % 16 == 0)
        return n;
    while (at + 12 <= n && read_big(bytes + at) <= n - at - 12) {
        size_t length = read_big(bytes + at);
        uint32_t crc = checksum(bytes + at + 4, length + 4);
        for (int i = 0; i < 4; i++)
            bytes[at + 8 + length + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += length + 12;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_byte)
{
    static const mdl_preprocessor_t preprocessor = {.shortest_edge = 9,
                                                    .crop_height = 8,
                                                    .crop_width = 8,
                                                    .bicubic = 1,
                                                    .rescale = 1 / 255.0,
                                                    .deviation = {1, 1, 1}};
    static float pixel[3 * 8 * 8];
    mdl_error_t err;
    mdl_image_t image;
    if (mdl_image_decode(bytes, n_byte, "input", &image, &err) != MDL_OK)
        return 0;
    if (image.height * image.width < 1 << 16) /* the rest is the same, only slow */
        mdl_preprocess(&preprocessor, &image, pixel, &err);
    free(image.rgb);
    return 0;
}
