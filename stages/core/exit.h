/* Exit codes of every Mordal executable; functions return the same numbers.
 * They follow sysexits.h where it has a fitting one. */
#ifndef MDL_CORE_EXIT_H
#define MDL_CORE_EXIT_H

enum {
    MDL_OK = 0,
    MDL_E_USAGE = 64,    /* wrong option or argument */
    MDL_E_INPUT = 65,    /* a file or a setting holds something unusable */
    MDL_E_MISSING = 66,  /* an input is not there: run the stage before */
    MDL_E_LOCKED = 69,   /* another run holds this study */
    MDL_E_INTERNAL = 70, /* a bug of ours, or MPI itself failed */
    MDL_E_MEMORY = 71,   /* out of memory; the message says how much was asked for */
    MDL_E_IO = 74,       /* reading or writing failed: disk full, no permission */
    MDL_E_AGAIN = 75,    /* stopped cleanly with a checkpoint: run the same command again */
    MDL_E_TRAINER = 76   /* no candidate could be trained */
};

#endif
