/* The parts of BLACS, ScaLAPACK and LAPACK that the suite calls; they come without a C header.
 * Arguments as in the ScaLAPACK users' guide; Fortran passes addresses, and lengths of characters
 * behind. */
#ifndef MDL_MPI_SCALAPACK_H
#define MDL_MPI_SCALAPACK_H

#include <mpi.h>

int Csys2blacs_handle(MPI_Comm comm);
void Cfree_blacs_system_handle(int handle);
void Cblacs_gridinit(int *context, const char *order, int n_row, int n_col);
void Cblacs_gridexit(int context);

void pdgemm_(const char *trans_a, const char *trans_b, const int *m, const int *n, const int *k,
             const double *alpha, const double *a, const int *ia, const int *ja, const int *desc_a,
             const double *b, const int *ib, const int *jb, const int *desc_b, const double *beta,
             double *c, const int *ic, const int *jc, const int *desc_c);
void pdlacpy_(const char *part, const int *m, const int *n, const double *a, const int *ia,
              const int *ja, const int *desc_a, double *b, const int *ib, const int *jb,
              const int *desc_b);
void pdgeqrf_(const int *m, const int *n, double *a, const int *ia, const int *ja,
              const int *desc_a, double *tau, double *work, const int *n_work, int *info);
void pdgelqf_(const int *m, const int *n, double *a, const int *ia, const int *ja,
              const int *desc_a, double *tau, double *work, const int *n_work, int *info);
void pdormqr_(const char *side, const char *trans, const int *m, const int *n, const int *k,
              const double *a, const int *ia, const int *ja, const int *desc_a, const double *tau,
              double *c, const int *ic, const int *jc, const int *desc_c, double *work,
              const int *n_work, int *info);
void pdgesvd_(const char *want_u, const char *want_vt, const int *m, const int *n, double *a,
              const int *ia, const int *ja, const int *desc_a, double *s, double *u, const int *iu,
              const int *ju, const int *desc_u, double *vt, const int *ivt, const int *jvt,
              const int *desc_vt, double *work, const int *n_work, int *info);

void dgesvd_(const char *want_u, const char *want_vt, const int *m, const int *n, double *a,
             const int *ld_a, double *s, double *u, const int *ld_u, double *vt, const int *ld_vt,
             double *work, const int *n_work, int *info);

#endif
