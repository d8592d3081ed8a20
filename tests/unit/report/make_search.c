/* make_search FOLDER N_VE N_LM STAGE: writes a made-up search for the command tests. */
#include "report/made_up.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    mdl_error_t err;
    if (argc != 5)
        return MDL_E_USAGE;
    made_up_t search = {atoi(argv[2]), atoi(argv[3]), 0.7, 0.8, (made_up_stage_t)atoi(argv[4]),
                        NULL};
    int rc = made_up_write(argv[1], &search, &err);
    if (rc != MDL_OK)
        fprintf(stderr, "%s\n", err.text);
    return rc;
}
