#include "similarity/tile_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void mdl_tile_of_item(int64_t item, int64_t *i, int64_t *j)
{
    *i = (int64_t)((sqrt(8.0 * (double)item + 1) - 1) / 2);
    while (*i * (*i + 1) / 2 > item)
        --*i;
    while ((*i + 1) * (*i + 2) / 2 <= item)
        ++*i;
    *j = item - *i * (*i + 1) / 2;
}

int mdl_tile_rows_init(mdl_tile_rows_t *rows, const mdl_means_t *means, mdl_error_t *err)
{
    const mdl_cka_task_t *task = means->task;
    size_t size = task->real->size, padded = (size_t)mdl_real_padded(means->tile);
    size_t held = padded * (size_t)means->n_feat_all, n_model = (size_t)task->n_model;
    int64_t room = MDL_CKA_HELD_BYTES / (int64_t)(held * size);
    *rows = (mdl_tile_rows_t){.means = means};
    rows->n_slot = room >= means->n_tile ? means->n_tile : room > 0;
    size_t n_slot = (size_t)rows->n_slot, n_number = n_slot * n_model;
    int rc;
    MDL_TRY(mdl_alloc_aligned(&rows->held, n_slot * held, size, "rows that stay in memory", err));
    MDL_TRY(mdl_alloc(&rows->held_tile, n_number, sizeof(int64_t), "numbers", err));
    MDL_TRY(mdl_alloc(&rows->ahead_tile, n_number, sizeof(int64_t), "numbers", err));
    MDL_TRY(mdl_alloc_aligned(&rows->packed, 2 * padded * (size_t)mdl_cka_max_feat(task), size,
                              "packed rows", err));
    for (size_t k = 0; k < n_number; k++)
        rows->held_tile[k] = rows->ahead_tile[k] = -1;
done:
    return rc;
}

void mdl_tile_rows_free(mdl_tile_rows_t *rows)
{
    mdl_reader_stop(rows->reader);
    free(rows->held);
    free(rows->held_tile);
    free(rows->ahead_tile);
    free(rows->packed);
    *rows = (mdl_tile_rows_t){0};
}

/* The slot that a block stays in, -1 for none: with room for all every one stays, else the last
 * one of side 0. */
static int64_t slot_of(const mdl_tile_rows_t *rows, int64_t tile, int side)
{
    if (rows->n_slot >= rows->means->n_tile)
        return tile;
    return rows->n_slot > 0 && side == 0 ? 0 : -1;
}

/* 1 when a block must be read, and is then down as being there. */
static int take(const mdl_tile_rows_t *rows, int64_t *held_tile, int model, int64_t tile, int side)
{
    int64_t slot = slot_of(rows, tile, side);
    if (slot < 0)
        return 1;
    int64_t *there = &held_tile[slot * rows->means->task->n_model + model];
    int missing = *there != tile;
    *there = tile;
    return missing;
}

/* The next block that must be read; 0 when there is none. */
static int find_next(mdl_tile_rows_t *rows, mdl_read_t *read)
{
    const mdl_means_t *means = rows->means;
    while (rows->item < rows->end) {
        int64_t tiles[2];
        int model = rows->model, side = rows->side;
        mdl_tile_of_item(rows->item, &tiles[0], &tiles[1]);
        rows->side = side == 0 && tiles[0] != tiles[1];
        rows->model += rows->side == 0;
        if (rows->model == means->task->n_model) {
            rows->model = 0;
            rows->item += rows->step;
        }
        if (take(rows, rows->ahead_tile, model, tiles[side], side)) {
            *read = (mdl_read_t){.model = model,
                                 .first = tiles[side] * means->tile,
                                 .n_row = mdl_means_rows(means, tiles[side])};
            return 1;
        }
    }
    return 0;
}

static mdl_read_t next_read(void *data, int64_t request)
{
    mdl_read_t read = {0};
    (void)request; /* one after the other */
    find_next(data, &read);
    return read;
}

int mdl_tile_rows_start(mdl_tile_rows_t *rows, int64_t first, int64_t end, int64_t step,
                        mdl_error_t *err)
{
    const mdl_cka_task_t *task = rows->means->task;
    size_t n_byte = (size_t)rows->n_slot * (size_t)task->n_model * sizeof(int64_t);
    mdl_read_t read;
    int64_t n_request = 0;
    rows->step = step;
    rows->end = end;
    rows->item = first;
    while (find_next(rows, &read))
        n_request++;
    rows->item = first;
    memcpy(rows->ahead_tile, rows->held_tile, n_byte);
    return mdl_reader_start(&rows->reader, task->models, task->real->encoding, n_request,
                            rows->means->tile * mdl_cka_max_feat(task), 1, next_read, rows, err);
}

int mdl_tile_rows_get(mdl_tile_rows_t *rows, int model, int64_t tile, int side, void **packed,
                      mdl_error_t *err)
{
    const mdl_means_t *means = rows->means;
    int64_t slot = slot_of(rows, tile, side), padded = mdl_real_padded(means->tile);
    size_t size = means->task->real->size;
    void *x;
    *packed = slot < 0
                  ? rows->packed + (size_t)(side * padded * mdl_cka_max_feat(means->task)) * size
                  : rows->held +
                        (size_t)(padded * (slot * means->n_feat_all + means->offset[model])) * size;
    if (!take(rows, rows->held_tile, model, tile, side))
        return MDL_OK;
    int rc = mdl_reader_next(rows->reader, &x, err);
    if (rc == MDL_OK)
        mdl_means_pack(means, model, mdl_means_rows(means, tile), x, *packed);
    return rc;
}
