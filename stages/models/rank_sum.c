#include "models/rank_sum.h"

#include "core/log.h"
#include "kernels/vector.h"
#include "mpi/agree.h"

#include <stdlib.h>

enum { NOBODY = -1 };

/* One sum at work. */
typedef struct {
    const mdl_rank_sum_t *ranks;
    MPI_Comm group;
    float *sum, *other; /* the backend's memory with a link, else the host's */
    mdl_error_t *err;
    int rc; /* of the first failure; the other ranks are served all the same */
} pass_t;

int mdl_rank_sum_open(mdl_rank_sum_t *ranks, const mdl_backend_t *backend, int64_t n,
                      mdl_error_t *err)
{
    *ranks = (mdl_rank_sum_t){.backend = backend, .n = n};
    return backend->on_host
               ? MDL_OK
               : mdl_alloc(&ranks->host, 2, (size_t)n * sizeof(float), "gradient sums", err);
}

void mdl_rank_sum_close(mdl_rank_sum_t *ranks)
{
    if (ranks->link != NULL)
        ranks->backend->link_close(ranks->link);
    free(ranks->host);
}

/* Links the GPUs of the group where all of them can be. */
static void open_link(mdl_rank_sum_t *ranks, MPI_Comm group)
{
    const mdl_backend_t *be = ranks->backend;
    char name[MDL_LINK_NAME] = {0};
    mdl_error_t err = {0};
    int rank, n_rank, rc;
    ranks->link_tried = 1;
    if (be->link_open == NULL)
        return;
    MPI_Comm_rank(group, &rank);
    MPI_Comm_size(group, &n_rank);
    rc = mdl_on_root(group, rank, be->link_name(name, &err), &err);
    if (rc == MDL_OK) {
        MPI_Bcast(name, MDL_LINK_NAME, MPI_BYTE, 0, group);
        rc = mdl_agree(group, be->link_open(&ranks->link, name, rank, n_rank, &err), &err);
    }
    if (rc == MDL_OK)
        return;
    if (ranks->link != NULL)
        be->link_close(ranks->link);
    ranks->link = NULL;
    if (rank == 0)
        mdl_log_rank(MDL_LOG_WARN, "%s; gradients pass through the hosts' memory", err.text);
}

/* Sends sum to rank to, and receives from rank from; one of them may be NOBODY. */
static void pass(pass_t *p, int to, float *into, int from)
{
    const mdl_rank_sum_t *ranks = p->ranks;
    int n = (int)ranks->n;
    if (ranks->link == NULL) {
        if (to != NOBODY && from != NOBODY)
            MPI_Sendrecv(p->sum, n, MPI_FLOAT, to, 0, into, n, MPI_FLOAT, from, 0, p->group,
                         MPI_STATUS_IGNORE);
        else if (to != NOBODY)
            MPI_Send(p->sum, n, MPI_FLOAT, to, 0, p->group);
        else
            MPI_Recv(into, n, MPI_FLOAT, from, 0, p->group, MPI_STATUS_IGNORE);
        return;
    }
    int rc = ranks->backend->link_pass(ranks->link, p->sum, to, into, from, ranks->n,
                                       p->rc == MDL_OK ? p->err : NULL);
    p->rc = p->rc == MDL_OK ? rc : p->rc;
}

static void add(pass_t *p)
{
    if (p->ranks->link != NULL)
        p->ranks->backend->vector_add(p->sum, p->other, p->ranks->n);
    else
        mdl_vector_add(p->sum, p->other, p->ranks->n);
}

/* By recursive doubling where there are 2, 4, 8, ... ranks; else to rank 0 and back. */
static void sum_tree(pass_t *p)
{
    int rank, n_rank, bit;
    MPI_Comm_rank(p->group, &rank);
    MPI_Comm_size(p->group, &n_rank);
    if ((n_rank & (n_rank - 1)) == 0) {
        for (bit = 1; bit < n_rank; bit *= 2) {
            pass(p, rank ^ bit, p->other, rank ^ bit);
            add(p);
        }
        return;
    }
    for (bit = 1; bit < n_rank && !(rank & bit); bit *= 2)
        if (rank + bit < n_rank) {
            pass(p, NOBODY, p->other, rank + bit);
            add(p);
        }
    if (rank > 0) {
        pass(p, rank - bit, p->other, NOBODY);
        pass(p, NOBODY, p->sum, rank - bit);
    }
    for (bit /= 2; bit > 0; bit /= 2)
        if (rank + bit < n_rank)
            pass(p, rank + bit, p->other, NOBODY);
}

int mdl_rank_sum(mdl_rank_sum_t *ranks, MPI_Comm group, float *sum, float *other, mdl_error_t *err)
{
    const mdl_backend_t *be = ranks->backend;
    size_t n_byte = (size_t)ranks->n * sizeof(float);
    pass_t p = {.ranks = ranks, .group = group, .sum = sum, .other = other, .err = err};
    int n_rank;
    MPI_Comm_size(group, &n_rank);
    if (n_rank == 1)
        return MDL_OK;
    if (!ranks->link_tried)
        open_link(ranks, group);
    if (ranks->link != NULL || be->on_host) {
        sum_tree(&p);
        return p.rc;
    }
    p.sum = ranks->host;
    p.other = ranks->host + ranks->n;
    p.rc = be->download(p.sum, sum, n_byte, err);
    sum_tree(&p);
    return p.rc == MDL_OK ? be->upload(sum, p.sum, n_byte, err) : p.rc;
}
