#include "models/shards.h"

#include "mpi/agree.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* What one request to another rank asks for, at most. */
enum { PIECE_BYTES = 64 << 20, PART_STEP = 64, N_BUFFER = 2, NONE = -1 };

/* A buffer has a lane of the backend. */
_Static_assert((int)N_BUFFER == (int)MDL_N_LANE, "each buffer needs a lane");

struct mdl_shards {
    const mdl_backend_t *backend;
    int rank, n_rank;
    int64_t n_layer;
    size_t n_byte;          /* of a block */
    char *own;              /* [n_layer, own part], the host's */
    int owned_by_window;    /* own is the window's memory */
    MPI_Win window;         /* over own; none for one rank */
    char *buffer[N_BUFFER]; /* [n_byte] each, the backend's */
    char *stage[N_BUFFER];  /* [n_byte] each, the host's, for the parts of others; the buffers where
                             * those are, too; none for one rank elsewhere */
    int64_t held[N_BUFFER]; /* block in the buffer, or on its way there */
    int on_way[N_BUFFER];
    MPI_Request *request; /* [n_request] of the block that is on its way */
    int n_request, n_piece;
};

void mdl_shards_part(size_t n_byte, int n_rank, int rank, size_t *first, size_t *end)
{
    size_t step = (n_byte + (size_t)n_rank - 1) / (size_t)n_rank;
    step = (step + PART_STEP - 1) / PART_STEP * PART_STEP;
    *first = (size_t)rank * step < n_byte ? (size_t)rank * step : n_byte;
    *end = n_byte - *first < step ? n_byte : *first + step;
}

void mdl_shards_memory(int on_host, int n_rank, int64_t n_layer, size_t n_byte, size_t *n_backend,
                       size_t *n_host)
{
    size_t first, end; /* of rank 0, whose part is the largest */
    mdl_shards_part(n_byte, n_rank, 0, &first, &end);
    size_t n_own = (size_t)n_layer * end;
    *n_backend = N_BUFFER * n_byte + (on_host ? n_own : 0);
    *n_host = on_host ? 0 : (n_rank > 1 ? N_BUFFER * n_byte : 0) + n_own;
}

/* Page-locked where the backend copies from there beside operations. */
static int host_alloc(const mdl_backend_t *be, char **memory, size_t n_byte, const char *what,
                      mdl_error_t *err)
{
    return be->on_host ? be->alloc(memory, n_byte, what, err)
                       : be->host_alloc(memory, n_byte, what, err);
}

static void host_release(const mdl_backend_t *be, char *memory)
{
    if (be->on_host)
        be->release(memory);
    else
        be->host_release(memory);
}

static int take_memory(mdl_shards_t *shards, size_t n_own, mdl_error_t *err)
{
    const mdl_backend_t *be = shards->backend;
    size_t n_request = (size_t)shards->n_rank * (size_t)shards->n_piece;
    int rc;
    MDL_TRY(host_alloc(be, &shards->own, n_own, "a rank's part of a decoder's weights", err));
    MDL_TRY(mdl_alloc(&shards->request, n_request, sizeof *shards->request, "requests", err));
    for (int i = 0; i < N_BUFFER; i++) {
        MDL_TRY(be->alloc(&shards->buffer[i], shards->n_byte, "a block's weights", err));
        if (be->on_host)
            shards->stage[i] = shards->buffer[i];
        else if (shards->n_rank > 1)
            MDL_TRY(be->host_alloc(&shards->stage[i], shards->n_byte, "a block's weights", err));
    }
done:
    return rc;
}

/* 1 where the call of MPI that returned status did on all ranks. */
static int all_did(MPI_Comm comm, int status)
{
    int did = status == MPI_SUCCESS;
    MPI_Allreduce(MPI_IN_PLACE, &did, 1, MPI_INT, MPI_MIN, comm);
    return did;
}

/* Open MPI 4 puts a file behind a window that it names by the communicator's number alone
 * (osc/rdma), which is the same for all groups of a job, and removes it once all ranks of the group
 * have it. So the groups of a node take turns: their first ranks hold this lock while they open a
 * window. */
