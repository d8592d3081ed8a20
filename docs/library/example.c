/* Similarity of two small models in memory, or of the archive files that are given. */
#include <mordal/cka.h>

#include <stdio.h>
#include <stdlib.h>

enum { N_SAMPLE = 64, N_A = 10, N_B = 6, MOST = 32 };

static void print(const double *similarity, const double *standard_error,
                  const unsigned char *status, int n)
{
    for (int i = 0; i < n; i++) {
        if (status[i * n + i] != MORDAL_DEFINED)
            printf("%d has no similarity: %s\n", i, mordal_why(status[i * n + i]));
        for (int j = 0; j < i; j++)
            if (status[i * n + j] == MORDAL_DEFINED)
                printf("%d %d: %.6f +- %.6f\n", i, j, similarity[i * n + j],
                       standard_error[i * n + j]);
    }
}

static int in_memory(double *similarity, double *standard_error, unsigned char *status, char *error)
{
    static float a[N_SAMPLE * N_A], b[N_SAMPLE * N_B];
    for (int i = 0; i < N_SAMPLE; i++) {
        for (int j = 0; j < N_A; j++)
            a[i * N_A + j] = (float)((i * 3 + j * 5 + 7 * i * j + i * i % 11) % 17 - 8);
        for (int j = 0; j < N_B; j++)
            b[i * N_B + j] =
                (float)((i * 5 + j * 2 + 7 * i * j + i * i % 11) % 13 - 6) + a[i * N_A + j] / 2;
    }
    mordal_cka_model models[] = {{.name = "a", .n_feat = N_A, .values = a},
                                 {.name = "b", .n_feat = N_B, .values = b}};
    mordal_cka_options options = {.batch = 16, .precision = "float64"};
    return mordal_cka(MPI_COMM_WORLD, &options, models, 2, N_SAMPLE, similarity, standard_error,
                      status, error);
}

int main(int argc, char **argv)
{
    double similarity[MOST * MOST], standard_error[MOST * MOST];
    unsigned char status[MOST * MOST];
    char error[MORDAL_ERROR_SIZE] = "too many files";
    int rank, rc = MORDAL_USAGE, n = argc > 1 ? argc - 1 : 2;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (argc == 1)
        rc = in_memory(similarity, standard_error, status, error);
    else if (n <= MOST)
        rc = mordal_cka_files(MPI_COMM_WORLD, NULL, (const char *const *)argv + 1, n, similarity,
                              standard_error, status, error);
    if (rank == 0 && rc == MORDAL_OK)
        print(similarity, standard_error, status, n);
    else if (rank == 0)
        fprintf(stderr, "Mordal %s: %s\n", mordal_version(), error);
    MPI_Finalize();
    return rc;
}
