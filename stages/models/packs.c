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
    MDL_TRY(mdl_alloc(&packs->room, (size_t)n, sizeof *packs->room, "packs", err));
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

static void choose_packs(mdl_packs_t *packs, const int64_t *length, int64_t capacity)
{
    packs->n_pack = 0;
    for (int64_t i = 0; i < packs->n; i++) {
        int64_t pack = capacity > 0 ? 0 : packs->n_pack;
        while (pack < packs->n_pack && packs->room[pack] < length[i])
            pack++;
        if (pack == packs->n_pack)
            packs->room[packs->n_pack++] = capacity;
        packs->room[pack] -= length[i];
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
