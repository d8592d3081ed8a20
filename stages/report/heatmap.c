#include "report/heatmap.h"

#include "core/text.h"
#include "report/dendrogram.h"
#include "report/palette.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_LABEL = 22, MAX_MODEL_WITH_VALUES = 14, MAX_MODEL_WITH_TITLES = 40 };

static const double tree_width = 90, top = 26, character_width = 7.6, line_height = 12;

typedef struct {
    const mdl_report_side_t *side;
    int64_t n_model, *order; /* from top to bottom and from left to right */
    double low, cell, left, label_height;
    int n_label_character;
} map_t;

double mdl_heatmap_low(const mdl_report_side_t *side)
{
    double low = 0.9;
    int64_t n = side->similarity.n_model;
    for (int64_t i = 0; i < n * n; i++) /* fmin passes over NaN: what is undefined */
        low = fmin(low, side->similarity.similarity[i]);
    return fmax(0, floor(low * 10 + 1e-9) / 10);
}

static double part_of(const map_t *map, double similarity)
{
    return (similarity - map->low) / (1 - map->low);
}

static void draw_cell(mdl_buffer_t *page, const map_t *map, int64_t row, int64_t column)
{
    const mdl_similarity_t *from = &map->side->similarity;
    int64_t i = map->order[row], j = map->order[column];
    double value = from->similarity[i * map->n_model + j];
    double x = map->left + (double)column * map->cell, y = top + (double)row * map->cell;
    char colour[MDL_COLOUR_SIZE], text[16];
    int defined = !isnan(value);
    char *title = NULL;
    if (map->n_model <= MAX_MODEL_WITH_TITLES && defined)
        title = mdl_text("%s and %s: %.3f", from->models[i], from->models[j], value);
    else if (map->n_model <= MAX_MODEL_WITH_TITLES)
        title = mdl_text("%s and %s: undefined", from->models[i], from->models[j]);
    if (defined)
        mdl_palette_colour(part_of(map, value), colour);
    mdl_svg_rect(page, x, y, map->cell, map->cell, defined ? colour : NULL,
                 defined ? NULL : "failed", title);
    free(title);
    if (map->n_model > MAX_MODEL_WITH_VALUES || i == j || !defined)
        return;
    snprintf(text, sizeof text, "%.2f", value);
    char *digits = text[0] == '0' ? text + 1 : text;
    mdl_buffer_add(
        page, "<text x=\"%.2f\" y=\"%.2f\" class=\"value\" style=\"fill:%s\">%s</text>\n",
        x + map->cell / 2, y + map->cell / 2 + 3.2, mdl_palette_ink(part_of(map, value)), digits);
}

static int is_medoid(const mdl_clusters_t *clusters, int64_t model)
{
    for (int64_t c = 0; c < clusters->n_cluster; c++)
        if (clusters->medoid[c] == model)
            return 1;
    return 0;
}

static int is_named_medoid(const map_t *map, int64_t row)
{
    return map->side->has_clusters && is_medoid(&map->side->clusters, map->order[row]);
}

static void draw_label(mdl_buffer_t *page, const map_t *map, int64_t row)
{
    double size = (double)map->n_model * map->cell, middle = ((double)row + 0.5) * map->cell;
    const char *name = map->side->similarity.models[map->order[row]];
    const char *class_name = is_named_medoid(map, row) ? "strong" : NULL;
    mdl_svg_text(page, map->left + size + 12, top + middle + 3.8, MDL_SVG_START, 0, class_name,
                 name, MAX_LABEL);
    mdl_svg_text(page, map->left + middle + 3.8, top + size + 8, MDL_SVG_END, -90, class_name, name,
                 MAX_LABEL);
}

/* With many models not every row is named, so that names don't touch; medoids come first. */
static void draw_labels(mdl_buffer_t *page, const map_t *map)
{
    int64_t step = (int64_t)ceil(line_height / map->cell), last = -step;
    for (int64_t row = 0; row < map->n_model; row++) {
        int medoid = is_named_medoid(map, row), named = row - last >= step;
        for (int64_t next = row + 1; !medoid && next < row + step && next < map->n_model; next++)
            named = named && !is_named_medoid(map, next);
        if (named) {
            draw_label(page, map, row);
            last = row;
        }
        if (medoid)
            mdl_svg_circle(page, map->left + (double)map->n_model * map->cell + 6,
                           top + ((double)row + 0.5) * map->cell, fmin(3, 0.4 * map->cell), "mark");
    }
}

/* Neighbours of one cluster share a box: clusters are cut from the tree that orders the leaves. */
static void draw_boxes(mdl_buffer_t *page, const map_t *map)
{
    const int32_t *label = map->side->clusters.label;
    for (int64_t first = 0; first < map->n_model;) {
        int64_t end = first + 1;
        while (end < map->n_model && label[map->order[end]] == label[map->order[first]])
            end++;
        double from = (double)first * map->cell, size = (double)(end - first) * map->cell;
        mdl_svg_rect(page, map->left + from, top + from, size, size, NULL, "box-halo", NULL);
        mdl_svg_rect(page, map->left + from, top + from, size, size, NULL, "box", NULL);
        first = end;
    }
}

