/* Loops for the widest vectors of the machine that runs them. */
#ifndef MDL_KERNELS_CLONES_H
#define MDL_KERNELS_CLONES_H

/* Before a function: GCC compiles it twice, with and without AVX2, and the loader picks. What is
 * computed element by element has the same bits either way. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define MDL_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define MDL_CLONES
#endif

#endif
