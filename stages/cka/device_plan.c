#include "cka/device_plan.h"

#include "core/text.h"
#include "kernels/batch_device.h"
#include "kernels/device.h"
#include "similarity/full_device.h"
#include "similarity/row_sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a batch, or of the full estimators with as few blocks of rows there as can be, and with all.
 */
static int bytes_of(const mdl_cka_settings_t *settings, mdl_plan_route_t route,
                    const mdl_cka_archives_t *archives, double bytes[2], mdl_error_t *err)
{
    int64_t *n_feat = NULL, n = archives->n_sample, widest = 0;
    int n_model = archives->n_model,
        rc = mdl_alloc(&n_feat, (size_t)n_model, sizeof *n_feat, "widths", err);
    for (int a = 0; rc == MDL_OK && a < n_model; a++) {
        n_feat[a] = archives->models[a].n_feat;
        widest = n_feat[a] > widest ? n_feat[a] : widest;
    }
    int64_t tile = mdl_full_device_tile(n_model, n), n_block = (n + tile - 1) / tile;
    int is_double = settings->precision == MDL_FLOAT64;
    mdl_batch_device_plan_t batch = {.n_model = n_model,
                                     .max_row = settings->batch < n ? settings->batch : n,
                                     .max_feat = widest,
                                     .is_double = is_double,
                                     .bfloat16 = settings->bfloat16};
    mdl_gram_device_plan_t full = {.rows = {.n_model = n_model,
                                            .n_feat = n_feat,
                                            .tile = tile,
                                            .n_block = n_block,
                                            .n_apart = settings->kernel == MDL_CKA_RBF,
                                            .is_double = is_double,
                                            .bfloat16 = settings->bfloat16},
                                   .n_column = mdl_full_device_column(tile, 0)};
    mdl_feature_device_plan_t feature = {.rows = full.rows,
                                         .max_col = widest < MDL_CKA_STRIP ? widest : MDL_CKA_STRIP,
                                         .n_sample = n,
                                         .n_sampled = mdl_row_sample_size(n_model, n)};
    for (int all = 0; rc == MDL_OK && all < 2; all++) {
        int64_t n_there = all || n_block < 2 ? n_block : 2;
        bytes[all] = route == MDL_PLAN_MINIBATCH ? mdl_batch_device_bytes(&batch)
                     : route == MDL_PLAN_GRAM    ? mdl_gram_device_bytes(&full, n_there)
                                                 : mdl_feature_device_bytes(&feature, n_there);
    }
    free(n_feat);
    return rc;
}

int mdl_cka_device_plan_print(const char *backend, const mdl_cka_settings_t *settings,
                              mdl_plan_route_t route, const mdl_cka_archives_t *archives,
                              mdl_error_t *err)
{
    enum { SIDE = 8192 };
    const char *why;
    char least[32], all[32], memory[32];
    double bytes[2], rate;
    mdl_device_t found;
    if (strcmp(backend, "cpu") == 0)
        return MDL_OK;
    if (mdl_device_count(&why) == 0) {
        printf("  on the CPU here: %s\n", why);
        return MDL_OK;
    }
    int rc = mdl_device_describe(0, &found, err);
    if (rc == MDL_OK)
        rc = mdl_device_rate(0, settings->precision == MDL_FLOAT64, settings->bfloat16, SIDE, &rate,
                             err);
    if (rc == MDL_OK)
        rc = bytes_of(settings, route, archives, bytes, err);
    if (rc != MDL_OK)
        return rc;
    printf("  on GPUs by %s: needs %s of each rank's", mdl_plan_route_name(route),
           mdl_text_bytes(bytes[0], least));
    if (bytes[1] > bytes[0])
        printf(", %s to read every row once", mdl_text_bytes(bytes[1], all));
    printf("; here %s with %s, %.1f Tflop/s\n", found.name, mdl_text_bytes(found.memory, memory),
           rate / 1e12);
    return MDL_OK;
}
