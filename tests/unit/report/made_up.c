#include "report/made_up.h"

#include "core/text.h"
#include "io/candidates_file.h"
#include "io/clusters_file.h"
#include "io/regress_file.h"
#include "io/rung_file.h"
#include "io/similarity_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MODEL = 128, NAME = 64, N_RUNG = 4, KEEP = 3, N_POINT = 4 };

typedef struct {
    int n;
    char names[MAX_MODEL][NAME], *list[MAX_MODEL];
    double place[MAX_MODEL][2]; /* similar models lie close together */
    double similarity[MAX_MODEL * MAX_MODEL], linkage[4 * MAX_MODEL];
    int32_t label[MAX_MODEL], medoid[MAX_MODEL];
    int n_cluster;
} side_t;

typedef struct {
    char name[2 * NAME];
    int ve, lm;
    int32_t cluster;
    double scale, slope, seconds; /* error = scale ratio^slope; seconds at ratio 1 */
    double reached, rank_error;
    int dropped_in, failed;
} pair_t;

typedef struct {
    const made_up_t *search;
    const char *folder;
    side_t vision, language[MAX_MODEL]; /* a language side for each vision cluster */
    pair_t *pairs;
    int n_pair, n_cluster;
    int32_t medoid[MAX_MODEL * MAX_MODEL];
    unsigned long long seed;
} world_t;

static const double rung_ratio[N_RUNG] = {0.015625, 0.03125, 0.0625, 0.125};

static double uniform(world_t *world)
{
    world->seed = world->seed * 6364136223846793005ull + 1442695040888963407ull;
    return (double)(world->seed >> 11) / 9007199254740992.0;
}

