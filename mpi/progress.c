#include "mpi/progress.h"

#include "core/log.h"
#include "core/text.h"

#include <unistd.h>

void mdl_progress_start(mdl_progress_t *progress, const char *what, double total)
{
    double now = mdl_log_seconds();
    *progress = (mdl_progress_t){what, total, now, now, isatty(STDERR_FILENO) ? 1 : 30};
}

void mdl_progress_update(mdl_progress_t *progress, double done)
{
    double now = mdl_log_seconds();
    if (now - progress->last < progress->every || done <= 0)
        return;
    progress->last = now;
    char left[32];
    double rate = done / (now - progress->started);
    mdl_text_duration((progress->total - done) / rate, left);
    mdl_log(MDL_LOG_INFO, "%.0f of %.0f %s, %.3g/s, %s left", done, progress->total, progress->what,
            rate, left);
}