static int take_turn(MPI_Comm comm)
{
    int rank, turn = -1;
    MPI_Comm_rank(comm, &rank);
    if (rank == 0) {
        turn = open("/dev/shm", O_RDONLY | O_DIRECTORY);
        if (turn >= 0)
            flock(turn, LOCK_EX);
    }
    MPI_Barrier(comm);
    return turn;
}

static void end_turn(MPI_Comm comm, int turn)
{
    MPI_Barrier(comm);
    if (turn >= 0)
        close(turn);
}

/* Lets the other ranks read own. Open MPI 4 opens no window over memory of ours where it finds
 * neither a network that reads nor leave to copy from other processes; on one node memory of its
 * own will do. A window that some ranks have alone can't be freed, as that takes all of them: what
 * it shows stays, too. */
static int open_window(mdl_shards_t *shards, MPI_Comm comm, size_t n_own, mdl_error_t *err)
{
    MPI_Errhandler before;
    const int turn = take_turn(comm);
    MPI_Comm_get_errhandler(comm, &before);
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    int status =
        MPI_Win_create(shards->own, (MPI_Aint)n_own, 1, MPI_INFO_NULL, comm, &shards->window);
    int opened = all_did(comm, status);
    if (!opened) {
        if (status != MPI_SUCCESS)
            host_release(shards->backend, shards->own);
        shards->own = NULL;
        shards->owned_by_window = 1;
        opened = all_did(comm, MPI_Win_allocate((MPI_Aint)n_own, 1, MPI_INFO_NULL, comm,
                                                &shards->own, &shards->window));
    }
    MPI_Comm_set_errhandler(comm, before);
    MPI_Errhandler_free(&before);
    end_turn(comm, turn);
    if (opened) {
        MPI_Win_lock_all(MPI_MODE_NOCHECK, shards->window);
        return MDL_OK;
    }
    shards->window = MPI_WIN_NULL;
    return mdl_fail(err, MDL_E_USAGE,
                    "MPI lets no rank read another's memory, which trainer.shard needs; with Open "
                    "MPI 4 try OMPI_MCA_osc=pt2pt");
}

int mdl_shards_open(const mdl_backend_t *backend, MPI_Comm comm, int64_t n_layer, size_t n_byte,
                    mdl_shards_t **shards, mdl_error_t *err)
{
    mdl_shards_t *made = NULL;
    size_t first = 0, end = 0;
    int rc;
    *shards = NULL;
    MDL_TRY(mdl_alloc(&made, 1, sizeof *made, "shards", err));
    *made = (mdl_shards_t){.backend = backend,
                           .n_layer = n_layer,
                           .n_byte = n_byte,
                           .window = MPI_WIN_NULL,
                           .held = {NONE, NONE}};
    MPI_Comm_rank(comm, &made->rank);
    MPI_Comm_size(comm, &made->n_rank);
    mdl_shards_part(n_byte, made->n_rank, 0, &first, &end);
    made->n_piece = (int)((end - first + PIECE_BYTES - 1) / PIECE_BYTES);
    mdl_shards_part(n_byte, made->n_rank, made->rank, &first, &end);
    MDL_TRY(take_memory(made, (size_t)n_layer * (end - first), err));
done:
    rc = mdl_agree(comm, rc, err);
    if (rc != MDL_OK) {
        mdl_shards_close(made);
        return rc;
    }
    if (made->n_rank > 1)
        rc = open_window(made, comm, (size_t)n_layer * (end - first), err);
    if (rc != MDL_OK)
        mdl_shards_close(made);
    else
        *shards = made;
    return rc;
}

char *mdl_shards_own(const mdl_shards_t *shards, int64_t layer, size_t *first, size_t *end)
{
    mdl_shards_part(shards->n_byte, shards->n_rank, shards->rank, first, end);
    return shards->own + (size_t)layer * (*end - *first);
}

void mdl_shards_share(mdl_shards_t *shards, MPI_Comm comm)
{
    if (shards->window != MPI_WIN_NULL)
        MPI_Win_sync(shards->window);
    MPI_Barrier(comm);
}

char *mdl_shards_buffer(const mdl_shards_t *shards, int64_t layer)
{
    return shards->buffer[layer % N_BUFFER];
}

