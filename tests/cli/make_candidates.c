/* Writes candidate clusters for tests of the stages behind mordal-cluster:
 *     make_candidates OUT.h5 < TABLE
 * TABLE has a line "VE LM CLUSTER MEDOID" for each candidate, MEDOID 1 for its cluster's medoid. */
#include "core/text.h"
#include "io/candidates_file.h"

#include <stdio.h>

enum { MAX = 4096 };

static char *names[MAX], *ves[MAX], *lms[MAX];
static int32_t clusters[MAX], medoids[MAX];

int main(int argc, char **argv)
{
    mdl_candidates_t zoo = {
        .candidate = names, .ve = ves, .lm = lms, .cluster = clusters, .medoid = medoids};
    char ve[64], lm[64];
    int cluster, medoid;
    mdl_error_t err = {0};
    while (zoo.n_candidate < MAX && scanf("%63s %63s %d %d", ve, lm, &cluster, &medoid) == 4) {
        int64_t i = zoo.n_candidate++;
        names[i] = mdl_text("%s+%s", ve, lm);
        ves[i] = mdl_text("%s", ve);
        lms[i] = mdl_text("%s", lm);
        clusters[i] = cluster;
        if (medoid)
            medoids[cluster] = (int32_t)i;
        if (cluster >= zoo.n_cluster)
            zoo.n_cluster = cluster + 1;
    }
    const mdl_provenance_t provenance = {
        .schema = "mordal-candidates", .version = 1, .configuration = "made=for a test\n"};
    int rc = argc == 2 ? mdl_candidates_write(argv[1], &provenance, &zoo, &err) : MDL_E_USAGE;
    if (rc != MDL_OK)
        fprintf(stderr, "make_candidates: %s\n", err.text);
    return rc;
}