static mdl_provenance_t from(const char *schema, const char *configuration)
{
    return (mdl_provenance_t){schema, 1, configuration, "0123456789abcdef0123456789abcdef"};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void make_names(side_t *side, int n, const char *const *known, const char *stem,
                       const char *first)
{
    side->n = n;
    for (int i = 0; i < n; i++) {
        if (known[0] != NULL && i < 10)
            snprintf(side->names[i], NAME, "%s", known[i]);
        else
            snprintf(side->names[i], NAME, "%s-%03d", stem, i);
    }
    if (first != NULL)
        snprintf(side->names[0], NAME, "%s", first);
    qsort(side->names, (size_t)n, NAME, by_name);
    for (int i = 0; i < n; i++)
        side->list[i] = side->names[i];
}

static void make_similarity(world_t *world, side_t *side, double spread)
{
    for (int i = 0; i < side->n; i++)
        for (int k = 0; k < 2; k++)
            side->place[i][k] = floor(3 * uniform(world)) + 0.45 * uniform(world);
    for (int i = 0; i < side->n; i++)
        for (int j = 0; j < side->n; j++) {
            double dx = side->place[i][0] - side->place[j][0];
            double dy = side->place[i][1] - side->place[j][1];
            side->similarity[i * side->n + j] = exp(-spread * (dx * dx + dy * dy));
        }
}

/* Average linkage, a merge's distances by the formula of Lance and Williams (1967). Each group
 * lives on in the slot of its first model, which is a dead slot's parent. */
typedef struct {
    double distance[MAX_MODEL][MAX_MODEL];
    int node[MAX_MODEL], size[MAX_MODEL], dead[MAX_MODEL];
} groups_t;

static void find_closest(const groups_t *groups, int n, int *first, int *second)
{
    double best = INFINITY;
    for (int a = 0; a < n; a++)
        for (int b = a + 1; b < n; b++)
            if (!groups->dead[a] && !groups->dead[b] && groups->distance[a][b] < best) {
                best = groups->distance[a][b];
                *first = a;
                *second = b;
            }
}

static void merge_groups(groups_t *groups, int n, int a, int b)
{
    double share = (double)groups->size[a] / (groups->size[a] + groups->size[b]);
    for (int k = 0; k < n; k++)
        groups->distance[a][k] = groups->distance[k][a] =
            share * groups->distance[a][k] + (1 - share) * groups->distance[b][k];
    groups->size[a] += groups->size[b];
    groups->dead[b] = 1;
}

static void make_linkage(side_t *side, int32_t *label, double threshold)
{
    groups_t *groups = calloc(1, sizeof *groups);
    int n = side->n;
    for (int i = 0; i < n; i++) {
        label[i] = groups->node[i] = i;
        groups->size[i] = 1;
        for (int j = 0; j < n; j++)
            groups->distance[i][j] = 1 - side->similarity[i * n + j];
    }
    for (int merge = 0; merge < n - 1; merge++) {
        int a = 0, b = 0;
        find_closest(groups, n, &a, &b);
        double *row = side->linkage + 4 * merge;
        row[0] = fmin(groups->node[a], groups->node[b]);
        row[1] = fmax(groups->node[a], groups->node[b]);
        row[2] = groups->distance[a][b];
        merge_groups(groups, n, a, b);
        row[3] = groups->size[a];
        groups->node[a] = n + merge;
        for (int i = 0; i < n && row[2] <= 1 - threshold; i++)
            if (label[i] == b)
                label[i] = a;
    }
    free(groups);
}

/* Labels in the order of the first model; the medoid is simply the first of its cluster. */
static void make_clusters(side_t *side, double threshold)
{
    int32_t first[MAX_MODEL];
    make_linkage(side, first, threshold);
    for (int i = 0; i < side->n; i++) {
        if (first[i] == i) {
            side->medoid[side->n_cluster] = i;
            side->label[i] = side->n_cluster++;
        } else {
            side->label[i] = side->label[first[i]];
        }
    }
}

static int write_side(const world_t *world, side_t *side, const char *kind, const char *name,
                      double threshold, int clusters_too, mdl_error_t *err)
{
    char *cka = mdl_text("%s/cka/%s.h5", world->folder, name);
    char *clusters = mdl_text("%s/clusters/%s.h5", world->folder, name);
    mdl_provenance_t provenance = from("mordal-similarity", "estimator=minibatch\nkernel=linear\n");
    mdl_similarity_t similarity = {.n_model = side->n,
                                   .n_sample = 1536,
                                   .models = side->list,
                                   .similarity = side->similarity,
                                   .side = (char *)kind,
                                   .label = "images of the alignment set"};
    mdl_clusters_t cut = {side->n,      side->n_cluster, side->list, side->linkage, side->label,
                          side->medoid, threshold,       "average",  (char *)kind};
    int rc;
    MDL_TRY(mdl_similarity_write(cka, &provenance, &similarity, err));
    if (!clusters_too)
        goto done;
    provenance = from("mordal-clusters", "linkage=average\n");
    MDL_TRY(mdl_clusters_write(clusters, &provenance, &cut, err));
done:
    free(cka);
    free(clusters);
    return rc;
}

static int write_language(world_t *world, mdl_error_t *err)
{
    int rc = MDL_OK;
    for (int c = 0; rc == MDL_OK && c < world->vision.n_cluster; c++) {
        char name[2 * NAME];
        snprintf(name, sizeof name, "language-%s", world->vision.names[world->vision.medoid[c]]);
        rc = write_side(world, &world->language[c], "language", name,
                        world->search->language_threshold,
                        world->search->until >= MADE_UP_CANDIDATES, err);
    }
    return rc;
}

static void make_pairs(world_t *world)
{
    int base = 0;
    for (int c = 0; c < world->vision.n_cluster; c++) {
        side_t *language = &world->language[c];
        for (int v = 0; v < world->vision.n; v++) {
            for (int l = 0; l < language->n && world->vision.label[v] == c; l++) {
                pair_t *pair = &world->pairs[world->n_pair];
                *pair = (pair_t){.ve = v, .lm = l, .cluster = base + language->label[l]};
                snprintf(pair->name, sizeof pair->name, "%s+%s", world->vision.names[v],
                         language->names[l]);
                pair->scale = 0.22 + 0.05 * world->vision.place[v][0] + 0.03 * (l % 5) +
                              0.02 * uniform(world);
                pair->slope = -0.08 - 0.12 * uniform(world);
                pair->seconds = 900 + 500 * (l % 4) + 50 * uniform(world);
                if (v == world->vision.medoid[c] && l == language->medoid[language->label[l]])
                    world->medoid[pair->cluster] = world->n_pair;
                world->n_pair++;
            }
        }
        base += language->n_cluster;
    }
    world->n_cluster = base;
}

static int write_candidates(world_t *world, mdl_error_t *err)
{
    size_t n = (size_t)world->n_pair;
    char **texts = calloc(3 * n, sizeof *texts), *path;
    int32_t *cluster = calloc(n, sizeof *cluster);
    for (size_t i = 0; i < n; i++) {
        const pair_t *pair = &world->pairs[i];
        texts[i] = world->pairs[i].name;
        texts[n + i] = world->vision.names[pair->ve];
        texts[2 * n + i] = world->language[world->vision.label[pair->ve]].names[pair->lm];
        cluster[i] = pair->cluster;
    }
    mdl_candidates_t candidates = {world->n_pair, world->n_cluster, texts,        texts + n,
                                   texts + 2 * n, cluster,          world->medoid};
    mdl_provenance_t provenance = from("mordal-candidates", "");
    path = mdl_text("%s/clusters/candidates.h5", world->folder);
    int rc = mdl_candidates_write(path, &provenance, &candidates, err);
    free(path);
    free(texts);
    free(cluster);
    return rc;
}

static double error_at(world_t *world, const pair_t *pair, double ratio)
{
    return fmin(0.97, pair->scale * pow(ratio, pair->slope) * (1 + 0.01 * uniform(world)));
}

static int by_rank_error(const void *a, const void *b)
{
    const pair_t *const *x = a, *const *y = b;
    return ((*x)->rank_error > (*y)->rank_error) - ((*x)->rank_error < (*y)->rank_error);
}

typedef struct {
    char **names, **reasons;
    int32_t *cluster;
    double *numbers;
    uint8_t *flags;
} columns_t;

static columns_t new_columns(int n)
{
    size_t size = (size_t)n;
    return (columns_t){calloc(size, sizeof(char *)), calloc(size, sizeof(char *)),
                       calloc(size, sizeof(int32_t)), calloc(5 * size, sizeof(double)),
                       calloc(2 * size, 1)};
}

static void free_columns(columns_t *columns)
{
    free(columns->names);
    free(columns->reasons);
    free(columns->cluster);
    free(columns->numbers);
    free(columns->flags);
}

/* Trains the pairs of one rung, writes it and keeps the better half in alive. */
static int write_rung(world_t *world, pair_t **alive, int *n_alive, int k, mdl_error_t *err)
{
    int n = *n_alive, n_kept = (n + 1) / 2 > KEEP ? (n + 1) / 2 : KEEP;
    for (int i = 0; i < n; i++) {
        alive[i]->failed = k == 0 && i == 1 && n > 1;
        alive[i]->rank_error =
            alive[i]->failed ? INFINITY : error_at(world, alive[i], rung_ratio[k]);
        alive[i]->reached = rung_ratio[k];
    }
    qsort(alive, (size_t)n, sizeof *alive, by_rank_error);
    columns_t c = new_columns(n);
    double *ratio = c.numbers, *error = ratio + n, *spread = error + n, *loss = spread + n,
           *seconds = loss + n;
    for (int i = 0; i < n; i++) {
        c.names[i] = alive[i]->name;
        c.reasons[i] = alive[i]->failed ? "loss is NaN at step 12" : "";
        c.cluster[i] = alive[i]->cluster;
        ratio[i] = rung_ratio[k];
        error[i] = alive[i]->failed ? NAN : alive[i]->rank_error;
        spread[i] = 0.012;
        loss[i] = NAN;
        seconds[i] = alive[i]->seconds * rung_ratio[k];
        c.flags[i] = i < n_kept && !alive[i]->failed;
        c.flags[n + i] = (uint8_t)alive[i]->failed;
        if (!c.flags[i])
            alive[i]->dropped_in = k + 1;
    }
    int finished = k == N_RUNG - 1;
    mdl_rung_t rung = {k + 1,   n,          finished,  finished ? "3 clusters are left" : "",
                       c.names, c.reasons,  c.cluster, ratio,
                       error,   spread,     loss,      seconds,
                       c.flags, c.flags + n};
    mdl_provenance_t provenance = from("mordal-rung", "eta=2\nstart_ratio=0.015625\n");
    char *path = mdl_text("%s/rungs/rung-%d.h5", world->folder, k + 1);
    int rc = mdl_rung_write(path, &provenance, &rung, err);
    free(path);
    free_columns(&c);
    *n_alive = n < n_kept ? n : n_kept;
    return rc;
}

static int write_rungs(world_t *world, mdl_error_t *err)
{
    pair_t **alive = calloc((size_t)world->n_cluster, sizeof *alive);
    int n_alive = world->n_cluster, rc = MDL_OK;
    for (int c = 0; c < world->n_cluster; c++)
        alive[c] = &world->pairs[world->medoid[c]];
    for (int k = 0; rc == MDL_OK && k < N_RUNG; k++)
        rc = write_rung(world, alive, &n_alive, k, err);
    free(alive);
    return rc;
}

static int by_prediction(const void *a, const void *b)
{
    const pair_t *x = a, *y = b;
    int order = (x->rank_error > y->rank_error) - (x->rank_error < y->rank_error);
    return order != 0 ? order : strcmp(x->name, y->name);
}

/* Pairs of the clusters that were left are predicted; rank_error orders all of them. */
static void predict(world_t *world)
{
    for (int i = 0; i < world->n_pair; i++) {
        pair_t *pair = &world->pairs[i];
        const pair_t *medoid = &world->pairs[world->medoid[pair->cluster]];
        pair->dropped_in = medoid->dropped_in;
        pair->rank_error = medoid->dropped_in > 0 ? 100 - medoid->dropped_in : pair->scale;
    }
    for (int i = 0; i < world->n_pair; i++)
        if (world->pairs[i].dropped_in == 0)
            world->pairs[i].reached = 0.125;
    qsort(world->pairs, (size_t)world->n_pair, sizeof *world->pairs, by_prediction);
}

static void fill_regress(world_t *world, mdl_regress_t *r, char (*statuses)[32])
{
    for (int i = 0; i < world->n_pair; i++) {
        const pair_t *pair = &world->pairs[i];
        int predicted = pair->dropped_in == 0;
        r->candidate[i] = world->pairs[i].name;
        r->ve[i] = world->vision.names[pair->ve];
        r->lm[i] = world->language[0].names[pair->lm];
        snprintf(statuses[i], sizeof statuses[i], predicted ? "predicted" : "dropped in rung %d",
                 pair->dropped_in);
        r->status[i] = statuses[i];
        r->cluster[i] = pair->cluster;
        r->predicted[i] = predicted ? pair->scale : NAN;
        r->low[i] = predicted ? pair->scale * 0.93 : NAN;
        r->high[i] = predicted ? pair->scale * 1.08 : NAN;
        r->slope[i] = predicted ? pair->slope : NAN;
        r->intercept[i] = predicted ? log(pair->scale) : NAN;
        r->ratio_trained[i] = pair->reached;
        r->train_seconds[i] = pair->seconds * pair->reached;
        for (int k = 0; predicted && k < N_POINT; k++, r->n_point++) {
            double ratio = 0.125 / (1 << k);
            r->point_candidate[r->n_point] = i;
            r->point_ratio[r->n_point] = ratio;
            r->point_error[r->n_point] = fmin(1, error_at(world, pair, ratio));
            r->point_stderr[r->n_point] = 0.012;
            r->point_used[r->n_point] = k < 3;
        }
    }
}

static int write_regress(world_t *world, mdl_error_t *err)
{
    size_t n = (size_t)world->n_pair;
    char **texts = calloc(4 * n, sizeof *texts), (*statuses)[32] = calloc(n, sizeof *statuses);
    int32_t *integers = calloc(n * (1 + N_POINT), sizeof *integers);
    double *numbers = calloc(n * (7 + 3 * N_POINT), sizeof *numbers);
    uint8_t *used = calloc(n * N_POINT, 1);
    double *points = numbers + 7 * n;
    predict(world);
    mdl_regress_t r = {.n_candidate = world->n_pair,
                       .n_point = 0,
                       .candidate = texts,
                       .ve = texts + n,
                       .lm = texts + 2 * n,
                       .status = texts + 3 * n,
                       .cluster = integers,
                       .predicted = numbers,
                       .low = numbers + n,
                       .high = numbers + 2 * n,
                       .slope = numbers + 3 * n,
                       .intercept = numbers + 4 * n,
                       .ratio_trained = numbers + 5 * n,
                       .train_seconds = numbers + 6 * n,
                       .point_candidate = integers + n,
                       .point_ratio = points,
                       .point_error = points + n * N_POINT,
                       .point_stderr = points + 2 * n * N_POINT,
                       .point_used = used,
                       .choice = world->pairs[0].name,
                       .confidence = 0.9,
                       .lost_seconds = 41.5};
    fill_regress(world, &r, statuses);
    mdl_provenance_t provenance = from("mordal-regress", "points=3\ntolerance=5e-05\n");
    char *path = mdl_text("%s/regress/regress.h5", world->folder);
    int rc = mdl_regress_write(path, &provenance, &r, err);
    free(path);
    free(texts);
    free(statuses);
    free(integers);
    free(numbers);
    free(used);
    return rc;
}

static int write_final(world_t *world, mdl_error_t *err)
{
    const pair_t *best = &world->pairs[0];
    mdl_point_t point = {1, best->scale * 1.02, 0.011, 1.4, best->seconds, 3};
    mdl_provenance_t provenance = from("mordal-final", "");
    char *path = mdl_text("%s/regress/final.h5", world->folder);
    int rc = mdl_final_write(path, &provenance, best->name, &point, err);
    free(path);
    return rc;
}

static void make_world(world_t *world)
{
    static const char *const encoders[] = {"captchacrnn", "dinov2s",     "efflite0", "efflite1",
                                           "efflite2",    "mobilenetv2", "opennsfw", "ppocrdet",
                                           "svtrv2",      "tesseranet"};
    static const char *const none[] = {NULL};
    const made_up_t *search = world->search;
    make_names(&world->vision, search->n_ve, encoders, "encoder", search->hostile_ve);
    make_similarity(world, &world->vision, 0.9);
    make_clusters(&world->vision, search->vision_threshold);
    for (int c = 0; c < world->vision.n_cluster; c++) {
        make_names(&world->language[c], search->n_lm, none, "decoder", NULL);
        make_similarity(world, &world->language[c], 0.12);
        make_clusters(&world->language[c], search->language_threshold);
    }
}

int made_up_write(const char *folder, const made_up_t *search, mdl_error_t *err)
{
    world_t *world;
    int rc = mdl_alloc(&world, 1, sizeof *world, "the made-up search", err);
    if (rc != MDL_OK)
        return rc;
    world->search = search;
    world->folder = folder;
    world->seed = 7;
    make_world(world);
    MDL_TRY(mdl_alloc(&world->pairs, (size_t)(search->n_ve * search->n_lm), sizeof *world->pairs,
                      "the made-up pairs", err));
    make_pairs(world);
    MDL_TRY(write_side(world, &world->vision, "vision", "vision", search->vision_threshold,
                       search->until >= MADE_UP_VISION_CLUSTERS, err));
    if (search->until >= MADE_UP_LANGUAGE_CKA)
        MDL_TRY(write_language(world, err));
    if (search->until >= MADE_UP_CANDIDATES)
        MDL_TRY(write_candidates(world, err));
    if (search->until >= MADE_UP_RUNGS)
        MDL_TRY(write_rungs(world, err));
    if (search->until >= MADE_UP_REGRESS)
        MDL_TRY(write_regress(world, err));
    if (search->until >= MADE_UP_FINAL)
        MDL_TRY(write_final(world, err));
done:
    free(world->pairs);
    free(world);
    return rc;
}
