/* The two rates that bound CKA on this machine, by cpu time of one thread: a large sgemm, and
 * read(2) of files in the cache, in pieces of 1 MiB, to a page boundary (elsewhere it can be
 * several times slower). All files that the limit counts are read, as the rate depends on how the
 * kernel laid each of them out in its cache. Best of several rounds, of each file.
 *
 * usage: bench_rates FILE...
 * prints: sgemm flop/s, read byte/s */
#define _POSIX_C_SOURCE 200809L
#include <cblas.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { N = 2048, ROUNDS = 7, PIECE = 1 << 20 };

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double sgemm_rate(void)
{
    float *memory = malloc(3 * sizeof(float) * N * N);
    double best = 0;
    for (int i = 0; memory != NULL && i < 3 * N * N; i++)
        memory[i] = (float)(i % 7 - 3);
    for (int k = 0; memory != NULL && k < ROUNDS; k++) {
        double start = seconds();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, N, N, N, 1, memory, N, memory + N * N,
                    N, 0, memory + 2 * N * N, N);
        double rate = 2.0 * N * N * N / (seconds() - start);
        best = rate > best ? rate : best;
    }
    free(memory);
    return best;
}

/* Adds a file's bytes and the seconds of its fastest reading. */
static void read_file(const char *path, char *buffer, double *bytes, double *time)
{
    double size = 0, best = 0;
    int file = open(path, O_RDONLY);
    for (int k = 0; file >= 0 && k < ROUNDS; k++) {
        double start = seconds();
        size = 0;
        lseek(file, 0, SEEK_SET);
        for (ssize_t n; (n = read(file, buffer, PIECE)) > 0;)
            size += (double)n;
        double taken = seconds() - start;
        best = k == 0 || taken < best ? taken : best;
    }
    if (file >= 0)
        close(file);
    *bytes += size;
    *time += best;
}

static double read_rate(char **paths, int n_path)
{
    char *buffer = aligned_alloc(4096, PIECE);
    double bytes = 0, time = 0;
    for (int i = 0; buffer != NULL && i < n_path; i++)
        read_file(paths[i], buffer, &bytes, &time);
    free(buffer);
    return bytes / time;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bench_rates FILE...\n");
        return 64;
    }
    openblas_set_num_threads(1);
    printf("%.4g %.4g\n", sgemm_rate(), read_rate(argv + 1, argc - 1));
    return 0;
}
