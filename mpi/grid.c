#include "mpi/grid.h"

#include "mpi/agree.h"
#include "mpi/scalapack.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = MDL_GRID_BLOCK };

int mdl_grid_open(MPI_Comm comm, int n_row, int n_col, mdl_grid_t *grid, mdl_error_t *err)
{
    int rank, n_rank;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &n_rank);
    *grid =
        (mdl_grid_t){.comm = MPI_COMM_NULL, .row_comm = MPI_COMM_NULL, .col_comm = MPI_COMM_NULL};
    if (n_row == 0 && n_col == 0)
        mdl_grid_square(n_rank, &n_row, &n_col);
    if ((int64_t)n_row * n_col > n_rank)
        return mdl_fail(err, MDL_E_USAGE,
                        "a grid of %d x %d needs %lld ranks, and there are %d: start more ranks or "
                        "ask for a smaller grid",
                        n_row, n_col, (long long)n_row * n_col, n_rank);
    int inside = rank < n_row * n_col;
    MPI_Comm_split(comm, inside ? 0 : MPI_UNDEFINED, rank, &grid->comm);
    grid->n_row = n_row;
    grid->n_col = n_col;
    if (!inside)
        return MDL_OK;
    grid->row = rank / n_col;
    grid->col = rank % n_col;
    MPI_Comm_split(grid->comm, grid->row, grid->col, &grid->row_comm);
    MPI_Comm_split(grid->comm, grid->col, grid->row, &grid->col_comm);
    grid->handle = grid->context = Csys2blacs_handle(grid->comm);
    Cblacs_gridinit(&grid->context, "Row", n_row, n_col);
    return MDL_OK;
}

void mdl_grid_close(mdl_grid_t *grid)
{
    if (grid->comm == MPI_COMM_NULL)
        return;
    Cblacs_gridexit(grid->context);
    Cfree_blacs_system_handle(grid->handle);
    MPI_Comm_free(&grid->row_comm);
    MPI_Comm_free(&grid->col_comm);
    MPI_Comm_free(&grid->comm);
}

/* How many of n items part (of n_part) owns when blocks are dealt in turn. */
static int64_t dealt(int64_t n, int n_part, int part)
{
    int64_t n_block = n / BLOCK, own = n_block / n_part * BLOCK;
    int64_t extra = n_block % n_part;
    return own + (part < extra ? BLOCK : part == extra ? n % BLOCK : 0);
}

int mdl_matrix_new(const mdl_grid_t *grid, int64_t n_row, int64_t n_col, mdl_matrix_t *matrix,
                   mdl_error_t *err)
{
    *matrix = (mdl_matrix_t){.grid = grid, .n_row = n_row, .n_col = n_col, .block = BLOCK};
    int64_t rows = dealt(n_row, grid->n_row, grid->row);
    int64_t cols = dealt(n_col, grid->n_col, grid->col), ld = rows > 0 ? rows : 1;
    int rc = MDL_OK;
    if (n_row > INT_MAX || n_col > INT_MAX || ld * (cols > 0 ? cols : 1) > INT_MAX)
        rc = mdl_fail(err, MDL_E_INPUT,
                      "a matrix of %lld x %lld on a grid of %d x %d leaves a rank %lld x %lld "
                      "numbers, more than ScaLAPACK counts: use more ranks or fewer samples",
                      (long long)n_row, (long long)n_col, grid->n_row, grid->n_col, (long long)rows,
                      (long long)cols);
    if (rc == MDL_OK)
        rc = mdl_alloc(&matrix->values, (size_t)(ld * (cols > 0 ? cols : 1)), sizeof(double),
                       "a part of a matrix", err);
    matrix->own_rows = (int)rows;
    matrix->own_cols = (int)cols;
    const int descriptor[9] = {1, grid->context, (int)n_row, (int)n_col, BLOCK, BLOCK, 0,
                               0, (int)ld};
    memcpy(matrix->descriptor, descriptor, sizeof descriptor);
    return mdl_agree(grid->comm, rc, err);
}

void mdl_matrix_free(mdl_matrix_t *matrix)
{
    free(matrix->values);
    matrix->values = NULL;
}

int64_t mdl_matrix_row(const mdl_matrix_t *matrix, int64_t i)
{
    return (i / BLOCK * matrix->grid->n_row + matrix->grid->row) * BLOCK + i % BLOCK;
}

int64_t mdl_matrix_col(const mdl_matrix_t *matrix, int64_t j)
{
    return (j / BLOCK * matrix->grid->n_col + matrix->grid->col) * BLOCK + j % BLOCK;
}

void mdl_grid_sum(MPI_Comm comm, double *values, int64_t n)
{
    enum { MOST = 1 << 24 };
    for (int64_t i = 0; i < n; i += MOST)
        MPI_Allreduce(MPI_IN_PLACE, values + i, (int)(n - i < MOST ? n - i : MOST), MPI_DOUBLE,
                      MPI_SUM, comm);
}

