/* Processes of this host, by whose pid a file tells who holds or writes it. */
#ifndef MDL_IO_PROCESS_H
#define MDL_IO_PROCESS_H

/* When the process began, in clock ticks since its host did, by which it is told from a later one
 * of the same pid; 0 where there is no /proc or no such process. Not collective. */
unsigned long long mdl_process_start(long pid);

/* 1 while the process of that pid, which began at start (0 = at any time), runs; 0 for one that has
 * ended, even when its parent hasn't asked yet. Not collective. */
int mdl_process_lives(long pid, unsigned long long start);

#endif
