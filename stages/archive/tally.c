#include "archive/archive.h"
#include "core/log.h"

void mdl_archive_log_tally(const mdl_archive_tally_t *tally, const char *folder)
{
    if (tally->n_written == 0)
        mdl_log(MDL_LOG_INFO, "up to date: all %d files in %s", tally->n_current, folder);
    else
        mdl_log(MDL_LOG_INFO, "wrote %d files in %s, %d were up to date", tally->n_written, folder,
                tally->n_current);
}
