/* Files and folders: existence, atomic replacement. */
#ifndef MDL_IO_PATH_H
#define MDL_IO_PATH_H

#include "core/error.h"

/* Makes the folder and its parents. Returns MDL_E_IO naming the folder. Not collective. */
int mdl_path_make_folder(const char *path, mdl_error_t *err);

/* Makes the folder that path lies in. Not collective. */
int mdl_path_make_parent(const char *path, mdl_error_t *err);

/* MDL_OK if path is a regular file that can be opened for reading; MDL_E_MISSING, MDL_E_IO, or
 * MDL_E_INPUT (a folder or a pipe) with a sentence that ends in advice (what to do), else. Looks
 * again for some seconds, for filesystems on which another node's file appears late, when wait is
 * not 0. Not collective. */
int mdl_path_check_readable(const char *path, const char *advice, int wait, mdl_error_t *err);

/* A new string: a name beside path for the file while it is being written; freed by the caller.
 * It starts with path's name and ends in .tmp.<host>.<pid>. */
char *mdl_path_temporary(const char *path);

/* Flushes temporary to disk, renames it to path and flushes the folder (where the filesystem can),
 * so that path is either the old file or the whole new one. Not collective. */
int mdl_path_commit(const char *temporary, const char *path, mdl_error_t *err);

/* Removes the unfinished files that earlier, killed runs left beside path, but none that a process
 * of this host still writes. Not collective. */
void mdl_path_sweep(const char *path);

/* The same for all paths that begin with start. Not collective. */
void mdl_path_sweep_all(const char *start);

#endif
