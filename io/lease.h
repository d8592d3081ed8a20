/* The lease on a study folder: at most one run writes into it.
 *
 * File STUDY_FOLDER/.lease, text: "host pid job nonce start", start being when the process began in
 * ticks of its host (0 = unknown), as a later process may have its pid. It is taken by link(2),
 * which is atomic on NFS too, and touched every few seconds by a thread. A lease whose process is
 * gone (same host), whose Slurm job is this one (requeued), or that nobody touches for half a
 * minute is taken over. The nonce is the fence: before a result is put in place mdl_lease_check
 * compares it, so that a run that was suspended while another took over stops instead of writing.
 */
#ifndef MDL_IO_LEASE_H
#define MDL_IO_LEASE_H

#include "core/error.h"

enum { MDL_LEASE_NONCE = 48 };

/* Takes the lease for this run and tells its nonce. Returns MDL_E_LOCKED naming the holder. One
 * rank only. */
int mdl_lease_take(const char *study_folder, char nonce[MDL_LEASE_NONCE], mdl_error_t *err);

/* On the other ranks of the run: from now on mdl_lease_check holds the lease against the nonce.
 * Returns MDL_E_MEMORY. Not collective. */
int mdl_lease_follow(const char *study_folder, const char nonce[MDL_LEASE_NONCE], mdl_error_t *err);

/* MDL_OK when no lease was taken or followed in this process or it is still the run's;
 * MDL_E_LOCKED otherwise. Not collective. */
int mdl_lease_check(mdl_error_t *err);

/* Gives the lease back if it is ours, or ends following. */
void mdl_lease_give_back(void);

#endif
