#include "report/dendrogram.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int mdl_dendrogram_order(const double *linkage, int64_t n_model, int64_t *order, mdl_error_t *err)
{
    int64_t *stack;
    int rc = mdl_alloc(&stack, (size_t)n_model + 1, sizeof *stack, "the dendrogram", err);
    if (rc != MDL_OK)
        return rc;
    int64_t n_stacked = 0, n_leaf = 0;
    stack[n_stacked++] = 2 * n_model - 2;
    while (n_stacked > 0) {
        int64_t node = stack[--n_stacked];
        if (node < n_model) {
            order[n_leaf++] = node;
            continue;
        }
        const double *row = linkage + 4 * (node - n_model);
        stack[n_stacked++] = (int64_t)row[1];
        stack[n_stacked++] = (int64_t)row[0];
    }
    free(stack);
    return MDL_OK;
}

static void draw_scale(mdl_buffer_t *page, const mdl_scale_t *at, double threshold, double y,
                       double height)
{
    char text[16];
    double cut = mdl_scale_at(at, 1 - threshold);
    snprintf(text, sizeof text, "%.3g", threshold);
    mdl_svg_line(page, cut, y - 6, cut, y + height, "threshold");
    mdl_svg_text(page, cut, y - 9, MDL_SVG_MIDDLE, 0, "small strong", text, 8);
    double ends[2] = {0, floor(at->high * 10) / 10};
    for (int i = 0; i < 2; i++) {
        double tick = mdl_scale_at(at, ends[i]);
        if (fabs(tick - cut) < (i == 1 ? 28 : 16) || (i == 1 && ends[1] <= 0))
            continue;
        snprintf(text, sizeof text, "%.3g", 1 - ends[i]);
        mdl_svg_line(page, tick, y - 4, tick, y, "axis");
        mdl_svg_text(page, tick, y - 9, i == 1 ? MDL_SVG_START : MDL_SVG_MIDDLE, 0, "small", text,
                     8);
    }
}

/* Every merge is a bracket: two stems from its children, and a bar that joins them. */
static void draw_branches(mdl_buffer_t *page, const mdl_clusters_t *clusters, const mdl_scale_t *at,
                          double *node_x, double *node_y)
{
    mdl_buffer_add(page, "<path class=\"branch\" d=\"");
    for (int64_t merge = 0; merge < clusters->n_model - 1; merge++) {
        const double *row = clusters->linkage + 4 * merge;
        int64_t a = (int64_t)row[0], b = (int64_t)row[1], made = clusters->n_model + merge;
        if (isinf(row[2])) /* a model of undefined similarity merges with nothing */
            continue;
        node_x[made] = mdl_scale_at(at, row[2]);
        node_y[made] = (node_y[a] + node_y[b]) / 2;
        mdl_buffer_add(page, "M%.2f %.2fH%.2fV%.2fH%.2f", node_x[a], node_y[a], node_x[made],
                       node_y[b], node_x[b]);
    }
    mdl_buffer_add(page, "\"/>\n");
}

int mdl_dendrogram_draw(mdl_buffer_t *page, const mdl_clusters_t *clusters, const int64_t *order,
                        double x, double y, double width, double cell, mdl_error_t *err)
{
    int64_t n_model = clusters->n_model;
    double *node_x = NULL, *node_y = NULL, highest = 1 - clusters->threshold;
    int rc;
    MDL_TRY(mdl_alloc(&node_x, (size_t)(2 * n_model), sizeof *node_x, "the dendrogram", err));
    MDL_TRY(mdl_alloc(&node_y, (size_t)(2 * n_model), sizeof *node_y, "the dendrogram", err));
    for (int64_t merge = 0; merge < n_model - 1; merge++)
        if (isfinite(clusters->linkage[4 * merge + 2]))
            highest = fmax(highest, clusters->linkage[4 * merge + 2]);
    mdl_scale_t at = {.low = 0, .high = 1.05 * highest, .from = x + width, .to = x};
    for (int64_t i = 0; i < n_model; i++) {
        node_x[order[i]] = at.from;
        node_y[order[i]] = y + ((double)i + 0.5) * cell;
    }
    draw_branches(page, clusters, &at, node_x, node_y);
    draw_scale(page, &at, clusters->threshold, y, (double)n_model * cell);
done:
    free(node_x);
    free(node_y);
    return rc;
}
