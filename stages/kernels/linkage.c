#include "kernels/linkage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

mdl_linkage_t mdl_linkage_named(const char *name)
{
    return strcmp(name, "average") == 0    ? MDL_LINKAGE_AVERAGE
           : strcmp(name, "complete") == 0 ? MDL_LINKAGE_COMPLETE
                                           : MDL_LINKAGE_SINGLE;
}

/* Distance from item to the union of x and y (Lance and Williams 1967). */
static double joined(mdl_linkage_t method, double d_x, double d_y, double n_x, double n_y)
{
    if (method == MDL_LINKAGE_COMPLETE)
        return d_x > d_y ? d_x : d_y;
    return (n_x * d_x + n_y * d_y) / (n_x + n_y);
}

typedef struct {
    double *distance; /* [n, n], changes as clusters merge; the union lives on under y */
    int64_t *size;    /* [n], 0 once merged into another */
    int64_t *chain;   /* [n] */
    int64_t n, n_chain;
} chain_t;

/* Follows nearest neighbours from the end of the chain until two are each other's nearest; the
 * predecessor wins ties, so that the chain cannot go round. */
static double find_neighbours(chain_t *c, int64_t *x, int64_t *y)
{
    for (;;) {
        *x = c->chain[c->n_chain - 1];
        double nearest = INFINITY;
        *y = -1;
        if (c->n_chain > 1) {
            *y = c->chain[c->n_chain - 2];
            nearest = c->distance[*x * c->n + *y];
        }
        for (int64_t i = 0; i < c->n; i++) {
            if (c->size[i] > 0 && i != *x && c->distance[*x * c->n + i] < nearest) {
                nearest = c->distance[*x * c->n + i];
                *y = i;
            }
        }
        if (c->n_chain > 1 && *y == c->chain[c->n_chain - 2])
            return nearest;
        c->chain[c->n_chain++] = *y;
    }
}

static void merge_by_chain(chain_t *c, mdl_linkage_t method, double *linkage)
{
    for (int64_t k = 0; k < c->n - 1; k++) {
        int64_t x = 0, y;
        if (c->n_chain == 0) {
            while (c->size[x] == 0)
                x++;
            c->chain[c->n_chain++] = x;
        }
        double nearest = find_neighbours(c, &x, &y);
        c->n_chain -= 2;
        if (x > y) {
            int64_t swapped = x;
            x = y;
            y = swapped;
        }
        double n_x = (double)c->size[x], n_y = (double)c->size[y];
        double *row = linkage + 4 * k;
        row[0] = (double)x;
        row[1] = (double)y;
        row[2] = nearest;
        c->size[y] += c->size[x];
        c->size[x] = 0;
        for (int64_t i = 0; i < c->n; i++) {
            if (c->size[i] == 0 || i == y)
                continue;
            double d =
                joined(method, c->distance[i * c->n + x], c->distance[i * c->n + y], n_x, n_y);
            c->distance[i * c->n + y] = c->distance[y * c->n + i] = d;
        }
    }
}

/* Prim's minimum spanning tree; near: [n] distance from the tree, done: [n] zeros. */
static void span(const double *distance, int64_t n, double *near, int64_t *done, double *linkage)
{
    int64_t x = 0;
    for (int64_t i = 0; i < n; i++)
        near[i] = INFINITY;
    for (int64_t k = 0; k < n - 1; k++) {
        int64_t y = -1;
        double nearest = INFINITY;
        done[x] = 1;
        for (int64_t i = 0; i < n; i++) {
            if (done[i])
                continue;
            if (distance[x * n + i] < near[i])
                near[i] = distance[x * n + i];
            if (near[i] < nearest) {
                nearest = near[i];
                y = i;
            }
        }
        double *row = linkage + 4 * k;
        row[0] = (double)x;
        row[1] = (double)y;
        row[2] = nearest;
        x = y;
    }
}

/* Stable insertion sort of the merges by distance. */
static void sort_merges(double *linkage, int64_t n_merge)
{
    for (int64_t k = 1; k < n_merge; k++) {
        double row[4];
        memcpy(row, linkage + 4 * k, sizeof row);
        int64_t at = k;
        for (; at > 0 && linkage[4 * (at - 1) + 2] > row[2]; at--)
            memcpy(linkage + 4 * at, linkage + 4 * (at - 1), sizeof row);
        memcpy(linkage + 4 * at, row, sizeof row);
    }
}

static int64_t root_of(const int64_t *parent, int64_t node)
{
    while (parent[node] != node)
        node = parent[node];
    return node;
}

