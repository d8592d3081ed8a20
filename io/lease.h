/* The lease on a study folder: at most one run writes into it.
 *
 * File STUDY_FOLDER/.lease, text: "host pid job restart nonce". It is taken by link(2), which is
 * atomic on NFS too, and touched every few seconds by a thread. A lease whose process is gone (same
 * host), whose Slurm job is this one (requeued), or that nobody touches for half a minute is taken
 * over. The nonce is the fence: before a result is put in place mdl_lease_check compares it, so
 * that a run that was suspended while another took over stops instead of writing. */
#ifndef MDL_IO_LEASE_H
#define MDL_IO_LEASE_H

#include "core/error.h"

/* Takes the lease for this process. Returns MDL_E_LOCKED naming the holder. One rank only. */
int mdl_lease_take(const char *study_folder, mdl_error_t *err);

/* MDL_OK when no lease was taken in this process or it is still ours; MDL_E_LOCKED otherwise. */
int mdl_lease_check(mdl_error_t *err);

/* Gives the lease back if it is ours. */
void mdl_lease_give_back(void);

#endif
