/* Products and decompositions of block-cyclic matrices, by PBLAS and ScaLAPACK. */
#include "mpi/agree.h"
#include "mpi/grid.h"
#include "mpi/scalapack.h"

#include <stdlib.h>

static const int one = 1;

void mdl_matrix_multiply(char trans_a, char trans_b, int64_t m, int64_t n, int64_t k,
                         const mdl_matrix_t *a, const mdl_matrix_t *b, mdl_matrix_t *c)
{
    int rows = (int)m, cols = (int)n, depth = (int)k;
    double alpha = 1, beta = 0;
    pdgemm_(&trans_a, &trans_b, &rows, &cols, &depth, &alpha, a->values, &one, &one, a->descriptor,
            b->values, &one, &one, b->descriptor, &beta, c->values, &one, &one, c->descriptor);
}

/* ScaLAPACK's info: below 0 a wrong argument, above 0 no convergence. */
static int check_info(const char *routine, int info, mdl_error_t *err)
{
    if (info == 0)
        return MDL_OK;
    return mdl_fail(err, MDL_E_INTERNAL,
                    "ScaLAPACK's %s returned %d (below 0: a wrong argument; above 0: no "
                    "convergence); try another --grid",
                    routine, info);
}

/* Scratch of the length that a query left in wanted. Collective. */
static int new_work(const mdl_grid_t *grid, double wanted, double **work, int *n_work,
                    mdl_error_t *err)
{
    *n_work = (int)wanted + 1;
    int rc = mdl_alloc(work, (size_t)*n_work, sizeof(double), "scratch of ScaLAPACK", err);
    return mdl_agree(grid->comm, rc, err);
}

/* A matrix of one block is on the grid's first rank; LAPACK does it there. (pdgesvd fails on some
 * that have fewer rows than the grid.) */
static int svd_of_block(mdl_matrix_t *a, double *s, mdl_matrix_t *u, mdl_matrix_t *vt,
                        mdl_error_t *err)
{
    const char *want_u = u != NULL ? "S" : "N", *want_vt = vt != NULL ? "S" : "N";
    mdl_matrix_t *left = u != NULL ? u : a, *right = vt != NULL ? vt : a;
    int m = (int)a->n_row, n = (int)a->n_col, n_work = 8 * (m + n) * a->block, info = 0;
    double *work = NULL;
    if (a->grid->row > 0 || a->grid->col > 0)
        return MDL_OK;
    int rc = mdl_alloc(&work, (size_t)n_work, sizeof(double), "scratch of LAPACK", err);
    if (rc != MDL_OK)
        return rc;
    dgesvd_(want_u, want_vt, &m, &n, a->values, &a->descriptor[8], s, left->values,
            &left->descriptor[8], right->values, &right->descriptor[8], work, &n_work, &info);
    free(work);
    return check_info("dgesvd", info, err);
}

/* pdgesvd in its two calls. n_work -1 asks for the scratch that it needs, into *work. */
static int call_pdgesvd(mdl_matrix_t *a, double *s, mdl_matrix_t *u, mdl_matrix_t *vt, double *work,
                        int n_work, mdl_error_t *err)
{
    const char *want_u = u != NULL ? "V" : "N", *want_vt = vt != NULL ? "V" : "N";
    const mdl_matrix_t *left = u != NULL ? u : a, *right = vt != NULL ? vt : a;
    int m = (int)a->n_row, n = (int)a->n_col, info = 0;
    pdgesvd_(want_u, want_vt, &m, &n, a->values, &one, &one, a->descriptor, s, left->values, &one,
             &one, left->descriptor, right->values, &one, &one, right->descriptor, work, &n_work,
             &info);
    if (info == (m < n ? m : n) + 1)
        return mdl_fail(err, MDL_E_INTERNAL,
                        "the ranks don't agree on the singular values: their processors round "
                        "differently; use nodes of one kind, or another --grid");
    return check_info("pdgesvd", info, err);
}

