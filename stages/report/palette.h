/* The sequential palette viridis: perceptually even, and readable with any colour vision. */
#ifndef MDL_REPORT_PALETTE_H
#define MDL_REPORT_PALETTE_H

enum { MDL_COLOUR_SIZE = 8 }; /* #rrggbb and the closing zero */

/* Colour of part, 0 (dark) to 1 (bright); values outside are clamped. Not collective. */
void mdl_palette_colour(double part, char colour[MDL_COLOUR_SIZE]);

/* Black or white, whichever has more contrast on the colour of part (WCAG 2.1 relative luminance;
 * at least 4.5 to 1). Not collective. */
const char *mdl_palette_ink(double part);

#endif
