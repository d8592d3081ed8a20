#include "models/schedule.h"

#include <math.h>

double mdl_schedule_share(mdl_schedule_t schedule, int64_t step, int64_t n_warmup,
                          int64_t total_steps)
{
    if (step < n_warmup)
        return (double)step / (double)n_warmup;
    int64_t n_after = total_steps - n_warmup;
    double passed = n_after > 0 ? (double)(step - n_warmup) / (double)n_after : 1;
    if (passed >= 1)
        return 0;
    return schedule == MDL_SCHEDULE_COSINE ? 0.5 * (1 + cos(acos(-1.0) * passed)) : 1 - passed;
}