/* Replaces items by the nodes that hold them when the merges happen in their sorted order. */
static void name_nodes(double *linkage, int64_t n, int64_t *parent, int64_t *size)
{
    for (int64_t i = 0; i < 2 * n - 1; i++) {
        parent[i] = i;
        size[i] = 1;
    }
    for (int64_t k = 0; k < n - 1; k++) {
        double *row = linkage + 4 * k;
        int64_t x = root_of(parent, (int64_t)row[0]), y = root_of(parent, (int64_t)row[1]);
        int64_t node = n + k;
        row[0] = (double)(x < y ? x : y);
        row[1] = (double)(x < y ? y : x);
        size[node] = size[x] + size[y];
        row[3] = (double)size[node];
        parent[x] = parent[y] = node;
    }
}

int mdl_linkage(const double *distance, int64_t n, mdl_linkage_t method, double *linkage,
                mdl_error_t *err)
{
    chain_t c = {.n = n};
    double *near = NULL;
    int64_t *parent = NULL;
    size_t count = (size_t)n;
    int rc;
    MDL_TRY(mdl_alloc(&c.distance, count * count, sizeof(double), "distances", err));
    MDL_TRY(mdl_alloc(&c.size, 2 * count, sizeof(int64_t), "cluster sizes", err));
    MDL_TRY(mdl_alloc(&c.chain, count, sizeof(int64_t), "a chain", err));
    MDL_TRY(mdl_alloc(&near, count, sizeof(double), "distances", err));
    MDL_TRY(mdl_alloc(&parent, 2 * count, sizeof(int64_t), "tree nodes", err));
    memcpy(c.distance, distance, count * count * sizeof(double));
    if (method == MDL_LINKAGE_SINGLE) {
        span(distance, n, near, c.size, linkage);
    } else {
        for (int64_t i = 0; i < n; i++)
            c.size[i] = 1;
        merge_by_chain(&c, method, linkage);
    }
    sort_merges(linkage, n - 1);
    name_nodes(linkage, n, parent, c.size);
done:
    free(c.distance);
    free(c.size);
    free(c.chain);
    free(near);
    free(parent);
    return rc;
}

int mdl_linkage_cut(const double *linkage, int64_t n, double height, int32_t *label,
                    int64_t *n_cluster, mdl_error_t *err)
{
    double *highest = NULL; /* [2n - 1] largest distance merged inside a node */
    int32_t *of_node = NULL;
    int rc;
    MDL_TRY(mdl_alloc(&highest, 2 * (size_t)n, sizeof *highest, "node heights", err));
    MDL_TRY(mdl_alloc(&of_node, 2 * (size_t)n, sizeof *of_node, "node labels", err));
    for (int64_t i = 0; i < n; i++)
        highest[i] = -INFINITY;
    for (int64_t k = 0; k < n - 1; k++) {
        const double *row = linkage + 4 * k;
        double inside = fmax(highest[(int64_t)row[0]], highest[(int64_t)row[1]]);
        highest[n + k] = fmax(inside, row[2]);
    }
    /* From the top: a node passes its cluster on, else it is its own if it is low enough. */
    int32_t next = 0;
    for (int64_t node = 0; node < 2 * n - 1; node++)
        of_node[node] = -1;
    for (int64_t node = 2 * n - 2; node >= 0; node--) {
        if (of_node[node] < 0 && (node < n || highest[node] <= height))
            of_node[node] = next++;
        if (node >= n && of_node[node] >= 0) {
            const double *row = linkage + 4 * (node - n);
            of_node[(int64_t)row[0]] = of_node[(int64_t)row[1]] = of_node[node];
        }
    }
    *n_cluster = 0;
    for (int64_t i = 0; i < n; i++) {
        label[i] = -1;
        for (int64_t j = 0; j < i && label[i] < 0; j++)
            if (of_node[j] == of_node[i])
                label[i] = label[j];
        if (label[i] < 0)
            label[i] = (int32_t)(*n_cluster)++;
    }
done:
    free(highest);
    free(of_node);
    return rc;
}

void mdl_linkage_medoids(const double *distance, int64_t n, const int32_t *label, int64_t n_cluster,
                         int32_t *medoid)
{
    for (int64_t k = 0; k < n_cluster; k++) {
        double smallest = INFINITY;
        for (int64_t i = 0; i < n; i++) {
            if (label[i] != k)
                continue;
            double sum = 0;
            for (int64_t j = 0; j < n; j++)
                if (label[j] == k)
                    sum += distance[i * n + j];
            if (sum < smallest) {
                smallest = sum;
                medoid[k] = (int32_t)i;
            }
        }
    }
}
