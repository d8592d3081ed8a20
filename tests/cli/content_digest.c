/* Prints the content digest of each result file, for tests that compare results:
 *     content_digest FILE... */
#include "io/h5.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    mdl_error_t err = {0};
    int rc = MDL_OK;
    for (int i = 1; rc == MDL_OK && i < argc; i++) {
        hid_t file;
        char *digits = NULL;
        rc = mdl_h5_open(argv[i], "", &file, &err);
        if (rc == MDL_OK)
            rc = mdl_h5_get_text(file, "content_digest", &digits, &err);
        if (rc == MDL_OK)
            printf("%s\n", digits);
        free(digits);
        mdl_h5_close(file);
    }
    if (rc != MDL_OK)
        fprintf(stderr, "content_digest: %s\n", err.text);
    return rc;
}