/* Asks rank for its part of layer. */
static void ask(mdl_shards_t *shards, int64_t layer, int rank, char *to)
{
    size_t first, end;
    mdl_shards_part(shards->n_byte, shards->n_rank, rank, &first, &end);
    size_t there = (size_t)layer * (end - first);
    for (size_t at = 0; at < end - first; at += PIECE_BYTES) {
        int n = (int)(end - first - at < PIECE_BYTES ? end - first - at : PIECE_BYTES);
        MPI_Rget(to + first + at, n, MPI_BYTE, rank, (MPI_Aint)(there + at), n, MPI_BYTE,
                 shards->window, &shards->request[shards->n_request++]);
    }
}

/* Asks all other ranks for their parts of layer, in another order on each. */
static void ask_all(mdl_shards_t *shards, int64_t layer)
{
    for (int i = 1; i < shards->n_rank; i++)
        ask(shards, layer, (shards->rank + i) % shards->n_rank, shards->stage[layer % N_BUFFER]);
}

/* Sends bytes [first, end) of the lane's block on to its buffer; from: where the first one is. */
static void send(mdl_shards_t *shards, int lane, size_t first, size_t end, const char *from)
{
    if (first < end)
        shards->backend->lane_send(lane, shards->buffer[lane] + first, from, end - first);
}

/* Parts are asked for at once where they go straight to the buffer. Elsewhere the operations of the
 * block before are called first, which run by themselves, and then this rank waits. */
static void start(mdl_shards_t *shards, int64_t layer)
{
    int lane = (int)(layer % N_BUFFER);
    shards->held[lane] = layer;
    shards->on_way[lane] = 1;
    if (shards->backend->on_host) {
        size_t first, end;
        const char *own = mdl_shards_own(shards, layer, &first, &end);
        ask_all(shards, layer);
        memcpy(shards->buffer[lane] + first, own, end - first);
    } else
        shards->backend->lane_open(lane);
}

static void finish(mdl_shards_t *shards, int64_t layer)
{
    const mdl_backend_t *be = shards->backend;
    int lane = (int)(layer % N_BUFFER);
    size_t first, end;
    const char *own = mdl_shards_own(shards, layer, &first, &end);
    if (!be->on_host) {
        be->lane_wait(lane); /* the copies out of stage */
        ask_all(shards, layer);
        send(shards, lane, first, end, own);
    }
    MPI_Waitall(shards->n_request, shards->request, MPI_STATUSES_IGNORE);
    shards->n_request = 0;
    if (!be->on_host) {
        if (shards->n_rank > 1) {
            send(shards, lane, 0, first, shards->stage[lane]);
            send(shards, lane, end, shards->n_byte, shards->stage[lane] + end);
        }
        be->lane_join(lane);
    }
    shards->on_way[lane] = 0;
}

void mdl_shards_use(mdl_shards_t *shards, int64_t layer, int64_t next)
{
    int lane = (int)(layer % N_BUFFER);
    for (int i = 0; i < N_BUFFER; i++) /* another one was expected */
        if (shards->on_way[i] && shards->held[i] != layer)
            finish(shards, shards->held[i]);
    if (shards->held[lane] != layer)
        start(shards, layer);
    if (shards->on_way[lane])
        finish(shards, layer);
    if (next >= 0 && next < shards->n_layer && shards->held[next % N_BUFFER] != next)
        start(shards, next);
}

void mdl_shards_close(mdl_shards_t *shards)
{
    if (shards == NULL)
        return;
    for (int lane = 0; lane < N_BUFFER; lane++)
        if (shards->on_way[lane])
            finish(shards, shards->held[lane]);
    if (shards->window != MPI_WIN_NULL) {
        MPI_Win_unlock_all(shards->window);
        MPI_Win_free(&shards->window);
    }
    for (int lane = 0; lane < N_BUFFER; lane++) {
        if (shards->backend->on_host)
            shards->stage[lane] = NULL;
        else
            shards->backend->lane_wait(lane);
        shards->backend->release(shards->buffer[lane]);
        host_release(shards->backend, shards->stage[lane]);
    }
    if (!shards->owned_by_window)
        host_release(shards->backend, shards->own);
    free(shards->request);
    free(shards);
}
