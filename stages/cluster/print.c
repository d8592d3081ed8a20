#include "cluster/print.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 48 };

static int widest(char *const *names, int64_t n)
{
    size_t most = 6;
    for (int64_t i = 0; i < n; i++)
        most = strlen(names[i]) > most ? strlen(names[i]) : most;
    return (int)most;
}

void mdl_print_clusters(FILE *out, const char *path, const mdl_clusters_t *c)
{
    int width = widest(c->models, c->n_model);
    fprintf(out, "%s: %lld models in %lld clusters at similarity %g (%s linkage)\n", path,
            (long long)c->n_model, (long long)c->n_cluster, c->threshold, c->method);
    fprintf(out, "cluster  %-*s  models\n", width, "medoid");
    for (int64_t k = 0; k < c->n_cluster; k++) {
        fprintf(out, "%7lld  %-*s ", (long long)k, width, c->models[c->medoid[k]]);
        for (int64_t i = 0; i < c->n_model; i++)
            if (c->label[i] == k)
                fprintf(out, " %s", c->models[i]);
        fputc('\n', out);
    }
}

typedef struct {
    const mdl_clusters_t *clusters;
    int64_t *row;    /* [2n - 1] line of a node */
    int64_t *column; /* [2n - 1] where a node's line begins */
    char *grid;      /* [n, COLUMNS + 1] */
    int64_t *stack;  /* [2n - 1] */
} picture_t;

/* Gives every model its line, so that the two parts of each merge lie side by side. */
static void place_leaves(picture_t *p)
{
    int64_t n = p->clusters->n_model, n_stack = 0, line = 0;
    p->stack[n_stack++] = 2 * n - 2;
    while (n_stack > 0) {
        int64_t node = p->stack[--n_stack];
        if (node < n) {
            p->row[node] = line++;
            continue;
        }
        const double *merge = p->clusters->linkage + 4 * (node - n);
        p->stack[n_stack++] = (int64_t)merge[1];
        p->stack[n_stack++] = (int64_t)merge[0];
    }
}

static void draw_merges(picture_t *p, double low, double high)
{
    int64_t n = p->clusters->n_model;
    for (int64_t k = 0; k < n - 1; k++) {
        const double *merge = p->clusters->linkage + 4 * k;
        if (merge[2] > high) /* at infinity: a model of undefined similarity stays alone */
            continue;
        double share = high > low ? (merge[2] - low) / (high - low) : 1;
        int64_t at = (int64_t)(share * (COLUMNS - 1) + 0.5);
        int64_t top = 2 * n, bottom = -1;
        for (int part = 0; part < 2; part++) {
            int64_t node = (int64_t)merge[part], row = p->row[node];
            for (int64_t j = p->column[node]; j < at; j++)
                p->grid[row * (COLUMNS + 1) + j] = '-';
            top = row < top ? row : top;
            bottom = row > bottom ? row : bottom;
        }
        for (int64_t row = top; row <= bottom; row++)
            p->grid[row * (COLUMNS + 1) + at] = row == top || row == bottom ? '+' : '|';
        p->row[n + k] = bottom;
        p->column[n + k] = at + 1;
    }
}

static void print_picture(FILE *out, const picture_t *p, double low, double high)
{
    const mdl_clusters_t *c = p->clusters;
    int width = widest(c->models, c->n_model);
    fprintf(out, "%*s  similarity %-*.2f%.2f\n", width, "", COLUMNS - 15, 1 - low, 1 - high);
    for (int64_t line = 0; line < c->n_model; line++)
        for (int64_t i = 0; i < c->n_model; i++)
            if (p->row[i] == line)
                fprintf(out, "%-*s  %s\n", width, c->models[i], p->grid + line * (COLUMNS + 1));
}

int mdl_print_dendrogram(FILE *out, const mdl_clusters_t *clusters, mdl_error_t *err)
{
    size_t n = (size_t)clusters->n_model;
    picture_t p = {.clusters = clusters};
    int rc;
    MDL_TRY(mdl_alloc(&p.row, 2 * n, sizeof *p.row, "a dendrogram", err));
    MDL_TRY(mdl_alloc(&p.column, 2 * n, sizeof *p.column, "a dendrogram", err));
    MDL_TRY(mdl_alloc(&p.stack, 2 * n, sizeof *p.stack, "a dendrogram", err));
    MDL_TRY(mdl_alloc(&p.grid, n, COLUMNS + 1, "a dendrogram", err));
    for (size_t i = 0; i < n * (COLUMNS + 1); i++)
        p.grid[i] = i % (COLUMNS + 1) == COLUMNS ? '\0' : ' ';
    if (n > 1) {
        double first = clusters->linkage[2], low = first < 0 ? first : 0, high = 0;
        for (size_t k = 0; k < n - 1 && clusters->linkage[4 * k + 2] < INFINITY; k++)
            high = clusters->linkage[4 * k + 2];
        place_leaves(&p);
        draw_merges(&p, low, high);
        print_picture(out, &p, low, high);
    }
done:
    free(p.row);
    free(p.column);
    free(p.stack);
    free(p.grid);
    return rc;
}

void mdl_print_candidates(FILE *out, const char *path, const mdl_candidates_t *c)
{
    fprintf(out, "%s: %lld candidates in %lld candidate clusters\n", path,
            (long long)c->n_candidate, (long long)c->n_cluster);
    fprintf(out, "cluster  candidates  medoid\n");
    for (int64_t k = 0; k < c->n_cluster; k++) {
        int64_t size = 0;
        for (int64_t i = 0; i < c->n_candidate; i++)
            size += c->cluster[i] == k;
        fprintf(out, "%7lld  %10lld  %s\n", (long long)k, (long long)size,
                c->candidate[c->medoid[k]]);
    }
}
