/* What the installed interface says of models without similarity, of backends and of mistakes. */
#include <mordal/cka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_SAMPLE = 40, N_FEAT = 3 };

static float wave[N_SAMPLE * N_FEAT], other[N_SAMPLE * N_FEAT], flat[N_SAMPLE * N_FEAT];

static void check(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "FAILED: %s\n", what);
    exit(1);
}

static void check_refusal(const mordal_cka_options *options, int code, const char *words)
{
    mordal_cka_model models[] = {{.name = "wave", .n_feat = N_FEAT, .values = wave},
                                 {.name = "other", .n_feat = N_FEAT, .values = other}};
    double similarity[4];
    char error[MORDAL_ERROR_SIZE];
    int rc =
        mordal_cka(MPI_COMM_WORLD, options, models, 2, N_SAMPLE, similarity, NULL, NULL, error);
    check(rc == code && strstr(error, words) != NULL, words);
}

static void check_undefined(const mordal_cka_options *options)
{
    mordal_cka_model models[] = {{.name = "wave", .n_feat = N_FEAT, .values = wave},
                                 {.name = "flat", .n_feat = N_FEAT, .values = flat},
                                 {.name = "other", .n_feat = N_FEAT, .values = other}};
    double similarity[9];
    unsigned char status[9];
    char error[MORDAL_ERROR_SIZE];
    int rc =
        mordal_cka(MPI_COMM_WORLD, options, models, 3, N_SAMPLE, similarity, NULL, status, error);
    check(rc == MORDAL_OK, error);
    for (int i = 0; i < 9; i++) {
        int undefined = i / 3 == 1 || i % 3 == 1;
        check(isnan(similarity[i]) == undefined, "NaN where it is undefined");
        check((status[i] == MORDAL_DEFINED) == !undefined, "the status");
    }
    check(strcmp(mordal_why(status[4]), "its activations do not vary") == 0, "why");
    rc = mordal_cka(MPI_COMM_WORLD, options, models, 3, N_SAMPLE, similarity, NULL, NULL, NULL);
    check(rc == MORDAL_OK && isnan(similarity[1]), "without a place for the status");
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    for (int i = 0; i < N_SAMPLE * N_FEAT; i++) {
        wave[i] = (float)sin(0.7 * i);
        other[i] = (float)sin(0.5 * i * i);
        flat[i] = 1234.567f;
    }
    mordal_cka_options options = {.batch = 10, .backend = "auto"};
    check_undefined(&options);
    options.estimator = "biased";
    check_undefined(&options);
    options.backend = "gpu";
    check_refusal(&options, MORDAL_USAGE, "backend 'gpu'");
    options.backend = "cpu";
    options.precision = "bfloat16";
    check_refusal(&options, MORDAL_USAGE, "bfloat16 is computed by GPUs alone");
    options.precision = "float16";
    check_refusal(&options, MORDAL_USAGE, "precision 'float16'");
    options.precision = NULL;
    options.route = "minibatch";
    check_refusal(&options, MORDAL_USAGE, "route 'minibatch'");
    return MPI_Finalize();
}
