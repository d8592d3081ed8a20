/* HDF5 1.10 can crash on damaged bytes. Our own files are checked before it sees them (io/guard.h);
 * for other people's files a crash is turned into a sentence and exit code 65. */
#ifndef MDL_IO_CRASH_GUARD_H
#define MDL_IO_CRASH_GUARD_H

/* From now on a crash of this process ends it with MDL_E_INPUT after saying on stderr that HDF5
 * crashed on path and the file is damaged; the MPI launcher then ends the other ranks. Calls don't
 * nest. Not collective. */
void mdl_crash_guard_begin(const char *path);

/* Puts the old signal handlers back. Not collective. */
void mdl_crash_guard_end(void);

#endif