static void draw_legend(mdl_buffer_t *page, const map_t *map, double y)
{
    enum { N_STEP = 30 };
    double width = fmin(160, (double)map->n_model * map->cell);
    char colour[MDL_COLOUR_SIZE], text[16];
    for (int i = 0; i < N_STEP; i++) {
        mdl_palette_colour((i + 0.5) / N_STEP, colour);
        mdl_svg_rect(page, map->left + i * width / N_STEP, y, width / N_STEP + 0.3, 9, colour, NULL,
                     NULL);
    }
    snprintf(text, sizeof text, "%.1f", map->low);
    mdl_svg_text(page, map->left, y + 20, MDL_SVG_START, 0, "small", text, 8);
    mdl_svg_text(page, map->left + width, y + 20, MDL_SVG_END, 0, "small", "1", 8);
    mdl_svg_text(page, map->left + width / 2, y + 20, MDL_SVG_MIDDLE, 0, "small", "similarity", 12);
}

static int lay_out(map_t *map, mdl_error_t *err)
{
    int64_t n = map->n_model = map->side->similarity.n_model;
    int rc;
    MDL_TRY(mdl_alloc(&map->order, (size_t)n, sizeof *map->order, "the heat map", err));
    for (int64_t i = 0; i < n; i++) {
        int n_character = mdl_html_n_character(map->side->similarity.models[i]);
        map->n_label_character =
            n_character > map->n_label_character ? n_character : map->n_label_character;
        map->order[i] = i;
    }
    if (map->n_label_character > MAX_LABEL)
        map->n_label_character = MAX_LABEL;
    if (map->side->has_clusters)
        MDL_TRY(mdl_dendrogram_order(map->side->clusters.linkage, n, map->order, err));
    double grid = n <= 24 ? fmin(250, 36 * (double)n) : fmin(250 + 6 * (double)(n - 24), 720);
    map->cell = grid / (double)n;
    map->left = map->side->has_clusters ? tree_width + 2 : 8;
    map->label_height = map->n_label_character * character_width + 16;
done:
    return rc;
}

/* Which models have no similarity, and why: a sentence of its own each. */
static void draw_undefined(mdl_buffer_t *page, const mdl_similarity_t *from)
{
    for (int64_t i = 0; i < from->n_model; i++)
        if (from->status[i * (from->n_model + 1)] != MDL_SIMILARITY_DEFINED) {
            mdl_buffer_add(page, "<p class=\"missing\">");
            mdl_html_text(page, "The similarity of %s is undefined (dashed): %s.", from->models[i],
                          mdl_similarity_why(from->status[i * (from->n_model + 1)]));
            mdl_buffer_add(page, "</p>\n");
        }
}

static void draw_caption(mdl_buffer_t *page, const mdl_report_side_t *side, const char *what)
{
    if (!side->has_clusters) {
        mdl_html_figure_end(page, "%s: %lld models from %lld rows (%s), not clustered yet.", what,
                            (long long)side->similarity.n_model,
                            (long long)side->similarity.n_sample, side->similarity.label);
        return;
    }
    mdl_html_figure_end(page,
                        "%s: %lld model%s in %lld cluster%s (%s linkage, cut at similarity %.3g), "
                        "from %lld rows (%s). Boxes are clusters, dots their medoids.",
                        what, (long long)side->clusters.n_model,
                        side->clusters.n_model == 1 ? "" : "s", (long long)side->clusters.n_cluster,
                        side->clusters.n_cluster == 1 ? "" : "s", side->clusters.method,
                        side->clusters.threshold, (long long)side->similarity.n_sample,
                        side->similarity.label);
}

int mdl_heatmap_draw(mdl_buffer_t *page, const mdl_report_side_t *side, double low,
                     const char *what, mdl_error_t *err)
{
    map_t map = {.side = side, .low = low};
    int rc;
    MDL_TRY(lay_out(&map, err));
    double grid = (double)map.n_model * map.cell;
    double width = map.left + grid + 12 + map.n_label_character * character_width + 4;
    double legend = top + grid + map.label_height + 4;
    mdl_html_figure_begin(page);
    mdl_svg_begin(page, fmax(width, map.left + 170), legend + 24, what,
                  "Heat map of pairwise CKA similarity, one row and one column a model, ordered "
                  "by the dendrogram on the left.");
    mdl_buffer_add(page, "<g shape-rendering=\"crispEdges\">\n");
    for (int64_t i = 0; i < map.n_model; i++)
        for (int64_t j = 0; j < map.n_model; j++)
            draw_cell(page, &map, i, j);
    mdl_buffer_add(page, "</g>\n");
    if (side->has_clusters) {
        draw_boxes(page, &map);
        MDL_TRY(mdl_dendrogram_draw(page, &side->clusters, map.order, 12, top, tree_width - 14,
                                    map.cell, err));
    }
    draw_labels(page, &map);
    draw_legend(page, &map, legend);
    mdl_svg_end(page);
    draw_undefined(page, &side->similarity);
    draw_caption(page, side, what);
done:
    free(map.order);
    return rc;
}