/* Rows of a redistribution, and what goes to and comes from each rank of the grid. */
typedef struct {
    int n_rank;
    int64_t *ranges; /* [n_rank, 2] first row and number of rows that each rank has */
    int *counts;     /* [4, n_rank] sent, their starts, received, their starts */
    double *out, *in;
} exchange_t;

static int owner(int64_t index, int n_part)
{
    return (int)(index / BLOCK % n_part);
}

/* Rows of a range that a row of the grid owns. */
static int64_t owned_rows(const int64_t range[2], int n_part, int part)
{
    int64_t n = 0;
    for (int64_t i = range[0]; i < range[0] + range[1]; i++)
        n += owner(i, n_part) == part;
    return n;
}

static int plan_exchange(const mdl_matrix_t *matrix, exchange_t *e, int self, mdl_error_t *err)
{
    const mdl_grid_t *grid = matrix->grid;
    int n = e->n_rank, *sent = e->counts, *received = sent + 2 * n;
    int64_t n_out = 0, n_in = 0;
    for (int r = 0; r < n; r++) {
        int64_t out = owned_rows(e->ranges + 2 * self, grid->n_row, r / grid->n_col) *
                      dealt(matrix->n_col, grid->n_col, r % grid->n_col);
        int64_t in = owned_rows(e->ranges + 2 * r, grid->n_row, grid->row) * matrix->own_cols;
        sent[n + r] = (int)n_out;
        received[n + r] = (int)n_in;
        sent[r] = (int)out;
        received[r] = (int)in;
        n_out += out;
        n_in += in;
    }
    if (n_out > INT_MAX || n_in > INT_MAX)
        return mdl_fail(err, MDL_E_INPUT, "rows too wide to be exchanged: %lld numbers at a time",
                        (long long)(n_out > n_in ? n_out : n_in));
    int rc = mdl_alloc(&e->out, (size_t)n_out + 1, sizeof(double), "rows to be sent", err);
    if (rc == MDL_OK)
        rc = mdl_alloc(&e->in, (size_t)n_in + 1, sizeof(double), "rows to be received", err);
    return rc;
}

static void pack(const mdl_matrix_t *matrix, exchange_t *e, int self, const double *rows)
{
    const mdl_grid_t *grid = matrix->grid;
    int *next = e->counts + e->n_rank;
    const int64_t *range = e->ranges + 2 * self;
    for (int64_t i = 0; i < range[1]; i++) {
        int *here = next + owner(range[0] + i, grid->n_row) * grid->n_col;
        for (int64_t j = 0; j < matrix->n_col; j += BLOCK) {
            int64_t n = matrix->n_col - j < BLOCK ? matrix->n_col - j : BLOCK;
            int *at = &here[owner(j, grid->n_col)];
            memcpy(e->out + *at, rows + i * matrix->n_col + j, (size_t)n * sizeof(double));
            *at += (int)n;
        }
    }
    for (int r = 0; r < e->n_rank; r++)
        next[r] -= e->counts[r];
}

static void unpack(mdl_matrix_t *matrix, const exchange_t *e)
{
    const mdl_grid_t *grid = matrix->grid;
    const double *from = e->in;
    int64_t ld = matrix->descriptor[8];
    for (int r = 0; r < e->n_rank; r++) {
        const int64_t *range = e->ranges + 2 * r;
        for (int64_t i = range[0]; i < range[0] + range[1]; i++) {
            if (owner(i, grid->n_row) != grid->row)
                continue;
            double *row = matrix->values + i / (BLOCK * grid->n_row) * BLOCK + i % BLOCK;
            for (int64_t j = 0; j < matrix->own_cols; j++)
                row[j * ld] = *from++;
        }
    }
}

int mdl_matrix_put_rows(mdl_matrix_t *matrix, int64_t first, int64_t n_row, const double *rows,
                        mdl_error_t *err)
{
    MPI_Comm comm = matrix->grid->comm;
    exchange_t e = {0};
    int64_t range[2] = {first, n_row};
    int self;
    MPI_Comm_rank(comm, &self);
    MPI_Comm_size(comm, &e.n_rank);
    int rc = mdl_alloc(&e.ranges, 2 * (size_t)e.n_rank, sizeof *e.ranges, "row ranges", err);
    if (rc == MDL_OK)
        rc = mdl_alloc(&e.counts, 4 * (size_t)e.n_rank, sizeof *e.counts, "row counts", err);
    MDL_TRY(mdl_agree(comm, rc, err));
    MPI_Allgather(range, 2, MPI_INT64_T, e.ranges, 2, MPI_INT64_T, comm);
    MDL_TRY(mdl_agree(comm, plan_exchange(matrix, &e, self, err), err));
    pack(matrix, &e, self, rows);
    MPI_Alltoallv(e.out, e.counts, e.counts + e.n_rank, MPI_DOUBLE, e.in, e.counts + 2 * e.n_rank,
                  e.counts + 3 * e.n_rank, MPI_DOUBLE, comm);
    unpack(matrix, &e);
done:
    free(e.ranges);
    free(e.counts);
    free(e.out);
    free(e.in);
    return rc;
}
