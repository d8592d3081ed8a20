#include "report/palette.h"

#include <math.h>
#include <stdio.h>

/* Viridis at 0, 1/15, ..., 1 (S. van der Walt and N. Smith, matplotlib 1.5, CC0). */
static const unsigned char viridis[16][3] = {
    {68, 1, 84},    {72, 26, 108},  {71, 47, 125},  {65, 68, 135},  {57, 86, 140},  {49, 104, 142},
    {42, 120, 142}, {35, 136, 142}, {31, 152, 139}, {34, 168, 132}, {53, 183, 121}, {84, 197, 104},
    {122, 209, 81}, {165, 219, 54}, {210, 226, 27}, {253, 231, 37}};

static void mix(double part, double rgb[3])
{
    double at = 15 * (part > 0 ? part < 1 ? part : 1 : 0);
    int i = at < 15 ? (int)at : 14;
    for (int c = 0; c < 3; c++)
        rgb[c] = viridis[i][c] + (at - i) * (viridis[i + 1][c] - viridis[i][c]);
}

void mdl_palette_colour(double part, char colour[MDL_COLOUR_SIZE])
{
    double rgb[3];
    mix(part, rgb);
    snprintf(colour, MDL_COLOUR_SIZE, "#%02x%02x%02x", (unsigned)(rgb[0] + 0.5) & 255,
             (unsigned)(rgb[1] + 0.5) & 255, (unsigned)(rgb[2] + 0.5) & 255);
}

const char *mdl_palette_ink(double part)
{
    static const double weights[3] = {0.2126, 0.7152, 0.0722};
    double rgb[3], luminance = 0;
    mix(part, rgb);
    for (int c = 0; c < 3; c++) {
        double s = rgb[c] / 255;
        luminance += weights[c] * (s <= 0.03928 ? s / 12.92 : pow((s + 0.055) / 1.055, 2.4));
    }
    return (luminance + 0.05) * (luminance + 0.05) > 1.05 * 0.05 ? "#000" : "#fff";
}
