#include "models/packs.h"

#include <stdlib.h>
#include <string.h>

int mdl_packs_new(mdl_packs_t *packs, int64_t n, mdl_error_t *err)
{
    int rc;
    *packs = (mdl_packs_t){.n = n};
    MDL_TRY(mdl_alloc(&packs->begin, (size_t)n + 1, sizeof *packs->begin, "packs", err));
    MDL_TRY(mdl_alloc(&packs->member, (size_t)n, sizeof *packs->member, "packs", err));
    MDL_TRY(mdl_alloc(&packs->pack_of, (size_t)n, sizeof *packs->pack_of, "packs", err));
    for (packs->n_leaf = 1; packs->n_leaf < n;)
        packs->n_leaf *= 2;
    MDL_TRY(mdl_alloc(&packs->room, 2 * (size_t)packs->n_leaf, sizeof *packs->room, "packs", err));
done:
    return rc;
}

void mdl_packs_free(mdl_packs_t *packs)
{
    free(packs->begin);
    free(packs->member);
    free(packs->pack_of);
    free(packs->room);
    *packs = (mdl_packs_t){0};
}

/* The room of pack p is that of leaf n_leaf + p; node i has the larger one of its children, nodes
 * 2 i and 2 i + 1. */
static void take_room(int64_t *room, int64_t leaf, int64_t length)
{
    room[leaf] -= length;
    for (int64_t node = leaf / 2; node > 0; node /= 2)
        room[node] = room[2 * node] > room[2 * node + 1] ? room[2 * node] : room[2 * node + 1];
}

static int64_t first_with_room(const mdl_packs_t *packs, int64_t length)
{
    int64_t node = 1;
    while (node < packs->n_leaf)
        node = 2 * node + (packs->room[2 * node] < length);
    return node - packs->n_leaf;
}

static void choose_packs(mdl_packs_t *packs, const int64_t *length, int64_t capacity)
{
    packs->n_pack = 0;
    for (int64_t i = 0; i < 2 * packs->n_leaf; i++)
        packs->room[i] = capacity;
    for (int64_t i = 0; i < packs->n; i++) {
        int64_t pack = packs->n_pack;
        if (capacity > 0 && length[i] <= capacity)
            pack = first_with_room(packs, length[i]);
        take_room(packs->room, packs->n_leaf + pack, length[i]);
        packs->n_pack += pack == packs->n_pack;
        packs->pack_of[i] = pack;
    }
}

void mdl_packs_fill(mdl_packs_t *packs, const int64_t *length, int64_t capacity)
{
    int64_t *next = packs->room; /* no longer needed for what it is */
    choose_packs(packs, length, capacity);
    memset(packs->begin, 0, (size_t)(packs->n + 1) * sizeof *packs->begin);
    for (int64_t i = 0; i < packs->n; i++)
        packs->begin[packs->pack_of[i] + 1]++;
    for (int64_t pack = 0; pack < packs->n_pack; pack++) {
        packs->begin[pack + 1] += packs->begin[pack];
        next[pack] = packs->begin[pack];
    }
    for (int64_t i = 0; i < packs->n; i++)
        packs->member[next[packs->pack_of[i]]++] = i;
}
