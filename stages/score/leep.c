#include "score/leep.h"

#include <math.h>
#include <stdlib.h>

int mdl_leep_normalise(double *probability, int64_t n_sample, int64_t n_source, mdl_error_t *err)
{
    for (int64_t i = 0; i < n_sample; i++) {
        double *row = probability + i * n_source, sum = 0, least = 0;
        for (int64_t z = 0; z < n_source; z++) {
            sum += row[z];
            least = fmin(least, row[z]);
        }
        if (least < 0 || !(fabs(sum - 1) <= 0.01))
            return mdl_fail(err, MDL_E_INPUT,
                            "row %lld holds no probabilities (least %g, sum %g); LEEP needs the "
                            "softmax outputs of a classifier's head",
                            (long long)i, least, sum);
        for (int64_t z = 0; z < n_source; z++)
            row[z] /= sum;
    }
    return MDL_OK;
}

int mdl_leep(const double *probability, int64_t n_sample, int64_t n_source, const int32_t *class_of,
             int64_t n_class, double *score, mdl_error_t *err)
{
    double *joint = NULL, *of_source = NULL, sum = 0;
    int rc;
    MDL_TRY(mdl_alloc(&joint, (size_t)(n_class * n_source), sizeof *joint, "a score", err));
    MDL_TRY(mdl_alloc(&of_source, (size_t)n_source, sizeof *of_source, "a score", err));
    for (int64_t i = 0; i < n_sample; i++)
        for (int64_t z = 0; z < n_source; z++) {
            joint[class_of[i] * n_source + z] += probability[i * n_source + z];
            of_source[z] += probability[i * n_source + z];
        }
    for (int64_t i = 0; i < n_sample; i++) {
        double likelihood = 0;
        for (int64_t z = 0; z < n_source; z++)
            if (of_source[z] > 0)
                likelihood += joint[class_of[i] * n_source + z] / of_source[z] *
                              probability[i * n_source + z];
        sum += log(likelihood);
    }
    *score = sum / (double)n_sample;
done:
    free(joint);
    free(of_source);
    return rc;
}
