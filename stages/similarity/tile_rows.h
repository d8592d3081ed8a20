/* Packed rows for the tiles of the Gram matrices: those of the next tile are read while one
 * computes, and as many as there is room for stay in memory. */
#ifndef MDL_SIMILARITY_TILE_ROWS_H
#define MDL_SIMILARITY_TILE_ROWS_H

#include "similarity/means.h"
#include "similarity/reader.h"

typedef struct {
    const mdl_means_t *means;
    int64_t n_slot;      /* row blocks of all models that stay in memory */
    char *held;          /* [n_slot, n_feat_all, padded tile] */
    int64_t *held_tile;  /* [n_slot, n_model] block that is there, -1 for none */
    int64_t *ahead_tile; /* the same once all that is asked for has been read */
    char *packed; /* [2, padded tile, max n_feat] a tile's rows and columns that don't stay */
    mdl_reader_t *reader;
    int64_t item, end, step; /* the next tile to read for, and there: */
    int model, side;         /* 0: the tile's rows, 1: its columns */
} mdl_tile_rows_t;

/* Tile number item of the lower triangle of tiles, row by row. */
void mdl_tile_of_item(int64_t item, int64_t *i, int64_t *j);

/* means are borrowed. Freed with mdl_tile_rows_free, also after a failure. Not collective, as all
 * of this. Returns MDL_E_MEMORY. */
int mdl_tile_rows_init(mdl_tile_rows_t *rows, const mdl_means_t *means, mdl_error_t *err);
void mdl_tile_rows_free(mdl_tile_rows_t *rows);

/* Begins to read for the tiles first, first + step and so on, below end. */
int mdl_tile_rows_start(mdl_tile_rows_t *rows, int64_t first, int64_t end, int64_t step,
                        mdl_error_t *err);

/* *packed: a model's rows of block number tile, for real->gram, until the same side is got again.
 * To be called for the tiles in order, for every model first side 0, then, off the diagonal, side
 * 1. Returns what reading returns. */
int mdl_tile_rows_get(mdl_tile_rows_t *rows, int model, int64_t tile, int side, void **packed,
                      mdl_error_t *err);

#endif