int mdl_matrix_svd(mdl_matrix_t *a, double *s, mdl_matrix_t *u, mdl_matrix_t *vt, mdl_error_t *err)
{
    MPI_Comm comm = a->grid->comm;
    double *work = NULL, wanted = 0;
    int n_work, rc, n_value = (int)(a->n_row < a->n_col ? a->n_row : a->n_col);
    if (a->n_row <= a->block && a->n_col <= a->block) {
        MDL_TRY(mdl_agree(comm, svd_of_block(a, s, u, vt, err), err));
    } else {
        MDL_TRY(mdl_agree(comm, call_pdgesvd(a, s, u, vt, &wanted, -1, err), err));
        MDL_TRY(new_work(a->grid, wanted, &work, &n_work, err));
        MDL_TRY(mdl_agree(comm, call_pdgesvd(a, s, u, vt, work, n_work, err), err));
    }
    MPI_Bcast(s, n_value, MPI_DOUBLE, 0, comm);
done:
    free(work);
    return rc;
}

typedef void factorise_t(const int *m, const int *n, double *a, const int *ia, const int *ja,
                         const int *desc_a, double *tau, double *work, const int *n_work,
                         int *info);

/* x becomes its QR or LQ factors. *tau: freed by the caller. */
static int factorise(mdl_matrix_t *x, factorise_t *routine, double **tau, mdl_error_t *err)
{
    int m = (int)x->n_row, n = (int)x->n_col, n_work = -1, info = 0;
    double *work = NULL, wanted = 0;
    size_t n_tau = (size_t)(x->own_rows + x->own_cols) + 1;
    int rc = mdl_alloc(tau, n_tau, sizeof(double), "scalars of reflections", err);
    MDL_TRY(mdl_agree(x->grid->comm, rc, err));
    routine(&m, &n, x->values, &one, &one, x->descriptor, *tau, &wanted, &n_work, &info);
    MDL_TRY(new_work(x->grid, wanted, &work, &n_work, err));
    routine(&m, &n, x->values, &one, &one, x->descriptor, *tau, work, &n_work, &info);
    rc = mdl_agree(x->grid->comm, check_info("factorisation", info, err), err);
done:
    free(work);
    return rc;
}

/* u = Q u, Q being the reflections of x. */
static int apply_q(const mdl_matrix_t *x, const double *tau, mdl_matrix_t *u, mdl_error_t *err)
{
    int m = (int)u->n_row, n = (int)u->n_col, n_work = -1, info = 0;
    double *work = NULL, wanted = 0;
    pdormqr_("L", "N", &m, &n, &n, x->values, &one, &one, x->descriptor, tau, u->values, &one, &one,
             u->descriptor, &wanted, &n_work, &info);
    int rc = new_work(x->grid, wanted, &work, &n_work, err);
    if (rc != MDL_OK)
        return rc;
    pdormqr_("L", "N", &m, &n, &n, x->values, &one, &one, x->descriptor, tau, u->values, &one, &one,
             u->descriptor, work, &n_work, &info);
    free(work);
    return mdl_agree(x->grid->comm, check_info("pdormqr", info, err), err);
}

int mdl_matrix_left(mdl_matrix_t *x, double *s, mdl_matrix_t *u, mdl_error_t *err)
{
    int tall = x->n_row > x->n_col, r = (int)(tall ? x->n_col : x->n_row);
    mdl_matrix_t square = {0}, vectors = {0};
    double *tau = NULL;
    int rc;
    MDL_TRY(mdl_matrix_new(x->grid, x->n_row, r, u, err));
    MDL_TRY(mdl_matrix_new(x->grid, r, r, &square, err));
    MDL_TRY(factorise(x, tall ? pdgeqrf_ : pdgelqf_, &tau, err));
    pdlacpy_(tall ? "U" : "L", &r, &r, x->values, &one, &one, x->descriptor, square.values, &one,
             &one, square.descriptor);
    if (!tall) {
        rc = mdl_matrix_svd(&square, s, u, NULL, err);
        goto done;
    }
    MDL_TRY(mdl_matrix_new(x->grid, r, r, &vectors, err));
    MDL_TRY(mdl_matrix_svd(&square, s, &vectors, NULL, err));
    pdlacpy_("A", &r, &r, vectors.values, &one, &one, vectors.descriptor, u->values, &one, &one,
             u->descriptor);
    rc = apply_q(x, tau, u, err);
done:
    mdl_matrix_free(&square);
    mdl_matrix_free(&vectors);
    free(tau);
    return rc;
}
