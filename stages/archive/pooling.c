#include "archive/pooling.h"

#include <string.h>

mdl_pooling_t mdl_pooling_find(const char *name)
{
    return strcmp(name, "mean") == 0   ? MDL_POOL_MEAN
           : strcmp(name, "last") == 0 ? MDL_POOL_LAST
                                       : MDL_POOL_ALL;
}

static void pool_mean(const mdl_sample_t *sample, const float *hidden, int64_t n_feat, float *row)
{
    for (int64_t j = 0; j < n_feat; j++) {
        double sum = 0, n_scored = 0;
        for (int64_t t = 0; t < sample->n_token; t++) {
            int64_t position = t < sample->visual_at ? t : t + sample->n_visual;
            if (sample->scored[t]) {
                sum += hidden[position * n_feat + j];
                n_scored += 1;
            }
        }
        row[j] = (float)(sum / n_scored);
    }
}

void mdl_pool_hidden(mdl_pooling_t pooling, const mdl_sample_t *sample, const float *hidden,
                     int64_t n_feat, int64_t n_position, float *row)
{
    int64_t n_own = sample->n_token + sample->n_visual;
    size_t n_byte = (size_t)n_feat * sizeof *row;
    switch (pooling) {
    case MDL_POOL_MEAN:
        pool_mean(sample, hidden, n_feat, row);
        break;
    case MDL_POOL_LAST:
        memcpy(row, hidden + (n_own - 1) * n_feat, n_byte);
        break;
    case MDL_POOL_ALL:
        memcpy(row, hidden, (size_t)n_own * n_byte);
        memset(row + n_own * n_feat, 0, (size_t)(n_position - n_own) * n_byte);
        break;
    }
}
